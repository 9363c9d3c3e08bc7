"""docs/benchmarks.json and docs/benchmarks.md, from what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks import stages
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.load import LOAD_CORE
from tests.benchmarks.servers import SERVER_CORE, Template
from tests.benchmarks.session import HEADS, Outcome
from tests.benchmarks.stages import Cost

PAGE = Path(__file__).with_name("page.md")
JSON_NAME = "benchmarks.json"
MARKDOWN_NAME = "benchmarks.md"
# How the keys of the rows begin that other commands measure: tests.benchmarks.images and tests.benchmarks.inference.
IMAGES, INFERENCE = "images-", "inference-"
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
_COLUMNS = (
    "work",
    "peer",
    "unit",
    "ours",
    "peer's",
    "**ratio** (min to max; pairs)",
    "requests/s, ours : peer",
    "cores busy, ours : peer",
    "must",
    "aim",
    "reached",
)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Where and how the figures were had."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    command: str
    pairs: int
    seconds: float
    head_bytes: int


def entry(outcome: Outcome) -> dict[str, object]:
    """One row as it stands in the JSON file."""
    row, ratio = outcome.row, outcome.ratio
    return {
        "key": row.key,
        "name": row.name,
        "unit": row.unit,
        "peer": row.peer.label,
        "ours": round(ratio.ours, 2),
        "peer_value": round(ratio.peer, 2),
        "ratio": round(ratio.median, 3),
        "ratio_min": round(ratio.low, 3),
        "ratio_max": round(ratio.high, 3),
        "ours_rps": round(median(sample.rate for sample in outcome.ours), 1),
        "peer_rps": round(median(sample.rate for sample in outcome.peer), 1),
        "ours_busy": round(median(sample.cpu() / sample.seconds for sample in outcome.ours), 2),
        "peer_busy": round(median(sample.cpu() / sample.seconds for sample in outcome.peer), 2),
        "ours_memory_growth_kib": max(sample.memory_growth for sample in outcome.ours),
        "peer_memory_growth_kib": max(sample.memory_growth for sample in outcome.peer),
        "must": row.target.must,
        "aim": row.target.aim,
        "higher_is_better": row.target.higher_is_better,
        "reached": row.target.reached(ratio.median),
        "pairs": len(outcome.ours),
    }


def table(entries: Sequence[Mapping[str, object]]) -> str:
    """The Markdown table."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
    for e in entries:
        sign = "≥" if e["higher_is_better"] else "≤"
        lines.append(
            f"| {e['name']} | {e['peer']} | {e['unit']} | {e['ours']:,} | {e['peer_value']:,} "
            f"| **{e['ratio']}** ({e['ratio_min']} to {e['ratio_max']}; {e['pairs']}) "
            f"| {e['ours_rps']:,.0f} : {e['peer_rps']:,.0f} | {e['ours_busy']} : {e['peer_busy']} "
            f"| {sign} {e['must']} | {sign} {e['aim']} | {e['reached']} |"
        )
    return "\n".join(lines)


def summary(entries: Sequence[Mapping[str, object]]) -> str:
    """The README's table: what a deployer wants to know first."""
    lines = ["| work | beside | CPU, ratio (min to max) | wanted |", "|---|---|---|---|"]
    for e in entries:
        sign = "≥" if e["higher_is_better"] else "≤"
        lines.append(
            f"| {e['name']} | {e['peer']} "
            f"| **{e['ratio']}** ({e['ratio_min']} to {e['ratio_max']}) | {sign} {e['must']} |"
        )
    return "\n".join(lines)


def fill(page: Path, entries: Sequence[Mapping[str, object]]) -> None:
    """Put the summary between the marks in ``page``."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        page.write_text(f"{before}{begin}\n{summary(entries)}\n{end}{after}")


def markdown(entries: Sequence[Mapping[str, object]], costs: Sequence[Cost], conditions: Conditions) -> str:
    """The whole page."""
    c = conditions
    stream = [e for e in entries if e["key"] == "stream"]
    memory = "".join(
        f"While it streamed, edgeproxy's resident memory peaked {e['ours_memory_growth_kib']:,} KiB above where it "
        f"stood before, nginx's {e['peer_memory_growth_kib']:,} KiB.\n\n"
        for e in stream
    )
    facts = "\n".join(f"| {name} | {value} |" for name, value in {**c.machine, **c.versions}.items())
    return Template(PAGE.read_text()).substitute(
        command=c.command,
        pairs=c.pairs,
        seconds=c.seconds,
        table=table(entries),
        stages=stages.table(costs),
        repeats=stages.REPEATS,
        memory=memory,
        heads=f"{HEADS:,}",
        head_bytes=c.head_bytes,
        server_core=SERVER_CORE,
        load_core=LOAD_CORE,
        facts=facts,
    )


def write(folder: Path, outcomes: Sequence[Outcome], costs: Sequence[Cost], conditions: Conditions) -> None:
    """Both files, into ``folder``."""
    entries = [entry(outcome) for outcome in outcomes]
    document = {
        "command": conditions.command,
        "machine": dict(conditions.machine),
        "versions": dict(conditions.versions),
        "pairs": conditions.pairs,
        "seconds": conditions.seconds,
        "rows": [*entries, *(cost.entry() for cost in costs), *_rows_of_others(folder / JSON_NAME)],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_NAME).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    (folder / MARKDOWN_NAME).write_text(markdown(entries, costs, conditions))
    if (folder.parent / "README.md").is_file():
        fill(folder.parent / "README.md", entries)


def replace(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """Put rows that were measured anew in the place of the earlier ones, in both files and the README. Raises
    BenchmarkError where there is no report that has them."""
    file, page = folder / JSON_NAME, folder / MARKDOWN_NAME
    fresh = {outcome.row.key: entry(outcome) for outcome in outcomes}
    document = json.loads(file.read_text()) if file.exists() else {"rows": []}
    if not page.exists() or fresh.keys() - {row.get("key") for row in document["rows"]}:
        raise BenchmarkError(f"{folder} has no report with these rows; the whole benchmark writes one")
    document["rows"] = [fresh.get(row.get("key"), row) for row in document["rows"]]
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    entries = [row for row in document["rows"] if "aim" in row and not row["key"].startswith((IMAGES, INFERENCE))]
    text = page.read_text()
    begin = text.index(f"| {_COLUMNS[0]} |")
    end = text.index("\n\n", begin)
    page.write_text(text[:begin] + table(entries) + text[end:])
    if (folder.parent / "README.md").is_file():
        fill(folder.parent / "README.md", entries)


def _rows_of_others(file: Path) -> list[dict[str, object]]:
    """What another command has put there stays."""
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    return [row for row in rows if str(row.get("key", "")).startswith((IMAGES, INFERENCE))]
