"""``python -m tests.benchmarks.images``: measure, print, write docs/images-benchmark.md and docs/benchmarks.json."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import proc
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.images import gallery, peers, report
from tests.benchmarks.images.servers import EdgeproxyPictures, EdgeproxyUnhurried, Ipx, Origin, Pictures, Thumbor
from tests.benchmarks.images.session import Comparison, Session
from tests.benchmarks.load import LOAD_CORE

# What is made: in which format, by which of our servers, beside whom.
WORK: dict[str, tuple[str, type[Pictures], tuple[type[Pictures], ...]]] = {
    "jpeg": ("jpeg", EdgeproxyPictures, (Thumbor, Ipx)),
    "webp": ("webp", EdgeproxyPictures, (Thumbor, Ipx)),
    "avif": ("avif", EdgeproxyPictures, (Thumbor, Ipx)),
    "avif-better": ("avif", EdgeproxyUnhurried, (Thumbor,)),
}
DOCS = Path(__file__).parents[3] / "docs"
COMMAND = "python -m tests.benchmarks.images"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 measured, 1 a figure could not be had."""
    options = _options(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="edgeproxy-images-"))
    try:
        if os.cpu_count() == 1:
            raise BenchmarkError("two cores are needed: one for the server, one for the origin")
        _say("the peers are set up")
        peers.ensure(folder)
        _say("the pictures are gathered")
        originals = gallery.gather(folder / "originals")
        originals = [original for original in originals if not options.picture or original.name in options.picture]
        os.sched_setaffinity(0, {int(LOAD_CORE)})
        comparisons = _measure(folder, originals, options)
        print(report.equal_table(comparisons), report.default_table(comparisons), sep="\n\n")
        if not options.picture and not options.work:
            facts = {**proc.machine(), **peers.versions(folder)}
            page = report.markdown(comparisons, originals, facts, COMMAND, options.rounds)
            report.write(options.output, comparisons, page)
            _say(f"written: {options.output / report.MARKDOWN_NAME}, rows of {options.output / report.JSON_NAME}")
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _measure(folder: Path, originals: Sequence[gallery.Original], options: argparse.Namespace) -> list[Comparison]:
    comparisons = []
    with Origin(folder) as origin:
        for work in options.work or WORK:
            form, ours, theirs = WORK[work]
            with contextlib.ExitStack() as running:
                servers = [running.enter_context(kind(folder, origin_port=origin.port)) for kind in (ours, *theirs)]
                session = Session(originals, servers[0], servers[1:], options.rounds, _say)
                comparisons += session.compare(work, form)
    return comparisons


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--work", choices=WORK, action="append", help="this only, without writing; repeatable")
    parser.add_argument("--picture", action="append", help="this one only, without writing; repeatable")
    parser.add_argument("--rounds", type=int, default=3, help="times every picture is asked for (default 3)")
    parser.add_argument("--folder", type=Path, help="for the peers and pictures, kept (default a temporary one)")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the report (default docs/)")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    if options.folder is not None:
        options.folder = options.folder.resolve()
        options.folder.mkdir(parents=True, exist_ok=True)
    return options


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
