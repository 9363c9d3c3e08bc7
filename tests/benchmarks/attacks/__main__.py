"""``python -m tests.benchmarks.attacks [--write]``: play all attacks, print what they cost, write docs/attacks.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.benchmarks.attacks.measure import PROTOCOLS, measure
from tests.benchmarks.attacks.report import page, table

PAGE = Path(__file__).parents[3] / "docs" / "attacks.md"


def main() -> int:
    """The exit status: 1 where an attack cost too much or went on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/attacks.md")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    costs = {protocol.name: measure(protocol, options.rounds) for protocol in PROTOCOLS}
    for name, of in costs.items():
        print(f"{name}\n\n{table(of)}")
    if options.write:
        PAGE.write_text(page(costs), encoding="utf-8")
        print(f"written: {PAGE}")
    excesses = [cost.excess for of in costs.values() for cost in of if cost.excess]
    print("\n".join(excesses), file=sys.stderr)
    return int(bool(excesses))


if __name__ == "__main__":
    sys.exit(main())
