"""``python -m tests.conformance.http3``: run the cases, print those not passed, write docs/h3-errors.md."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conformance.http3.cases import CASES, Case, run
from tests.support.http3 import Http3Site

PAGE = Path(__file__).parents[3] / "docs" / "h3-errors.md"
HEAD = """# Errors of HTTP/3

What RFC 9114 (HTTP/3), RFC 9204 (QPACK), RFC 9218 (priorities), RFC 9220 and RFC 9297 have a server do when a client
breaks their rules. Each is sent over the wire to `edgeproxy run` by a client that says what it is told to
(`tests/support/quic.py`), on a connection of its own. Where only a stream ends, or nothing, another request on the same
connection must be answered. `python -m tests.conformance.http3` runs them and writes this page; `make test` runs them
too.

"""


def main() -> int:
    """The exit status: 0 all passed, 1 some did not."""
    outcomes: list[tuple[Case, str]] = []
    with Http3Site() as site:
        for case in CASES:
            with site.client(http=False) as client:
                try:
                    outcome = run(case, client)
                except TimeoutError as error:
                    outcome = str(error)
            outcomes.append((case, outcome))
            if outcome:
                print(f"http3: {case.name}: {outcome}", file=sys.stderr)
    passed = sum(not outcome for _, outcome in outcomes)
    print(f"{passed} of {len(outcomes)} cases passed")
    PAGE.write_text(page(outcomes), encoding="utf-8")
    print(f"written: {PAGE}")
    return 0 if passed == len(outcomes) else 1


def page(outcomes: list[tuple[Case, str]]) -> str:
    """The page: one row a case."""
    passed = sum(not outcome for _, outcome in outcomes)
    rows = [f"| {case.section} | {case.what} | {case.expected} | {outcome or 'passed'} |" for case, outcome in outcomes]
    table = ["| rule | sent | must come | outcome |", "|---|---|---|---|", *rows]
    return f"{HEAD}**{passed} of {len(outcomes)} passed.**\n\n" + "\n".join(table) + "\n"


if __name__ == "__main__":
    sys.exit(main())
