"""Copies of files, safe to map."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeproxy.geo import copies
from edgeproxy.geo.copies import mappable


class Checks:
    """Counts what it is asked to check."""

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[bytes] = []
        self.error = error

    def __call__(self, descriptor: int) -> None:
        self.seen.append(os.pread(descriptor, 1000, 0))
        if self.error is not None:
            raise self.error


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "a.mmdb"
    file.write_bytes(b"content")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shared = tmp_path / "shared"
    shared.mkdir()
    return shared


def test_all_workers_have_one_copy_which_is_checked_once(source: Path, folder: Path) -> None:
    check = Checks()
    found = []
    for _ in range(3):
        with mappable(str(source), folder, check) as copy:
            found.append(copy)
    assert len(set(found)) == 1
    assert found[0].parent == folder
    assert check.seen == [b"content"]
    assert found[0].read_bytes() == b"content"


def test_what_is_written_over_the_source_does_not_reach_the_copy(source: Path, folder: Path) -> None:
    with mappable(str(source), folder, Checks()) as copy:
        source.write_bytes(b"cut")
        assert copy.read_bytes() == b"content"
    with mappable(str(source), folder, Checks()) as other:
        assert other != copy
        assert other.read_bytes() == b"cut"


def test_a_refused_file_leaves_no_copy(source: Path, folder: Path) -> None:
    with pytest.raises(ValueError, match="damaged"), mappable(str(source), folder, Checks(ValueError("damaged"))):
        pass
    assert [file.name for file in folder.iterdir()] == ["geo.lock"]


def test_without_a_folder_the_copy_is_the_processs_own(source: Path) -> None:
    check = Checks()
    with mappable(str(source), None, check) as copy:
        source.write_bytes(b"")
        assert copy.read_bytes() == b"content"
    assert check.seen == [b"content"]


def test_a_folder_without_room_is_done_without(source: Path, tmp_path: Path) -> None:
    with mappable(str(source), tmp_path / "missing", Checks()) as copy:
        assert copy.read_bytes() == b"content"


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(FileNotFoundError), mappable(str(tmp_path / "none"), folder, Checks()):
        pass


def test_copies_have_a_bound(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "LARGEST", 3)
    with pytest.raises(OSError, match="larger than"), mappable(str(source), folder, Checks()):
        pass
    assert [file.name for file in folder.iterdir()] == ["geo.lock"]
