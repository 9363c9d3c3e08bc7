"""One measurement of one server under one load, and the checks without which it does not count."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.benchmarks import load
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.servers import OriginServer, Server

LOG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run has to show. ``size``: bytes of body in every answer; ``under_way``: requests at once."""

    size: int
    cached: bool
    under_way: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. ``memory_growth``: KiB the peak of resident memory rose above what it was before."""

    requests: int
    seconds: float
    bytes: int
    parts: Mapping[str, float]
    workers: int
    memory_growth: int

    def cpu(self, parts: tuple[str, ...] = ()) -> float:
        """CPU seconds of the named processes and their descendants; of all without names."""
        return sum(seconds for name, seconds in self.parts.items() if not parts or name in parts)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def measure(server: Server, origin: OriginServer, work: load.Load, expected: Expected, seconds: float) -> Sample:
    """Load the server once. The CPU counted includes what it does afterwards, until its access log is complete.

    Raises BenchmarkError when a request failed, the log or the origin counted differently, or bodies were short.
    """
    server.clear_log()
    server.reset_memory_peak()
    resident = server.memory_kib("VmRSS")
    fetched = origin.requests()
    before = server.cpu_seconds()
    result = work.run(server, seconds)
    logged = await_log(server, result.requests)
    after = server.cpu_seconds()
    fetched = origin.requests() - fetched - 1  # the second question itself
    sample = Sample(
        requests=result.requests,
        seconds=result.seconds,
        bytes=result.bytes,
        parts={name: after[name] - before[name] for name in after},
        workers=server.workers,
        memory_growth=server.memory_kib("VmHWM") - resident,
    )
    for problem in problems(sample, logged=logged, fetched=fetched, expected=expected):
        raise BenchmarkError(f"{server.name}: {problem}")
    return sample


def problems(sample: Sample, *, logged: int, fetched: int, expected: Expected) -> list[str]:
    """Why a sample does not count; empty when it does.

    ``logged``: lines in the server's access log; ``fetched``: requests the origin saw. Both may exceed what the load
    generator counted by what was under way at its end.
    """
    found = []
    most = sample.requests + expected.under_way
    if not sample.requests <= logged <= most:
        found.append(f"answered {sample.requests} requests but logged {logged}")
    if expected.cached and fetched:
        found.append(f"{fetched} of {sample.requests} requests went to the origin; all should be hits")
    if not expected.cached and not sample.requests <= fetched <= most:
        found.append(f"{sample.requests} requests but {fetched} at the origin; all should go there")
    if sample.bytes < sample.requests * expected.size:
        found.append(f"{sample.bytes} bytes are too few for {sample.requests} bodies of {expected.size}")
    if not expected.size and sample.bytes > sample.requests * 1024:
        found.append(f"{sample.bytes} bytes are too many for {sample.requests} answers without a body")
    return found


def await_log(server: Server, lines: int) -> int:
    """The lines in the access log, once there are ``lines`` and no more are coming: logs are written in batches."""
    deadline = time.monotonic() + LOG_SECONDS
    last = -1
    while (logged := server.log_lines()) != last or logged < lines:
        if time.monotonic() > deadline:
            break
        last = logged
        time.sleep(1.2)  # longer than any of the servers keeps a line back
    return logged
