"""``python -m tests.conformance``: run the suite, print, write docs/conformance.md and docs/conformance.json.

``python -m tests.conformance FOLDER`` runs a checkout of another edition, with its dependencies installed, and prints.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conformance import report
from tests.conformance.suite import PACKAGE, SuiteError, install, run


def main() -> int:
    """The exit status: 0 nothing is worse than before and nothing unexplained, 1 something is, 2 no result."""
    checkout = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    try:
        if checkout is None:
            install()
        scored = run(checkout or PACKAGE)
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
