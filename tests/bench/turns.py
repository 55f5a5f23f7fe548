#!/usr/bin/env python3
"""Measures commands by turns over a link whose delay is set, and fails where a goal is missed.

    tests/bench/turns.py COMMANDS TURNS ADDRESS PORT

COMMANDS has a line for each command: its name, how many requests it makes, what is run before it without being counted, and
itself, divided by tabs. The first is the check, the second the check with an identity, the others are rivals. The link takes the delay at descriptor 3 and
repeats it at descriptor 4 (`link.py`); behind it something listens at ADDRESS and PORT.
"""

import os
import shlex
import socket
import subprocess
import sys
import time
from math import ceil
from statistics import median

# One way, in milliseconds.
DELAYS = [0, 5, 25]
# Round trips that a check waits for in sequence, as `src/probe.rs` derives them.
ROUND_TRIPS = 14
# The exchange of an identity's token; that token is requested while the name is resolved.
EXCHANGE = 1
# Maximum ratio of a check's time to that floor at the longest delay.
FLOOR_GOAL = 1.05
# In MB.
SIZE_GOAL = 7
MEMORY_GOAL = 12


class Command:
    def __init__(self, line):
        self.name, requests, before, command = line.rstrip("\n").split("\t")
        self.requests = int(requests)
        self.before, self.words = shlex.split(before), shlex.split(command)
        self.times = {delay: [] for delay in DELAYS}

    def run(self, wrapper=()):
        """Runs it once: the seconds that it took, and what it wrote to standard error."""
        if self.before:
            subprocess.run(self.before, stdout=subprocess.DEVNULL, check=True)
        started = time.monotonic()
        done = subprocess.run([*wrapper, *self.words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        taken = time.monotonic() - started
        if done.returncode != 0:
            sys.exit(f"this failed: {self.name}\n{done.stdout}{done.stderr}")
        return taken, done.stderr

    def count(self):
        """Its costs other than time: connections, queries, and memory in MB."""
        before = counters()
        self.run()
        self.connections, self.queries = (after - before for after, before in zip(counters(), before))
        # A child of this process would start with its size.
        _, output = self.run(["/usr/bin/time", "--format", "%M"])
        self.memory = int(output.split()[-1]) * 1024 / 1e6

    def median(self, delay):
        return median(self.times[delay])

    def round_trips(self, trips):
        """How many round trips the delay shows: what the time grows by, divided by what a round trip grows by."""
        nearest, farthest = DELAYS[0], DELAYS[-1]
        return (self.median(farthest) - self.median(nearest)) / (trips[farthest] - trips[nearest])


def counters():
    """Connections and datagrams that this network namespace has begun."""
    with open("/proc/net/snmp") as file:
        rows = [line.split() for line in file]
    values = {
        (group[0], field): int(value)
        for group, numbers in zip(rows[::2], rows[1::2])
        for field, value in zip(group[1:], numbers[1:])
    }
    return values["Tcp:", "ActiveOpens"], values["Udp:", "OutDatagrams"]


def round_trip(target):
    """The seconds that one round trip takes: a connection stands after the first."""
    started = time.monotonic()
    socket.create_connection(target).close()
    return time.monotonic() - started


def measure(commands, turns, target):
    """Runs every command once a turn at each delay, and returns the observed round trip between them."""
    trips = {}
    for delay in DELAYS:
        os.write(3, f"{delay}\n".encode())
        os.read(4, 64)
        seen = []
        for turn in range(-1, turns):
            print(f"\rdelay {delay} ms, turn {turn + 1} of {turns} ", end="", file=sys.stderr)
            for command in commands:
                seen.append(round_trip(target))
                taken, _ = command.run()
                # The first turn warms the caches.
                if turn >= 0:
                    command.times[delay].append(taken)
        trips[delay] = median(seen)
    print(file=sys.stderr)
    return trips


def report(commands, trips, turns):
    check, identity, *rivals = commands
    goals = []

    def goal(text, is_met, is_held=True):
        goals.append((text, is_met, is_held))

    print(f"\n{turns} runs of each command at each delay.\n")
    head = [f"{delay} ms | 95 % within | against check" for delay in DELAYS]
    print(f"| command | {' | '.join(head)} |")
    print("| --- |" + " --- |" * 3 * len(DELAYS))
    for command in commands:
        cells = []
        for delay in DELAYS:
            times = sorted(command.times[delay])
            within = times[ceil(len(times) * 0.95) - 1]
            ratio = command.median(delay) / check.median(delay)
            cells.append(f"{command.median(delay) * 1e3:.1f} ms | {within * 1e3:.1f} ms | {ratio:.2f} x")
        print(f"| `{command.name}` | {' | '.join(cells)} |")
    print(f"| a round trip | {' | '.join(f'{trips[delay] * 1e3:.1f} ms | |' for delay in DELAYS)} |")

    print("\n| command | requests | round trips | TCP connections | DNS queries | peak memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    for command in commands:
        counted = f"{command.requests} | {command.round_trips(trips):.1f} | {command.connections} | {command.queries}"
        print(f"| `{command.name}` | {counted} | {command.memory:.1f} MB |")

    for delay in DELAYS:
        for rival in rivals:
            is_faster = check.median(delay) < rival.median(delay)
            goal(f"faster than {rival.name} at {delay} ms", is_faster, rival.requests >= check.requests)
    farthest = DELAYS[-1]
    needed = ROUND_TRIPS * trips[farthest]
    ratio = check.median(farthest) / needed
    goal(
        f"at {farthest} ms within {FLOOR_GOAL} of {ROUND_TRIPS} round trips ({needed * 1e3:.1f} ms): {ratio:.3f}",
        ratio <= FLOOR_GOAL,
    )
    counted = check.round_trips(trips)
    goal(f"{ROUND_TRIPS} round trips: {counted:.2f}", round(counted) == ROUND_TRIPS)
    counted = identity.round_trips(trips)
    goal(f"{ROUND_TRIPS + EXCHANGE} round trips with an identity: {counted:.2f}", round(counted) == ROUND_TRIPS + EXCHANGE)
    goal(f"peak memory under {MEMORY_GOAL} MB: {check.memory:.1f} MB", check.memory < MEMORY_GOAL)
    size = os.path.getsize(check.words[0]) / 1e6
    # The goal for a binary without Kubernetes clients.
    goal(f"release binary under {SIZE_GOAL} MB: {size:.2f} MB", size < SIZE_GOAL, is_held=False)
    print("\n| goal | |\n| --- | --- |")
    for text, is_met, is_held in goals:
        print(f"| {text} | {'met' if is_met else 'MISSED' if is_held else 'missed, reported only'} |")
    return all(is_met for _, is_met, is_held in goals if is_held)


def main(path, turns, address, port):
    with open(path) as file:
        commands = [Command(line) for line in file]
    for command in commands:
        command.count()
    trips = measure(commands, int(turns), (address, int(port)))
    return report(commands, trips, int(turns))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    sys.exit(0 if main(*sys.argv[1:]) else 1)
