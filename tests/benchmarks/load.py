"""The load: wrk replaying request heads from a file."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.errors import BenchmarkError

SCRIPT = Path(__file__).with_name("replay.lua")
LOAD_CORE = "1"


@dataclass(frozen=True, slots=True)
class Load:
    """How hard, and with which heads."""

    heads: Path
    connections: int = 64


@dataclass(frozen=True, slots=True)
class Result:
    """What wrk counted: answers read whole, bytes read, time."""

    requests: int
    seconds: float
    bytes: int

    @classmethod
    def parse(cls, output: str) -> Result:
        """From replay.lua's RESULT line. Raises BenchmarkError when any request failed or nothing was answered."""
        line = next((line for line in output.splitlines() if line.startswith("RESULT ")), None)
        if line is None:
            raise BenchmarkError(f"wrk reported no result:\n{output}")
        counts = json.loads(line.removeprefix("RESULT "))
        requests, microseconds, size = (counts.pop(name) for name in ("requests", "microseconds", "bytes"))
        if failed := {name: count for name, count in counts.items() if count}:
            raise BenchmarkError(f"requests failed under load: {failed}")
        if not requests:
            raise BenchmarkError("no request was answered under load")
        return cls(requests, microseconds / 1e6, size)


def run(port: int, load: Load, seconds: float) -> Result:
    """One wrk thread on its own core. Raises BenchmarkError."""
    command = [
        "taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s",
        "--timeout", "10s", "-s", str(SCRIPT), f"http://127.0.0.1:{port}/", "--", str(load.heads),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise BenchmarkError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    return Result.parse(done.stdout)
