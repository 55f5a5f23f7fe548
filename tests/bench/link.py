#!/usr/bin/env python3
"""A network link with a delay, between two network namespaces, made in user space.

    tests/bench/link.py NEAR FAR

Makes the TUN devices NEAR and FAR in its own namespace, of which FAR may then be moved to another, and carries packets
between them. Each line of standard input is a delay in milliseconds, one way, from then on; it is repeated on standard
output once it counts. Ends with its input.
"""

import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

# <linux/if_tun.h>
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
# The largest packet of a device with the usual MTU of 1500.
LARGEST_PACKET = 2048
# The maximum delay of a sleep. The rest of a wait polls the clock, otherwise every packet would be late.
SLACK = 0.0003


def device(name):
    """Opens a TUN device: what the kernel sends to it is read here, what is written here the kernel receives."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def main(near, far):
    others = {near: far, far: near}
    # The delay is the same for all packets, so they leave in order of arrival.
    held = deque()
    delay = 0.0
    while True:
        timeout = None
        if held:
            timeout = max(0.0, held[0][0] - time.monotonic() - SLACK)
        for source in select.select([near, far, sys.stdin.fileno()], [], [], timeout)[0]:
            if source not in others:
                line = os.read(source, 64)
                if not line:
                    return
                delay = float(line) / 1000
                os.write(sys.stdout.fileno(), line)
                continue
            try:
                while True:
                    packet = os.read(source, LARGEST_PACKET)
                    held.append((time.monotonic() + delay, others[source], packet))
            except BlockingIOError:
                pass
        while held and held[0][0] <= time.monotonic():
            _, target, packet = held.popleft()
            try:
                os.write(target, packet)
            except OSError:
                # A link that is down drops packets.
                pass


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(device(sys.argv[1]), device(sys.argv[2]))
