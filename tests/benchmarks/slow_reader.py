"""``python -m tests.benchmarks.slow_reader [--write]``: a hundred streams on one HTTP/2 connection, in turns with one
among them whose answer is not read and without it: what the others wait for theirs, and the memory it takes.
"""

from __future__ import annotations

import argparse
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import proc, report
from tests.benchmarks.stats import Ratio, Target, quantile
from tests.support.http2_client import Http2Client
from tests.support.http3 import Http3Site
from tests.support.origin import answer

DOCS = Path(__file__).parents[2] / "docs"
STREAMS = 100
REQUESTS = 3_000  # of each turn
SMALL, LARGE = 16_000, 50_000_000  # bytes of body; the small ones fit into a stream's window
WINDOW = 65_535
TARGET = Target(1.1, 1.0)


def turn(address: tuple[str, int], context: ssl.SSLContext, *, slow: bool) -> list[float]:
    """Seconds from a request to the end of its answer, of all but the slow one."""
    with Http2Client(address, context=context, window=WINDOW, takes=False) as client:
        client.h2.increment_flow_control_window((1 << 30) - WINDOW)
        if slow:
            stalled = client.streams[client.ask(b"/large")]
            client.until(lambda: len(stalled.body) == WINDOW)
        began: dict[int, float] = {}
        took: list[float] = []
        while len(took) < REQUESTS:
            while len(began) < STREAMS - 1:
                began[client.ask(b"/small")] = time.perf_counter()
            client.step()
            now = time.perf_counter()
            for number in [number for number in began if client.streams[number].over]:
                took.append(now - began.pop(number))
                if len(client.streams.pop(number).body) != SMALL:
                    raise RuntimeError("an answer that is not whole")
        return took


def entry(beside: Sequence[Sequence[float]], alone: Sequence[Sequence[float]]) -> dict[str, object]:
    """The row of the report: p99 in milliseconds."""
    ours, peer = ([1000 * quantile(turn, 0.99) for turn in turns] for turns in (beside, alone))
    ratio = Ratio.of(ours, peer)
    rates = [sorted(len(turn) / sum(turn) * (STREAMS - 1) for turn in turns) for turns in (beside, alone)]
    return {
        "key": "http2-slow-reader",
        "name": "HTTP/2, 99 streams beside one that is not read: p99",
        "unit": "ms",
        "peer": "the same without it",
        "ours": round(ratio.ours, 2),
        "peer_value": round(ratio.peer, 2),
        "ratio": round(ratio.median, 3),
        "ratio_min": round(ratio.low, 3),
        "ratio_max": round(ratio.high, 3),
        "ours_rps": round(rates[0][len(beside) // 2], 1),
        "peer_rps": round(rates[1][len(alone) // 2], 1),
        "ours_busy": 0.0,
        "peer_busy": 0.0,
        "must": TARGET.must,
        "aim": TARGET.aim,
        "higher_is_better": False,
        "reached": TARGET.reached(ratio.median),
        "pairs": len(beside),
    }


def main() -> int:
    """The exit status: 0 within the limit, 1 beyond it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the row into docs/benchmarks.*")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    beside: list[list[float]] = []
    alone: list[list[float]] = []
    with Http3Site() as site:
        kept = (b"Cache-Control: max-age=600", b"Content-Type: image/webp")
        site.site.on(b"/small", answer(200, bytes(SMALL), *kept))
        site.site.on(b"/large", answer(200, bytes(LARGE), *kept))
        context = site.context()
        context.set_alpn_protocols(["h2"])
        for path in (b"/small", b"/large"):
            with Http2Client(site.address, context=context) as client:
                client.get(path)
        before = proc.memory_kib(site.edge.worker_pids()[0], "VmRSS")
        proc.reset_memory_peak(site.edge.worker_pids()[0])
        for _ in range(options.rounds):
            beside.append(turn(site.address, context, slow=True))
            alone.append(turn(site.address, context, slow=False))
        grown = proc.memory_kib(site.edge.worker_pids()[0], "VmHWM") - before
    row = entry(beside, alone)
    print(report.table([row]))
    print(f"the worker's memory peaked {grown:,} KiB above what it was before")
    if options.write:
        report.replace(DOCS, [row])
    return int(row["reached"] == "no")


if __name__ == "__main__":
    sys.exit(main())
