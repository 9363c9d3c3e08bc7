"""``python -m tests.benchmarks.http3 [--write]``: a small hit over HTTP/3 beside a bare qh3 handler, in turns.

CPU time of the server's processes for each request, so that what else runs on the machine counts for little. The bare
handler (`http3_bare`) does nothing but answer; the proxy routes, looks up, counts and logs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks import report
from tests.benchmarks.proc import cpu_seconds
from tests.benchmarks.stats import Ratio, Target
from tests.support.http3 import Http3Site
from tests.support.origin import answer
from tests.support.ports import end_process, free_port
from tests.support.quic import QuicClient

DOCS = Path(__file__).parents[2] / "docs"
TARGET = Target(1.2, 1.0)
CONNECTIONS, IN_FLIGHT = 4, 8


class Run(NamedTuple):
    """Requests answered in one turn, a second, and microseconds of the server's CPU for each."""

    rate: float
    cpu: float


@contextmanager
def bare(certificate: Path, key: Path) -> Iterator[tuple[int, int]]:
    """Port and pid of the bare handler."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.http3_bare", str(port), str(certificate), str(key)]
    process = subprocess.Popen(command)
    try:
        yield port, process.pid
    finally:
        end_process(process)


def answers(port: int) -> None:
    """Wait until somebody answers there."""
    deadline = time.monotonic() + 15
    while True:
        try:
            with QuicClient(("127.0.0.1", port), timeout=1) as client:
                client.connect().get(b"/hit")
                return
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


def turn(port: int, pid: Callable[[], int], seconds: float) -> Run:
    """One turn of load."""
    before = cpu_seconds(pid())
    command = [sys.executable, "-m", "tests.benchmarks.http3_load", str(port), str(seconds)]
    told = subprocess.run([*command, str(CONNECTIONS), str(IN_FLIGHT)], capture_output=True, text=True, check=True)
    answered = int(told.stdout)
    return Run(answered / seconds, (cpu_seconds(pid()) - before) / answered * 1e6)


def entry(ours: list[Run], bare: list[Run]) -> dict[str, object]:
    """The row of the report."""
    ratio = Ratio.of([run.cpu for run in ours], [run.cpu for run in bare])
    return {
        "key": "http3-1k",
        "name": "HTTP/3, L1 hit, 1 KiB",
        "unit": "CPU µs a request",
        "peer": "a bare qh3 handler",
        "ours": round(ratio.ours, 2),
        "peer_value": round(ratio.peer, 2),
        "ratio": round(ratio.median, 3),
        "ratio_min": round(ratio.low, 3),
        "ratio_max": round(ratio.high, 3),
        "ours_rps": round(median(run.rate for run in ours), 1),
        "peer_rps": round(median(run.rate for run in bare), 1),
        "ours_busy": round(median(run.rate * run.cpu / 1e6 for run in ours), 2),
        "peer_busy": round(median(run.rate * run.cpu / 1e6 for run in bare), 2),
        "must": TARGET.must,
        "aim": TARGET.aim,
        "higher_is_better": False,
        "reached": TARGET.reached(ratio.median),
        "pairs": len(ours),
    }


def main() -> int:
    """The exit status: 0 within the limit, 1 beyond it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the row into docs/benchmarks.*")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ours: list[Run] = []
    theirs: list[Run] = []
    with Http3Site() as site, bare(*site.pair) as (port, pid):
        site.site.on(b"/hit", answer(200, b"x" * 1024, b"Cache-Control: max-age=600", b"Content-Type: text/plain"))
        answers(site.port)
        answers(port)
        for _ in range(options.rounds):
            ours.append(turn(site.port, lambda: site.edge.worker_pids()[0], options.seconds))
            theirs.append(turn(port, lambda: pid, options.seconds))
    row = entry(ours, theirs)
    print(report.table([row]))
    if options.write:
        report.replace(DOCS, [row])
    return int(row["reached"] == "no")


if __name__ == "__main__":
    sys.exit(main())
