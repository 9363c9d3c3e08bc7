"""Models are found in their folder, and nothing else is read through it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeproxy.inference.folders import leads_out, places, read_model, shipped, signature
from tests.support.models import ECHO, SCORE, write


def test_models_are_found_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path, name, {"1": SCORE})
    (tmp_path / "no-manifest").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "README.md").write_text("")
    assert list(places(tmp_path, ())) == ["a", "b"]
    assert list(places(tmp_path, ("b", "c"))) == ["b"]
    with pytest.raises(OSError):
        places(tmp_path / "none", ())


def test_what_changes_shows(tmp_path: Path) -> None:
    write(tmp_path, "a", {"1": SCORE, "2": ECHO})
    place = places(tmp_path, ())["a"]
    before = signature(place)
    assert before.keys() == {"", "1", "2"}
    assert signature(place) == before
    (tmp_path / "a/2/model.onnx").write_bytes(b"another")
    after = signature(place)
    assert {key for key in before if after[key] != before[key]} == {"2"}
    (tmp_path / "a/2/model.onnx").unlink()
    assert signature(place).keys() == {"", "1"}


def test_a_file_is_read_with_its_digest(tmp_path: Path) -> None:
    write(tmp_path, "a", {"1": SCORE})
    place = places(tmp_path, ())["a"]
    assert read_model(place, "1", 1_000)[0] == SCORE.content
    with pytest.raises(ValueError, match=f"its file has {len(SCORE.content)} bytes; file_size allows 100"):
        read_model(place, "1", 100)
    with pytest.raises(FileNotFoundError):
        read_model(place, "2", 1_000)


def test_links_lead_nowhere_outside(tmp_path: Path) -> None:
    root = tmp_path / "models"
    write(root, "a", {"1": SCORE, "2": SCORE})
    place = places(root, ())["a"]
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    file = root / "a/2/model.onnx"
    file.unlink()
    file.symlink_to(secret)
    with pytest.raises(ValueError, match="outside of the folder of models"):
        read_model(place, "2", 1_000)
    file.unlink()
    file.symlink_to("../1/model.onnx")  # within it is a way to keep one file once
    assert read_model(place, "2", 1_000)[0] == SCORE.content
    assert not leads_out(place)
    manifest = root / "a/manifest.yaml"
    manifest.rename(tmp_path / "manifest.yaml")
    manifest.symlink_to(tmp_path / "manifest.yaml")
    assert leads_out(place)


def test_a_whole_folder_that_is_a_link_leads_out_too(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "a", {"1": SCORE})
    root = tmp_path / "models"
    root.mkdir()
    (root / "a").symlink_to(tmp_path / "elsewhere/a")
    place = places(root, ())["a"]
    assert leads_out(place)
    with pytest.raises(ValueError, match="outside"):
        read_model(place, "1", 1_000)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "a", {"1": SCORE})
    place = places(tmp_path, ())["a"]
    file = tmp_path / "a/1/model.onnx"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match="it is no file"):
        read_model(place, "1", 1_000)


def test_the_shipped_ones_are_there() -> None:
    assert (shipped() / "README.md").is_file()
