"""``python -m tests.benchmarks``: measure, print, write docs/benchmarks.md and docs/benchmarks.json."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import heads, peers, proc, profiling, report, stages
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.rows import ROWS, Row
from tests.benchmarks.session import HEADS, Session, work_parent

DOCS = Path(__file__).parents[2] / "docs"
COMMAND = "python -m tests.benchmarks"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 measured, 1 a figure could not be had."""
    options = _options(arguments)
    work = Path(tempfile.mkdtemp(prefix="edgeproxy-bench-", dir=work_parent()))
    try:
        peers.ensure()
        if os.cpu_count() == 1:
            raise BenchmarkError("two cores are needed: one for the server, one for the load")
        session = Session(work, pairs=options.pairs, seconds=options.seconds, say=_say)
        rows = [row for row in ROWS if not options.row or row.key in options.row]
        if options.profile:
            return _profile(session, rows)
        outcomes = []
        for row in rows:
            _say(f"{row.name}, against {row.peer.label}")
            outcomes.append(session.run(row))
        print(report.table([report.entry(outcome) for outcome in outcomes]))
        if options.row and options.write:
            report.replace(options.output, [report.entry(outcome) for outcome in outcomes])
        elif not options.row:
            _say("what the stages cost a hit")
            costs = stages.run(work)
            print(stages.table(costs))
            report.write(options.output, outcomes, costs, _conditions(options))
            _say(f"written: {options.output / report.MARKDOWN_NAME} and {options.output / report.JSON_NAME}")
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    keys = [row.key for row in ROWS]
    parser.add_argument(
        "--row", choices=keys, action="append", help="measure this row only, without writing; repeatable"
    )
    parser.add_argument("--write", action="store_true", help="put such rows into the report, for the earlier ones")
    parser.add_argument("--pairs", type=int, default=5, help="pairs a row (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds a measurement (default 4)")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the report (default docs/)")
    parser.add_argument("--profile", action="store_true", help="sample our worker under the rows' load instead")
    options = parser.parse_args(arguments)
    if options.pairs < 1 or options.seconds < 1:
        parser.error("--pairs and --seconds are at least 1")
    return options


def _profile(session: Session, rows: Sequence[Row]) -> int:
    for row in rows:
        _say(f"{row.name}: profile of edgeproxy")
        output = Path(tempfile.gettempdir()) / f"edgeproxy-profile-{row.key}"
        with session.servers(row) as (ours, _):
            work = session.warm(ours, row, session.settle(ours, row))
            print(profiling.profile(ours, work, session.seconds, output))
    return 0


def _conditions(options: argparse.Namespace) -> report.Conditions:
    sample = heads.heads(heads.urls("/1k/", 1000), HEADS)
    return report.Conditions(
        machine=proc.machine(),
        versions=peers.versions(),
        command=COMMAND,
        pairs=options.pairs,
        seconds=options.seconds,
        head_bytes=round(sum(map(len, sample)) / len(sample)),
    )


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
