"""A version of a model written beside the others: the file first, then the manifest that names it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from edgeproxy.config.load import read_file
from edgeproxy.inference.folders import MODEL
from edgeproxy.inference.manifest import FILE, Manifest, VersionSpec, load

_VARIABLE: Final = re.compile(r"\$(?=\{)")


def newest(manifest: Manifest) -> str:
    """The number of the version made last."""
    return max(manifest.versions, key=int)


def specified(model: bytes, entry: Mapping[str, Any]) -> VersionSpec:
    """A version as the manifest will name it. Raises ValueError where the entry is none."""
    try:
        return VersionSpec.model_validate({"sha256": hashlib.sha256(model).hexdigest(), **entry})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def add(folder: Path, model: bytes, spec: VersionSpec) -> str:
    """Write a version into a model's folder; its number. What serves from there finds it when the manifest names it.

    The manifest's text stays as it is but for the new lines. Raises ConfigErrors, ValueError and OSError.
    """
    file = folder / FILE
    text, manifest = read_file(file), load(folder)
    same = next((number for number, each in manifest.versions.items() if each.sha256 == spec.sha256), None)
    if same is not None:
        raise ValueError(f"version {same} is this very file: nothing was written")
    taken = [int(each.name) for each in folder.iterdir() if each.name.isdecimal()]
    number = str(max([*taken, *map(int, manifest.versions)]) + 1)
    changed = with_version(text, number, spec)
    _check(changed, manifest, number, spec)
    own = folder / number
    own.mkdir()
    try:
        _write(own / MODEL, model)
        if read_file(file) != text:
            raise ValueError(f"{file} was changed by somebody else meanwhile; nothing was written")
        _write(file, changed.encode())
    except BaseException:
        shutil.rmtree(own, ignore_errors=True)
        raise
    return number


def with_version(text: str, number: str, spec: VersionSpec) -> str:
    """A manifest's text with one version more, the first of them. Raises ValueError where ``versions`` is not written
    one key a line."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    versions = next((value for key, value in pairs if key.value == "versions"), None)
    if not isinstance(versions, yaml.MappingNode) or versions.flow_style or not versions.value:
        raise ValueError(f"{FILE}: write `versions` with one version a line, for another to find its place")
    place = versions.value[0][0].start_mark
    entry = {number: _escaped(spec.model_dump(mode="json", exclude_defaults=True))}
    lines = yaml.safe_dump(entry, sort_keys=False, default_flow_style=None, width=118 - place.column).splitlines()
    block = "".join(f"{' ' * place.column}{line}\n" for line in lines)
    before = text.splitlines(keepends=True)
    return "".join(before[: place.line]) + block + "".join(before[place.line :])


def _check(text: str, before: Manifest, number: str, spec: VersionSpec) -> None:
    """That the text, read as it will be, says what it is to say. Raises ConfigErrors and ValueError."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / before.name
        own.mkdir()
        (own / FILE).write_text(text, encoding="utf-8")
        if load(own).versions != before.versions | {number: spec}:
            raise ValueError(f"{FILE}: the new version cannot be written in a way that reads the same")


def _escaped(value: Any) -> Any:
    """A manifest takes ``${`` for a variable; a log's paths may hold it."""
    if isinstance(value, str):
        return _VARIABLE.sub("$$", value)
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    if isinstance(value, dict):
        return {_escaped(key): _escaped(each) for key, each in value.items()}
    return value


def _write(file: Path, content: bytes) -> None:
    """All of it or nothing, also when the power fails."""
    beside = file.with_name(f".{file.name}.new")
    with beside.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    if file.exists():
        shutil.copymode(file, beside)
    beside.replace(file)
