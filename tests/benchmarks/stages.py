"""What the stages of the embedded default configuration cost a memory hit, each and together."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks import heads, servers
from tests.benchmarks.errors import BenchmarkError

SCRIPT = Path(__file__).with_name("stage_costs.py")
CONFIGURATION = Path(__file__).parents[2] / "config" / "edgeproxy.yaml"
BUDGET = 5.0  # CPU µs that all of them together may cost
REPEATS = 15
HEADS = 4096
LONGEST = 300.0  # seconds
TOGETHER = "all of them"
_NOT_COUNTED = frozenset(("cache",))  # the look-up is what the stages stand before


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU µs a hit: the median of the repeats, the least and the most."""

    name: str
    median: float
    low: float
    high: float

    def entry(self) -> dict[str, object]:
        """The row as it stands in the JSON file, beside what all stages may cost."""
        return {
            "name": f"stages on a memory hit: {self.name}",
            "unit": "CPU µs a hit",
            "peer": "what all stages may cost",
            "ours": round(self.median, 2),
            "peer_value": BUDGET,
            "ratio": round(self.median / BUDGET, 3),
            "ratio_min": round(self.low / BUDGET, 3),
            "ratio_max": round(self.high / BUDGET, 3),
        }


def run(work: Path) -> list[Cost]:
    """Measure the build that is measured elsewhere, on the servers' core. Raises BenchmarkError."""
    file = work / "stages.heads"
    heads.write(file, heads.heads(heads.urls("/1k/", 1000), HEADS))
    python = str(Path(servers.EDGEPROXY).with_name("python"))
    script = [python, "-P", str(SCRIPT), str(CONFIGURATION), str(file), str(REPEATS)]
    command = ["taskset", "-c", servers.SERVER_CORE, *script]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise BenchmarkError(f"the stages' costs could not be measured: {error}") from None
    return costs(json.loads(done.stdout))


def costs(measured: Mapping[str, Sequence[float]]) -> list[Cost]:
    """Each stage's cost, and last what they cost together; the cache's look-up is left out."""
    counted = {name: values for name, values in measured.items() if name not in _NOT_COUNTED}
    together = [sum(repeat) for repeat in zip(*counted.values(), strict=True)]
    return [
        Cost(name, median(values), min(values), max(values))
        for name, values in (*counted.items(), (TOGETHER, together))
    ]


def table(costs: Sequence[Cost]) -> str:
    """The Markdown table."""
    lines = ["| stage | CPU µs a hit (min to max) |", "|---|---|"]
    for cost in costs:
        name = f"**{cost.name}**, must 5.0 or less" if cost.name == TOGETHER else cost.name
        lines.append(f"| {name} | {cost.median:.2f} ({cost.low:.2f} to {cost.high:.2f}) |")
    return "\n".join(lines)
