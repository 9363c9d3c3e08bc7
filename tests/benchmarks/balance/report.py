"""docs/balance.json, whose parts are measured one at a time, and docs/balance.md, which is made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from tests.benchmarks.balance.figures import Table, markdown, told
from tests.benchmarks.balance.model import Shipped
from tests.benchmarks.balance.policies import DEFAULT, LEARNED

PAGE = Path(__file__).with_name("page.md")
MARKDOWN_NAME, JSON_NAME = "balance.md", "balance.json"
MUST = 15.0  # percent that the default's mean is below the reference's, at least
NOT_YET = "*Not measured yet.*"
BETTER = (
    "Its p99 is lower for certain and its mean is no higher, for that much processor time a request. It is offered, "
    "and not the default: that is nearly as good, and needs no training."
)
WORSE = "**It is not worth it** here; where it is, its metrics tell."


def section(table: Table, runs: int) -> dict[str, Any]:
    """A table as it stands in the JSON file."""
    return {"runs": runs, "rows": table.rows()}


def of_model(model: Shipped, usual: Table, shift: Table) -> dict[str, Any]:
    """What the model is, and what it is beside the default."""
    beside = {name: vars(table.against(LEARNED, DEFAULT.name)) for name, table in (("usual", usual), ("shift", shift))}
    return {
        "rows": model.rows,
        "bytes": model.bytes,
        "error": round(model.errors[0], 3),
        "plain_error": round(model.errors[1], 3),
        "decision_us": round(model.cost, 1),
        "beside_default": beside,
        "worth_it": worth_it(beside["usual"]),
    }


def worth_it(change: Mapping[str, float]) -> bool:
    """Whether a model has earned its place: a p99 that is lower for certain, and no mean that is higher for certain."""
    return change["p99"] + change["p99_ci"] < 0 and change["mean"] - change["mean_ci"] <= 0


def write(folder: Path, parts: Mapping[str, Any]) -> None:
    """Put parts into the JSON file, and make the page anew from all there are."""
    file = folder / JSON_NAME
    whole: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    whole |= parts
    file.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    (folder / MARKDOWN_NAME).write_text(page(whole), encoding="utf-8")


def page(whole: Mapping[str, Any]) -> str:
    """The whole page."""
    tables = {name: _table(whole.get(name)) for name in ("simulation", "shift", "loopback")}
    runs = {f"{name}_runs": (whole.get(name) or {}).get("runs", 0) for name in tables}
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        tables, **runs, verdict=_verdict(whole.get("simulation")), model=_model(whole.get("model"))
    )


def _table(part: Mapping[str, Any] | None) -> str:
    return NOT_YET if part is None else markdown(part["rows"])


def _verdict(part: Mapping[str, Any] | None) -> str:
    if part is None:
        return NOT_YET
    change = next(row["change"] for row in part["rows"] if row["policy"] == DEFAULT.name)
    reached = "reached" if change["mean"] <= -MUST else "**not reached**"
    return (
        f"The default beside the less busy of two with peak EWMA: mean {told(change, 'mean')}, p95 "
        f"{told(change, 'p95')}, p99 {told(change, 'p99')}. It must be {MUST:.0f} % below in mean: {reached}."
    )


def _model(part: Mapping[str, Any] | None) -> str:
    if part is None:
        return NOT_YET
    usual, shift = part["beside_default"]["usual"], part["beside_default"]["shift"]
    verdict = BETTER if part["worth_it"] else WORSE
    return (
        f"{part['rows']:,} rows, {part['bytes'] / 1000:.0f} kB of ONNX. Mean error of the log of the time in other "
        f"worlds: {part['error']:.3f}, of the plain expectation {part['plain_error']:.3f}. Ten rows take "
        f"{part['decision_us']:.0f} µs of processor time.\n\n"
        f"`learned` beside the default, which asks no model: mean {told(usual, 'mean')}, p95 {told(usual, 'p95')}, p99 "
        f"{told(usual, 'p99')}; after the shift, which it was not trained for: mean {told(shift, 'mean')}, p95 "
        f"{told(shift, 'p95')}, p99 {told(shift, 'p99')}.\n\n{verdict}"
    )
