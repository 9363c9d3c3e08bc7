"""A version written beside the others: found by whoever reads the manifest, which stays as people wrote it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.commands import versions
from edgeproxy.inference.manifest import FILE, VersionSpec, load
from tests.support.models import SCORE, write
from tests.support.onnx_bytes import logistic

NEW = logistic((1.0, 2.0, 3.0, 4.0))
ENTRY: dict[str, Any] = {"sample": SCORE.sample, "quality": {"recall": 0.9, "of": "a log"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, "toy", {"1": SCORE, "4": SCORE})


def new(**changes: Any) -> VersionSpec:
    return versions.specified(NEW, ENTRY | changes)


def test_a_version_is_written_under_the_next_number(folder: Path) -> None:
    before = load(folder)
    assert versions.add(folder, NEW, new()) == "5"
    after = load(folder)
    assert after.versions == before.versions | {"5": new()}
    assert (folder / "5" / "model.onnx").read_bytes() == NEW
    assert versions.newest(after) == "5"
    assert not list(folder.rglob("*.new"))


def test_a_number_somebody_has_begun_with_is_not_used_again(folder: Path) -> None:
    (folder / "7").mkdir()
    assert versions.add(folder, NEW, new()) == "8"


def test_what_people_wrote_stays_as_it_is(folder: Path) -> None:
    file = folder / FILE
    text = (
        file.read_text().replace("task: other", "task:   other  # what else?").replace("versions:", "versions:  # all")
    )
    file.write_text(text + "# the end\n")
    file.chmod(0o640)
    versions.add(folder, NEW, new())
    changed = file.read_text()
    at = changed.index("  '5':")
    assert text.startswith(changed[:at])
    assert changed[:at] + changed[changed.index("  '1':") :] == text + "# the end\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "text", ["/${HOME}", "$${x:-y}", "yes", "1e5", "2020-01-01", "a: b # c", "é\u2028\x07", "'\"", " "]
)
def test_texts_of_a_log_read_as_they_were(folder: Path, text: str) -> None:
    spec = new(quality={"page": text})
    versions.add(folder, NEW, spec)
    assert load(folder).versions["5"] == spec


def test_the_same_file_is_not_written_twice(folder: Path) -> None:
    versions.add(folder, NEW, new())
    with pytest.raises(ValueError, match="version 5 is this very file"):
        versions.add(folder, NEW, new())


def test_a_manifest_with_all_versions_on_a_line_is_left_alone(folder: Path) -> None:
    file = folder / FILE
    head, _, _ = file.read_text().partition("versions:")
    text = f"{head}versions: {{'1': {{sha256: {'a' * 64}, sample: {{seed: 1, outputs: {{score: [0.5]}}}}}}}}\n"
    file.write_text(text)
    with pytest.raises(ValueError, match="one version a line"):
        versions.add(folder, NEW, new())
    assert file.read_text() == text
    assert not (folder / "5").exists()


def test_a_manifest_that_changes_meanwhile_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, text = folder / FILE, (folder / FILE).read_text()
    monkeypatch.setattr(
        versions, "read_file", lambda path: file.read_text() + "# mine\n" if (folder / "5").exists() else text
    )
    with pytest.raises(ValueError, match="changed by somebody else"):
        versions.add(folder, NEW, new())
    assert file.read_text() == text
    assert not (folder / "5").exists()


def test_an_entry_that_is_none_is_said_to_be() -> None:
    with pytest.raises(ValueError, match="sample: Field required"):
        versions.specified(NEW, {})
