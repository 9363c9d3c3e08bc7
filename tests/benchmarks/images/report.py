"""docs/images-benchmark.md and the rows of pictures in docs/benchmarks.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from tests.benchmarks.images.gallery import Original
from tests.benchmarks.images.servers import WIDTH
from tests.benchmarks.images.session import Comparison, Side
from tests.benchmarks.images.tuning import LIKE
from tests.benchmarks.load import LOAD_CORE
from tests.benchmarks.report import IMAGES, JSON_NAME
from tests.benchmarks.servers import SERVER_CORE, Template
from tests.benchmarks.stats import Ratio, Target

PAGE = Path(__file__).with_name("page.md")
MARKDOWN_NAME = "images-benchmark.md"
_NAMES = {"jpeg": "JPEG", "webp": "WebP", "avif": "AVIF, first answer", "avif-better": "AVIF, better copy"}
_TARGETS = {"jpeg": Target(1.0, 0.8), "webp": Target(1.0, 0.8), "avif": Target(0.3, 0.2)}
"""CPU at equal likeness, beside thumbor; none for what is made while nobody waits."""


def entries(comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    """The rows as they stand in the JSON file: CPU, bytes, and peak memory."""
    rows = []
    for c in comparisons:
        key, name = f"{IMAGES}{c.work}-{c.peer.split()[0]}", f"{WIDTH} px {_NAMES[c.work]}, equal SSIM"
        target = _TARGETS.get(c.work) if c.peer.startswith("thumbor") else None
        rows.append(_row(key, name, "CPU ms a picture", c.peer, c.cpu, 1000, target) | _likenesses(c))
        rows.append(_row(f"{key}-bytes", f"{name}: size", "kB a picture", c.peer, c.bytes, 0.001))
    for peer in dict.fromkeys(c.peer for c in comparisons):
        sides = [(c.ours.memory, c.theirs.memory) for c in comparisons if c.peer == peer]
        ours, theirs = (max(values) for values in zip(*sides, strict=True))
        each = [a / b for a, b in sides]
        peak = Ratio(ours, theirs, ours / theirs, min(each), max(each))
        key, name = f"{IMAGES}memory-{peer.split()[0]}", f"{WIDTH} px pictures: peak memory of all processes"
        rows.append(_row(key, name, "MiB", peer, peak, 1 / 1024))
    return rows


def _row(
    key: str, name: str, unit: str, peer: str, ratio: Ratio, scale: float, target: Target | None = None
) -> dict[str, object]:
    row: dict[str, object] = {
        "key": key,
        "name": name,
        "unit": unit,
        "peer": peer,
        "ours": round(ratio.ours * scale, 2),
        "peer_value": round(ratio.peer * scale, 2),
        "ratio": round(ratio.median, 3),
        "ratio_min": round(ratio.low, 3),
        "ratio_max": round(ratio.high, 3),
    }
    if target is not None:
        row |= {"must": target.must, "aim": target.aim, "reached": target.reached(ratio.median)}
    return row


def _likenesses(c: Comparison) -> dict[str, object]:
    ours, theirs = c.ours.answers.mean_likeness, c.theirs.answers.mean_likeness
    return {"ours_ssim": round(ours, 4), "peer_ssim": round(theirs, 4), "ssim_apart": round(c.unlike, 4)}


def equal_table(comparisons: Sequence[Comparison]) -> str:
    """Ours at each peer's likeness."""
    columns = (
        "format",
        "peer",
        "SSIM, ours : peer (most apart)",
        "CPU ms a picture, ours : peer",
        "**CPU ratio** (min to max)",
        "kB a picture, ours : peer",
        "bytes ratio (min to max)",
        "must",
        "reached",
    )
    lines = _head(columns)
    for c in comparisons:
        row, size = entries([c])[:2]
        must = f"≤ {row['must']}" if "must" in row else ""
        lines.append(
            f"| {_NAMES[c.work]} | {c.peer} | {row['ours_ssim']} : {row['peer_ssim']} ({row['ssim_apart']}) "
            f"| {row['ours']} : {row['peer_value']} | **{row['ratio']}** ({row['ratio_min']} to {row['ratio_max']}) "
            f"| {size['ours']} : {size['peer_value']} | {size['ratio']} ({size['ratio_min']} to {size['ratio_max']}) "
            f"| {must} | {row.get('reached', '')} |"
        )
    return "\n".join(lines)


def default_table(comparisons: Sequence[Comparison]) -> str:
    """Each server at the quality and effort it comes with."""
    columns = ("format", "server", "CPU ms a picture", "ms until answered", "pictures a CPU second", "kB a picture")
    lines = _head((*columns, "SSIM", "peak MiB"))
    for work in dict.fromkeys(c.work for c in comparisons):
        same = [c for c in comparisons if c.work == work]
        lines.append(_line(work, "edgeproxy", same[0].by_default))
        lines.extend(_line(work, c.peer, c.theirs) for c in same)
    return "\n".join(lines)


def _head(columns: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]


def _line(work: str, label: str, side: Side) -> str:
    wall = mean(batch.seconds for batch in side.batches) * 1000
    return (
        f"| {_NAMES[work]} | {label} | {side.cpu * 1000:.1f} | {wall:.0f} | {1 / side.cpu:.1f} "
        f"| {side.answers.mean_bytes / 1000:.1f} | {side.answers.mean_likeness:.4f} | {side.memory / 1024:.0f} |"
    )


def pictures_table(originals: Sequence[Original]) -> str:
    """What was asked for, and whose it is."""
    lines = _head(("picture", "pixels", "kB", "by", "licence", "taken from"))
    for o in originals:
        width, height = o.size
        lines.append(
            f"| `{o.name}` | {width} x {height} | {o.bytes / 1000:.0f} | {o.author} | {o.licence} | {o.source} |"
        )
    return "\n".join(lines)


def markdown(
    comparisons: Sequence[Comparison],
    originals: Sequence[Original],
    facts: Mapping[str, str],
    command: str,
    rounds: int,
) -> str:
    """The whole page."""
    return Template(PAGE.read_text()).substitute(
        command=command,
        rounds=rounds,
        width=WIDTH,
        number=len(originals),
        like=LIKE,
        equal=equal_table(comparisons),
        default=default_table(comparisons),
        pictures=pictures_table(originals),
        facts="\n".join(f"| {name} | {value} |" for name, value in facts.items()),
        server_core=SERVER_CORE,
        load_core=LOAD_CORE,
    )


def write_rows(file: Path, comparisons: Sequence[Comparison]) -> None:
    """Put these rows in the place of the earlier ones of pictures; all others stay as they are."""
    document = json.loads(file.read_text()) if file.exists() else {"rows": []}
    others = [row for row in document["rows"] if not str(row.get("key", "")).startswith(IMAGES)]
    document["rows"] = [*others, *entries(comparisons)]
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def write(folder: Path, comparisons: Sequence[Comparison], page: str) -> None:
    """Both files, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / JSON_NAME, comparisons)
    (folder / MARKDOWN_NAME).write_text(page)
