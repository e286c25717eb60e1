#!/usr/bin/env python3
"""How often faster we are than the peer, beside what was asked for: from what gpu_check and peer.py printed on the same GPU.

    tools/gpu/ratios.py SPEED PEER       reports of check.sh
"""

import re
import sys

# What is compared, the start of its line in both reports, and how often faster we are asked to be.
ASKED = [
    ("tower", r"tower.*: ([0-9.]+) ms", 1.2),
    ("prefill 576 + 64", r"prefill 576 \+ 64, bf16, stock: ([0-9.]+) ms", 1.3),
    ("decode, one sequence", r"decode bf16\s+batch\s+1:\s+([0-9.]+) ms", 3.0),
]


def milliseconds(report, line):
    found = re.search("^" + line, report, re.MULTILINE)
    return float(found.group(1)) if found else None


def ratios(speed, peer):
    """A line for each; of what a report does not have, that it does not."""
    for name, line, asked in ASKED:
        ours, theirs = milliseconds(speed, line), milliseconds(peer, line)
        missing = [whose for whose, ms in (("ours", ours), ("the peer's", theirs)) if not ms]
        if missing:
            yield f"{name} beside the peer: not compared, {' and '.join(missing)} is not in the reports"
        else:
            ratio = theirs / ours
            yield f"{name} beside the peer: {ratio:.2f}, asked at least {asked:.2f}: {'reached' if ratio >= asked else 'missed'}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    reports = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            reports.append(file.read())
    print("\n".join(ratios(*reports)))


if __name__ == "__main__":
    main()
