"""Opening: what is there is taken up, what is damaged is moved aside, and a killed process leaves nothing to mend."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from edgeproxy.cache import disk_environment
from edgeproxy.cache.disk_batch import Batch
from edgeproxy.cache.disk_environment import CLEAN, FAULT, missing, open_environment, replace_damaged
from edgeproxy.cache.disk_layout import PAGE
from tests.support.disk import SIZE, body_of, environment, overwrite, reader, stored, write

KEY = b"http://a.example/"


_USE = """
import fcntl, sys
with open(sys.argv[1]) as users:
    fcntl.flock(users, fcntl.LOCK_SH)
    print("used", flush=True)
    sys.stdin.read()
"""


def filled(folder: Path, *, size: int = SIZE) -> Path:
    """An environment that was closed in good order; returns its data file."""
    with environment(folder, size) as store:
        for number in range(200):
            write(store, stored(KEY + b"%d" % number, random.Random(number).randbytes(9_000)))
    return folder / "l2" / "data.mdb"


def kept(folder: Path) -> int:
    with environment(folder) as store:
        return sum(body_of(store, KEY + b"%d" % number) is not None for number in range(200))


def test_what_was_stored_is_there_again(tmp_path: Path) -> None:
    filled(tmp_path / "new" / "folder")
    assert kept(tmp_path / "new" / "folder") == 200
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "folder" / "l2" / "data.mdb").stat().st_mode & 0o777 == 0o600


def test_the_last_one_to_close_notes_that_all_is_there(tmp_path: Path) -> None:
    filled(tmp_path)
    assert (tmp_path / "guard").read_text() == CLEAN
    opened = open_environment(tmp_path, SIZE)
    assert (tmp_path / "guard").read_text() == disk_environment._boot()
    other = subprocess.Popen(
        [sys.executable, "-c", _USE, str(tmp_path / "users")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout is not None
        other.stdout.readline()
        opened.close()
        assert (tmp_path / "guard").read_text() != CLEAN
        assert other.stdin is not None
        other.stdin.close()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: overwrite(data, 0, os.urandom(2 * PAGE)), "meta pages are overwritten"),
        (lambda data: os.truncate(data, PAGE + 100), "no environment"),
        (lambda data: os.truncate(data, data.stat().st_size // 2), "problem"),
        (lambda data: data.write_bytes(b"not a database\n" * 1_000), "meta pages are overwritten"),
        (lambda data: [overwrite(data, page * PAGE + 20, b"\xff" * 4) for page in (0, 1)], "VERSION"),
    ],
    ids=["meta pages", "two pages left", "half left", "other file", "version"],
)
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: object, said: str
) -> None:
    data = filled(tmp_path)
    damage(data)  # type: ignore[operator]
    bytes_left = data.read_bytes()
    assert kept(tmp_path) == 0
    assert (tmp_path / "l2.damaged" / "data.mdb").read_bytes() == bytes_left
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert said in line.message
    assert str(tmp_path / "l2.damaged") in line.message
    filled(tmp_path)
    assert kept(tmp_path) == 200


def test_only_the_last_damaged_one_is_kept(tmp_path: Path) -> None:
    for _ in range(3):
        overwrite(filled(tmp_path), 0, b"x" * 2 * PAGE)
        kept(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("l2")) == ["l2", "l2.damaged"]


def test_after_the_machine_went_down_a_sound_file_is_kept(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "guard").write_text("another run of the machine")
    assert kept(tmp_path) == 200


@pytest.mark.parametrize("sign", ["another run of the machine", "fault"])
def test_after_a_crash_a_file_with_a_damaged_tree_is_not_trusted(tmp_path: Path, sign: str) -> None:
    data = filled(tmp_path)
    pages = data.stat().st_size // PAGE
    for page in range(2, pages, 3):
        overwrite(data, page * PAGE + 8, b"\xff" * 200)
    if sign == "fault":
        (tmp_path / f"{FAULT}{2**22 + 1}").write_text("Fatal Python error: Bus error")
    else:
        (tmp_path / "guard").write_text(sign)
    assert kept(tmp_path) == 0
    assert (tmp_path / "l2.damaged").is_dir()
    assert not list(tmp_path.glob(FAULT + "*"))


def test_a_process_that_left_in_peace_raises_no_suspicion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    (tmp_path / f"{FAULT}{2**22 + 1}").touch()
    monkeypatch.setattr(disk_environment, "_verdict", lambda _: pytest.fail("nothing to verify"))
    assert kept(tmp_path) == 200
    assert not list(tmp_path.glob(FAULT + "*"))


def test_the_fault_a_process_dies_of_is_noted(tmp_path: Path) -> None:
    code = (
        "import ctypes, pathlib, sys; from edgeproxy.cache.disk_environment import note_faults;"
        "note_faults(pathlib.Path(sys.argv[1])); ctypes.string_at(0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "l2")], check=False, cwd=Path.cwd())
    assert done.returncode == -signal.SIGSEGV
    (file,) = (tmp_path / "l2").glob(FAULT + "*")
    assert "Segmentation fault" in file.read_text()


def test_a_file_longer_than_its_pages_and_one_that_is_not_there_are_fine(tmp_path: Path) -> None:
    data = filled(tmp_path)
    os.truncate(data, data.stat().st_size + 10 * PAGE)
    assert missing(data) == (None, False)
    assert missing(tmp_path / "nothing") == (None, False)
    (tmp_path / "empty").touch()
    assert missing(tmp_path / "empty") == (None, False)


def test_an_environment_of_another_layout_is_begun_anew(tmp_path: Path) -> None:
    with environment(tmp_path) as store:
        write(store, stored(KEY + b"0"))
        with Batch(store) as batch:
            batch.note(b"format", b"0")
    assert kept(tmp_path) == 0
    assert not (tmp_path / "l2.damaged").exists()


def test_a_larger_file_than_the_limit_is_taken_up(tmp_path: Path) -> None:
    filled(tmp_path)
    with environment(tmp_path, 1_000_000) as store:
        assert body_of(store, KEY + b"7") is not None


def test_what_is_done_to_the_file_meanwhile_is_noticed(tmp_path: Path) -> None:
    data = filled(tmp_path)
    opened = open_environment(tmp_path, SIZE)
    assert opened.wrong() is None
    os.truncate(data, data.stat().st_size - PAGE)
    assert "cut" in str(opened.wrong())
    (tmp_path / "l2").rename(tmp_path / "elsewhere")
    assert "No such file" in str(opened.wrong())
    filled_again = tmp_path / "l2"
    filled_again.mkdir()
    (filled_again / "data.mdb").write_bytes(bytes(PAGE))
    assert "taken its place" in str(opened.wrong())
    opened.discard()
    opened.discard()


def test_of_two_that_find_the_damage_only_one_moves_it_aside(tmp_path: Path) -> None:
    filled(tmp_path)
    first = open_environment(tmp_path, SIZE)
    inode = (tmp_path / "l2" / "data.mdb").stat().st_ino
    replace_damaged(tmp_path, first, "found out")
    assert (tmp_path / "l2.damaged" / "data.mdb").stat().st_ino == inode
    with environment(tmp_path):
        new = (tmp_path / "l2" / "data.mdb").stat().st_ino
    replace_damaged(tmp_path, first, "found out too")
    assert (tmp_path / "l2" / "data.mdb").stat().st_ino == new


def test_a_folder_that_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file|Not a directory"):
        open_environment(tmp_path / "file" / "below", SIZE)


def _write_for_ever(folder: str) -> None:
    with environment(Path(folder)) as store:
        number = 0
        while True:
            number += 1
            write(store, stored(KEY + b"%d" % number, random.Random(number).randbytes(20_000)), began=float(number))
            print(number, flush=True)


def test_a_writer_killed_in_the_middle_leaves_what_it_had_committed_and_no_lock(tmp_path: Path) -> None:
    code = f"from tests.unit.cache.test_disk_environment import _write_for_ever; _write_for_ever({str(tmp_path)!r})"
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path.cwd())
        with child:
            assert child.stdout is not None
            told = [int(child.stdout.readline()) for _ in range(50)]
            os.kill(child.pid, signal.SIGKILL)
        with environment(tmp_path) as store:
            for number in told:
                assert body_of(store, KEY + b"%d" % number) == random.Random(number).randbytes(20_000)
            write(store, stored(b"http://b.example/"))
            assert body_of(store, b"http://b.example/") == b"hello"
            assert store.environment.reader_check() == 0


def test_readers_of_a_killed_process_are_cleared(tmp_path: Path) -> None:
    filled(tmp_path)
    with environment(tmp_path) as store:
        with reader(tmp_path) as pid:
            assert str(pid) in store.environment.readers()
        assert str(pid) in store.environment.readers()
        assert store.environment.reader_check() == 1
        assert str(pid) not in store.environment.readers()


def test_lmdb_is_asked_for_what_it_must_not_do(tmp_path: Path) -> None:
    with environment(tmp_path) as store:
        flags = store.environment.flags()
        assert not flags["writemap"]  # a full disk would end the process
        assert not flags["sync"]
        assert store.environment.lib_version()[0] == 0
    assert issubclass(lmdb.CorruptedError, disk_environment.DAMAGES)
