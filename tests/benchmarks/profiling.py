"""Where our CPU time goes under a row's load: py-spy where it is installed, perf otherwise."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks import load, proc
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.servers import Server

SAMPLES_PER_SECOND = 500
LINES = 40


def profile(server: Server, work: load.Load, seconds: float, output: Path) -> str:
    """Load ``server`` and sample its busiest process meanwhile. The text to read; ``output`` gets the samples."""
    pid = _busiest(server, work)
    tool = next(((name, path, run) for name, run in _TOOLS if (path := _find(name))), None)
    if tool is None:
        raise BenchmarkError("profiling needs py-spy (pip install py-spy) or perf (Debian: linux-perf)")
    name, path, run = tool
    sampler = subprocess.Popen(
        run.command(path, pid, seconds, output), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    work.run(server, seconds + 1)
    _, said = sampler.communicate(timeout=60)
    if sampler.returncode:
        raise BenchmarkError(f"{name} failed: {said[-1000:]}")
    return f"{name}, process {pid}, samples in {output}\n{run.read(path, output)}"


def shares(collapsed: Iterable[str]) -> tuple[Counter[str], Counter[str], int]:
    """Samples by frame, its own and with callees, and all samples, from collapsed stacks (``a;b;c 12``)."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0
    for line in collapsed:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        samples += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            total[frame] += int(count)
    return own, total, samples


class _PySpy:
    @staticmethod
    def command(path: str, pid: int, seconds: float, output: Path) -> list[str]:
        return [
            path, "record", "--native", "--function", "-f", "raw", "-r", str(SAMPLES_PER_SECOND),
            "-d", str(round(seconds)), "-p", str(pid), "-o", str(output),
        ]  # fmt: skip

    @staticmethod
    def read(path: str, output: Path) -> str:
        own, total, samples = shares(output.read_text().splitlines())
        python = Counter({frame: count for frame, count in total.items() if ".py:" in frame})
        return "\n\n".join((_table("own time", own, samples), _table("Python, with callees", python, samples)))


class _Perf:
    @staticmethod
    def command(path: str, pid: int, seconds: float, output: Path) -> list[str]:
        return [
            path, "record", "-F", str(SAMPLES_PER_SECOND), "-g", "-p", str(pid), "-o", str(output),
            "--", "sleep", str(seconds),
        ]  # fmt: skip

    @staticmethod
    def read(path: str, output: Path) -> str:
        command = [path, "report", "--stdio", "--no-children", "-g", "none", "-i", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "\n".join([line for line in done.stdout.splitlines() if line and line[0] != "#"][:LINES])


_TOOLS: tuple[tuple[str, type[_PySpy | _Perf]], ...] = (("py-spy", _PySpy), ("perf", _Perf))


def _table(title: str, counts: Counter[str], samples: int) -> str:
    lines = (f"{100 * count / samples:5.1f}  {frame}" for frame, count in counts.most_common(LINES))
    return "\n".join((f"    %  {title}", *lines))


def _find(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _busiest(server: Server, work: load.Load) -> int:
    """The process that does the work: the one of the server's whose CPU time grows most under a second of load."""

    def ticks() -> dict[int, int]:
        stats = proc.read_stats()
        return {stat.pid: stat.ticks for process in server.processes.values() for stat in proc.tree(stats, process.pid)}

    before = ticks()
    work.run(server, 1)
    after = ticks()
    return max(after, key=lambda pid: after[pid] - before.get(pid, 0))
