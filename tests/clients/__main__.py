"""``python -m tests.clients``: every client on the whole site; prints the table and writes docs/clients.md."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys

from tests.clients import report
from tests.clients.everyone import CLIENTS, run_all


def main() -> int:
    """The exit status: 0 if all was right, 1 if something was not."""
    outcomes, absent = asyncio.run(run_all(CLIENTS))
    faults = [f"{one.client} {one.protocol}: {fault}" for one in outcomes for fault in one.faults]
    print(report.table(outcomes))
    print(*absent, *faults, sep="\n")
    if faults:
        return 1
    notes = [*(client.note for client in CLIENTS if client.note), *absent]
    report.MARKDOWN_FILE.write_text(report.page(outcomes, notes, dt.datetime.now(dt.UTC).date().isoformat()))
    print(f"written: {report.MARKDOWN_FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
