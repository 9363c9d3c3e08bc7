"""``python -m tests.benchmarks.chaos``: let origins fail, print, write docs/chaos.md and docs/chaos.json."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from tests.benchmarks import peers, proc
from tests.benchmarks.chaos import region, report
from tests.benchmarks.chaos.report import Measured
from tests.benchmarks.chaos.servers import PACKAGES, PROXIES, Proxy
from tests.benchmarks.chaos.session import Session, Times, check_quiet, combinations
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.servers import ORIGIN_CORE
from tests.benchmarks.session import work_parent
from tests.support.failing import Fault

DOCS = Path(__file__).parents[3] / "docs"
COMMAND = "python -m tests.benchmarks.chaos"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 measured, 1 a figure could not be had."""
    options = _options(arguments)
    try:
        peers.ensure(PACKAGES)
        if os.cpu_count() == 1:
            raise BenchmarkError("two cores are needed: one for the proxies, one for the load")
        os.sched_setaffinity(0, {int(ORIGIN_CORE)})
        with (
            tempfile.TemporaryDirectory(prefix="edgeproxy-chaos-", dir=work_parent()) as work,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            measured = runner.run(_measure(Path(work), options))
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    for text in (report.table(measured), report.extremes(measured), report.broken(measured), report.killed(measured)):
        print(text, end="\n\n")
    if not options.short and not options.only:
        report.write(options.output, measured)
        print(f"written: {options.output / report.MARKDOWN_NAME} and {options.output / report.JSON_NAME}")
    return 0


async def _measure(work: Path, options: argparse.Namespace) -> Measured:
    kinds: list[type[Proxy]] = [kind for kind in PROXIES if options.only in {"", kind.name}]
    times = Times()
    chosen = [each for each in combinations() if not options.short or len(each) in {1, 4}]
    session = Session(work, times, kinds)
    outcomes = []
    async with session.running():
        before = await session.quiet()
        check_quiet(before)
        for faults in [*chosen, (Fault.DRIP,)]:
            found = await session.fail(faults)
            outcomes += found
            for each in found:
                print(f"{report.named(faults)}: {each.proxy} {report.verdict(each, before[each.proxy])}", flush=True)
        after = await session.quiet()
    quiet = {name: min(each, after[name], key=lambda summary: summary.p99) for name, each in before.items()}
    killed = await region.run(work, times.rate, kinds)
    facts = {**proc.machine(), **peers.versions(("nginx", "haproxy"))}
    return Measured(quiet, outcomes, killed, times, facts, COMMAND)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--short", action="store_true", help="single failures and those of four only; writes nothing")
    names = [kind.name for kind in PROXIES]
    parser.add_argument("--only", choices=names, default="", help="one proxy; writes nothing")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the report (default docs/)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
