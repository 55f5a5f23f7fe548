#!/usr/bin/env python3
"""Prints the instructions of a whole check by group of functions, as a table in Markdown.

    tests/bench/instructions.py ONCE TWICE CHECKS

ONCE and TWICE are profiles of valgrind's callgrind, without compressed names, of CHECKS checks and of twice as many. An
instruction belongs to the crate of its source line, even if it was inlined into another one; those of the standard library and
without a line belong to the function that they are part of. The copies and allocations of all groups are one of their own.
With the variable BENCH_FUNCTIONS the functions with the most instructions follow, one per line.
"""

import os
import re
import sys
from collections import Counter

# The first group with a fitting pattern has the instruction: of the crate, or `crate::path` of the program's own, or of the
# function.
GROUPS = [
    ("symmetric cryptography and hashes", r"^(sha2|digest|block_buffer|hmac)\b|ring:.*(aes|gcm|ghash|chacha|poly1305|sha256|sha512|hkdf|hmac|digest|aead)"),
    ("handshake arithmetic: signatures and key exchange", r"^(ring|untrusted)\b"),
    ("certificates: chain, names, dates, roots", r"^(webpki|rustls_webpki|x509_parser|asn1_rs|der_parser|oid_registry|nom|rusticata_macros|num_\w+|time)\b|^acr_verifier::probe::(tls|trust_store)\b"),
    ("TLS records and messages", r"^(rustls|tokio_rustls|rustls_pki_types|zeroize|subtle)\b"),
    ("HTTP", r"^(hyper|hyper_util|hyper_rustls|reqwest|http|http_body|http_body_util|httparse|url|form_urlencoded|idna\w*|percent_encoding|tower\w*|bytes|want|try_lock|base64|axum\w*|utf8_iter|smallvec|icu_\w+|writeable|matchit|mime|itoa|atomic_waker|pin_project_lite|sync_wrapper|httpdate)\b|^acr_verifier::(probe::(connection|session|protocol|phase)|server)\b"),
    ("JSON", r"^(serde\w*|ryu|zmij|memchr|oci_\w+)\b|^acr_verifier::probe::manifest\b"),
    ("DNS", r"^(hickory_\w+)\b|^acr_verifier::probe::(dns|resolve|compared|node_cache)\b"),
    ("redaction and sanitizing of texts", r"^acr_verifier::(text|secret|probe::echo)\b"),
    ("metrics and log", r"^(prometheus|procfs\w*|tracing\w*|sharded_slab|jiff|anstream|anstyle|protobuf|fnv|thread_local)\b|^acr_verifier::(metrics|logging)\b"),
    ("runtime and interface of the kernel", r"^(tokio|mio|futures\w*|slab|socket2|libc|signal_hook\w*|parking_lot\w*|lock_api|rustix|once_cell|getrandom|fastrand)\b"),
    ("rules, findings and the rest of the program", r"^acr_verifier\b"),
    ("copies and allocations", r"^c:(mem\w*|bcmp|__?memcpy\w*|\w*(malloc|alloc|free)\w*|str\w*|get_meta|alloc_slot|nontrivial_free|__expand_heap|enframe|size_to_class|__rdl_\w+|__rust_\w+)$|^(alloc|std|core)::.*alloc::|^std:.*(__rust_|__rdl_|alloc::alloc|alloc::raw_vec|alloc4alloc|Allocator)"),
]
OTHER = "standard and C library, and others"
# Rows of single functions.
FUNCTIONS = int(os.environ.get("BENCH_FUNCTIONS", "0"))


def read(path):
    """The instructions of each function and source file, without those of the functions that it calls."""
    costs = Counter()
    source, function, is_call = "", "", False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            key, _, value = line.rstrip("\n").partition("=")
            if line[:1].isdigit():
                if not is_call:
                    costs[source, function] += int(line.split()[1])
                is_call = False
            elif key == "fl":
                source = value
            elif key in ("fi", "fe"):
                source = value
            elif key == "fn":
                function = value
            elif key == "calls":
                is_call = True
    return costs


def place_of(source, function):
    """The crate of an instruction, with the path of a module for the program's own."""
    if found := re.search(r"/registry/src/[^/]*/([A-Za-z][\w-]*?)-\d+\.\d+[^/]*/", source):
        return f"{found[1].replace('-', '_')}:{function}"
    if found := re.search(r"(?:^|/)acr-verifier/src/(.*)\.rs$", source):
        return "acr_verifier::" + found[1].replace("/", "::")
    name = re.sub(r"^[<&(\[]*(?:mut |dyn |\*const |\*mut )*", "", function)
    name = re.sub(r"'\d+$", "", name)
    if re.match(r"ring_core|\w*(x25519|nistz256|fiat|bn_mul|p256|p384|gfp_)", name):
        return f"ring:{name}"
    if re.match(r"(core|alloc|std)::", name):
        # An implementation of the standard library for a type of a crate.
        inside = re.search(r" as (?!core::|alloc::|std::)(\w+)::", function)
        return f"{inside[1]}::" if inside else f"std:{function}"
    return name if "::" in name else f"c:{name}"


def group_of(place):
    return next((group for group, pattern in GROUPS if re.search(pattern, place)), OTHER)


def main():
    once, twice, checks = read(sys.argv[1]), read(sys.argv[2]), int(sys.argv[3])
    counts = {key: (twice[key] - once[key]) / checks for key in twice.keys() | once.keys()}
    whole = sum(counts.values())
    groups, functions = Counter(), Counter()
    for (source, function), count in counts.items():
        place = place_of(source, function)
        groups[group_of(place)] += count
        functions[group_of(place), place.split(":")[0], re.sub(r"'\d+$", "", function)] += count
    print(f"| of {checks} checks | million instructions a check | share |")
    print("| --- | --- | --- |")
    for group, count in groups.most_common():
        print(f"| {group} | {count / 1e6:.2f} | {count / whole:.1%} |")
    print(f"| all | {whole / 1e6:.2f} | |")
    for (group, place, function), count in functions.most_common(FUNCTIONS):
        print(f"{count / 1e6:.3f}  {group}  {place}  {function[:110]}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main()
