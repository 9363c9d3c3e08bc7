"""A trained version put on the shelf: its file, its entry in the manifest, and the table on its card."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import yaml

from edgeproxy.inference.manifest import FILE

CARD: Final = "README.md"
OUTLINE: Final = "outline.yaml"  # in place of a manifest: a model whose file is not shipped
_TABLE: Final = re.compile(r"(?<=<!-- quality -->\n).*?(?=<!-- /quality -->)", re.DOTALL)
_VERSIONS: Final = "\nversions:\n"
_LIST: Final = "tag:yaml.org,2002:seq"

Quality = dict[str, float | int | str]


class Trained(NamedTuple):
    """What ``train(seed)`` of a model's train.py gives: the content of its file, what was measured on data it had not
    seen, and the ``sample`` and ``histograms`` of its manifest as they stand in YAML."""

    model: bytes
    quality: Quality
    sample: dict[str, Any]
    histograms: Mapping[str, Any] = MappingProxyType({})


def put(folder: Path, number: str, trained: Trained) -> None:
    """Write version ``number``, in place of what stands there under that number, and the card's table, which is the
    newest version's. The manifest's ``versions`` are its last entry; what stands before them is left as it is."""
    manifest = folder / FILE
    head, _, rest = manifest.read_text(encoding="utf-8").partition(_VERSIONS)
    versions = yaml.safe_load(rest) if rest else {}
    versions[number] = {"sha256": hashlib.sha256(trained.model).hexdigest(), "quality": trained.quality}
    versions[number] |= {"sample": trained.sample}
    if trained.histograms:
        versions[number]["histograms"] = dict(trained.histograms)
    file = folder / number / "model.onnx"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(trained.model)
    text = yaml.dump(versions, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118)
    manifest.write_text(head.rstrip("\n") + _VERSIONS + _indented(text), encoding="utf-8")
    card = folder / CARD
    card.write_text(_TABLE.sub(lambda _: table(trained.quality), card.read_text(encoding="utf-8")), encoding="utf-8")


def head(text: str) -> str:
    """A manifest's text without its versions."""
    return text.partition(_VERSIONS)[0].rstrip("\n") + "\n"


def table(quality: Quality) -> str:
    """As on the card, Markdown."""
    rows = [f"| {what} | {value} |\n" for what, value in quality.items()]
    return "".join(["| measure | value |\n", "| --- | --- |\n", *rows])


def tabled(card: str) -> dict[str, str]:
    """What the table of a card says: the values as text, by measure."""
    found = _TABLE.search(card)
    rows = found[0].splitlines()[2:] if found else []
    return dict(tuple(cell.strip() for cell in row.strip("| ").split(" | ", 1)) for row in rows)  # type: ignore[misc]


def differences(shipped: Quality, measured: Quality, within: float = 0.005) -> list[str]:
    """What is not as shipped: a measure more or less, another word, or a number further off than ``within`` of its
    size (the sums of other processors end in other digits)."""
    found = [f"{what}: only here" for what in measured.keys() - shipped.keys()]
    for what, was in shipped.items():
        now = measured.get(what)
        if isinstance(was, str) or isinstance(now, str | None):
            same = now == was
        else:
            same = abs(now - was) <= within * max(1.0, abs(was))
        if not same:
            found.append(f"{what}: {was} shipped, {now} now")
    return found


class _Dumper(yaml.SafeDumper):
    """Mappings with a line for each key, lists in as few lines as they take: a sample may be hundreds of numbers."""


_Dumper.add_representer(list, lambda dumper, values: dumper.represent_sequence(_LIST, values, flow_style=True))


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" if line else "\n" for line in text.splitlines())
