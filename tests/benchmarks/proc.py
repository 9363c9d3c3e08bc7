"""What /proc says: the CPU time and memory of a process and all its descendants, and the machine's facts."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """The fields of /proc/PID/stat used here (proc(5)). ``ticks``: user + system, with reaped children's."""

    pid: int
    parent: int
    ticks: int


def parse_stat(text: str) -> Stat:
    """One /proc/PID/stat. The command's name may hold blanks and parentheses; the last ``)`` ends it."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    # Counted from field 3 (state): ppid is 4; utime, stime, cutime, cstime are 14 to 17.
    return Stat(int(head.split(" ", 1)[0]), int(fields[1]), sum(int(ticks) for ticks in fields[11:15]))


def tree(stats: Iterable[Stat], root: int) -> list[Stat]:
    """``root`` and its descendants."""
    by_parent: dict[int, list[Stat]] = {}
    found: list[Stat] = []
    for stat in stats:
        by_parent.setdefault(stat.parent, []).append(stat)
        if stat.pid == root:
            found.append(stat)
    for stat in found:  # grows while it is walked: breadth first
        found.extend(by_parent.get(stat.pid, ()))
    return found


def read_stats() -> list[Stat]:
    """Every process there is; those that end meanwhile are left out."""
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stats.append(parse_stat(path.read_text()))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return stats


def cpu_seconds(root: int) -> float:
    """User and system time of ``root``, its descendants and all their threads; steps of a clock tick (10 ms)."""
    return sum(stat.ticks for stat in tree(read_stats(), root)) / TICKS_PER_SECOND


def parse_status_kib(text: str, field: str) -> int:
    """A memory field (``VmRSS``, ``VmHWM``) of /proc/PID/status in KiB; 0 where the process has none."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    return 0


def memory_kib(root: int, field: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (the peak) in KiB, added up over ``root`` and its descendants."""
    total = 0
    for stat in tree(read_stats(), root):
        total += parse_status_kib(Path(f"/proc/{stat.pid}/status").read_text(), field)
    return total


def reset_memory_peak(root: int) -> None:
    """Let ``VmHWM`` start again from what is resident now (proc(5), clear_refs)."""
    for stat in tree(read_stats(), root):
        Path(f"/proc/{stat.pid}/clear_refs").write_text("5")


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    system = next(
        (line.partition("=")[2].strip('"') for line in _lines("/etc/os-release") if line.startswith("PRETTY_NAME=")),
        platform.system(),
    )
    memory = parse_status_kib("\n".join(_lines("/proc/meminfo")), "MemTotal")
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": cpu,
        "memory": f"{memory / 1024 / 1024:.0f} GiB",
        "system": f"{system}, Linux {platform.release()}",
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
