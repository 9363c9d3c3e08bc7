"""``python -m tests.conformance``: run the suite, print, write docs/conformance.md and docs/conformance.json.

``python -m tests.conformance FOLDER`` runs a checkout of another edition, with its dependencies installed, and prints.
``--front h2`` and ``--front h3`` run it over HTTP/2 and HTTP/3, print, and tell what differs from HTTP/1.1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.conformance import report
from tests.conformance.suite import PACKAGE, SuiteError, install, run


def main() -> int:
    """The exit status: 0 nothing is worse than before and nothing unexplained, 1 something is, 2 no result."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance")
    parser.add_argument("folder", nargs="?", type=Path, help="a checkout of another edition")
    parser.add_argument("--front", choices=("h2", "h3"), help="what is spoken to the proxy in place of HTTP/1.1")
    given = parser.parse_args()
    checkout = None if given.folder is None else given.folder.resolve()
    try:
        if checkout is None:
            install()
        scored = run(checkout or PACKAGE, given.front)
    except SuiteError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    if checkout is not None:
        print(report.table(scored, checkout.name))
        print(
            "\nnot passed:",
            *(each.case.id for each in scored if each.outcome != "passed" and each.case.kind != "check"),
        )
        return 0
    print(report.table(scored))
    if given.front is not None:
        others = report.differences(scored, report.JSON_FILE)
        print(*(others or [f"over {given.front} every case goes as over HTTP/1.1"]), sep="\n")
        return 1 if others else 0
    faults = report.faults(scored, report.known_reasons(), report.passed_before(report.JSON_FILE, scored))
    for fault in faults:
        print(f"conformance: {fault}", file=sys.stderr)
    if faults:
        return 1
    report.write(scored, report.known_reasons())
    print(f"\nwritten: {report.MARKDOWN_FILE} and {report.JSON_FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
