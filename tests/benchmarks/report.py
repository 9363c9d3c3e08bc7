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
IMAGES, INFERENCE, BUDGETS = "images-", "inference-", "budget-"
_OTHERS = (IMAGES, INFERENCE, BUDGETS)
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
BUDGETS_BEGIN, BUDGETS_END = "<!-- budgets -->", "<!-- /budgets -->"
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


def budgets(entries: Sequence[Mapping[str, object]]) -> str:
    """The table of what is held against a budget."""
    head = "| work | unit | ours | budget | **ratio** (min to max; rounds) | must | reached | beside it |"
    lines = (
        f"| {e['name']} | {e['unit']} | {e['ours']:,} | {e['peer_value']:g} "
        f"| **{e['ratio']}** ({e['ratio_min']} to {e['ratio_max']}; {e['pairs']}) | ≤ {e['must']:g} "
        f"| {e['reached']} | {e['detail']} |"
        for e in entries
    )
    return "\n".join((head, "|" + "---|" * 8, *lines))


def fill(page: Path, entries: Sequence[Mapping[str, object]]) -> None:
    """Put the summary between the marks in ``page``."""
    _between(page, BEGIN, END, summary(entries))


def _between(page: Path, mark: str, last: str, text: str) -> bool:
    """Put a text between two marks of a page. Whether they are there."""
    before, begin, rest = page.read_text().partition(mark)
    _, end, after = rest.partition(last)
    if begin and end:
        page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
    return bool(begin and end)


def markdown(
    entries: Sequence[Mapping[str, object]],
    costs: Sequence[Cost],
    conditions: Conditions,
    others: Sequence[Mapping[str, object]] = (),
) -> str:
    """The whole page. ``others``: rows of other commands, of which those of budgets stand on it."""
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
        budgets=budgets([row for row in others if str(row["key"]).startswith(BUDGETS)]),
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
    others = _rows_of_others(folder / JSON_NAME)
    document = {
        "command": conditions.command,
        "machine": dict(conditions.machine),
        "versions": dict(conditions.versions),
        "pairs": conditions.pairs,
        "seconds": conditions.seconds,
        "rows": [*entries, *(cost.entry() for cost in costs), *others],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_NAME).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    (folder / MARKDOWN_NAME).write_text(markdown(entries, costs, conditions, others))
    if (folder.parent / "README.md").is_file():
        fill(folder.parent / "README.md", entries)


def replace(folder: Path, entries: Sequence[Mapping[str, object]]) -> None:
    """Put rows that were measured anew in the place of the earlier ones, or behind the others, in both files and the
    README. Raises BenchmarkError where there is no report."""
    file, page = folder / JSON_NAME, folder / MARKDOWN_NAME
    if not page.exists() or not file.exists():
        raise BenchmarkError(f"{folder} has no report; the whole benchmark writes one")
    document = json.loads(file.read_text())
    fresh = {row["key"]: row for row in entries}
    rows = [fresh.pop(row.get("key"), row) for row in document["rows"]]
    behind = max([place for place, row in enumerate(rows) if _stands_in_table(row)], default=-1) + 1
    document["rows"] = [*rows[:behind], *fresh.values(), *rows[behind:]]
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    entries = [row for row in document["rows"] if _stands_in_table(row)]
    text = page.read_text()
    begin = text.index(f"| {_COLUMNS[0]} |")
    end = text.index("\n\n", begin)
    page.write_text(text[:begin] + table(entries) + text[end:])
    if (folder.parent / "README.md").is_file():
        fill(folder.parent / "README.md", entries)


def _stands_in_table(row: Mapping[str, object]) -> bool:
    return "aim" in row and not str(row["key"]).startswith(_OTHERS)


def put(folder: Path, prefix: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Put another command's rows in the place of those whose keys begin so; budgets on the page too. Raises
    BenchmarkError where there is no report, or its page has no place for them."""
    file, page = folder / JSON_NAME, folder / MARKDOWN_NAME
    if not file.exists():
        raise BenchmarkError(f"{folder} has no report; the whole benchmark writes one")
    if prefix == BUDGETS and not (page.exists() and _between(page, BUDGETS_BEGIN, BUDGETS_END, budgets(rows))):
        raise BenchmarkError(f"{page} has no place for budgets; the whole benchmark makes one")
    document = json.loads(file.read_text())
    kept = [row for row in document["rows"] if not str(row.get("key", "")).startswith(prefix)]
    document["rows"] = [*kept, *rows]
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _rows_of_others(file: Path) -> list[dict[str, object]]:
    """What another command has put there stays."""
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    return [row for row in rows if str(row.get("key", "")).startswith(_OTHERS)]
