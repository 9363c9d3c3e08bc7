from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.acme.files import FOLDERS, LARGEST, Files, Stamp, Work, compare, digest_of, is_path

TOKEN = "DGyRejmCefe7v4NfDGDKfA"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path / "acme")
    files.prepare()
    return files


@pytest.mark.parametrize(
    "path",
    [
        *("orders.json", "authority.json", "certificates/a.example.pem", "certificates/_.a.example.pem"),
        *("states/a.example.json", "accounts/0123456789abcdef.pem", "accounts/0123456789abcdef.json"),
        *(f"challenges/http/{TOKEN}", "challenges/tls-alpn/a.example.pem"),
    ],
)
def test_a_path_of_ours_is_one(path: str) -> None:
    assert is_path(path)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "lock",
            "../orders.json",
            "certificates/../../x.pem",
            "certificates/.hidden.pem",
            "certificates/a.example",
        ),
        *("/etc/passwd", "certificates//a.pem", "certificates/a/b.pem", "certificates/A.example.pem", "orders.json\n"),
        *("challenges/http/short", "challenges/http/../../orders.json", "wanted/a.example", "certificates/..pem"),
        *("states/a..b.json", "states/-a.json", "certificates/" + "a." * 200 + "pem", "accounts/0123.pem"),
    ],
)
def test_a_path_that_leads_elsewhere_is_none(path: str) -> None:
    assert not is_path(path)


@given(st.text(alphabet="abc./_-\x00\n", max_size=30), st.sampled_from(FOLDERS))
def test_no_path_leaves_its_folder(text: str, folder: str) -> None:
    path = f"{folder}/{text}"
    if is_path(path):
        assert os.path.normpath(path) == path
        assert path.count("/") == folder.count("/") + 1


@given(st.text(alphabet="ab._-", max_size=300))
def test_a_state_of_ours_is_about_a_name_a_certificate_can_be_for(stem: str) -> None:
    path = f"states/{stem}.json"
    if is_path(path):
        files = Files(Path("/nonexistent"))
        assert files.store.certificate(files.name_of(path)).stem == stem


def test_a_name_asked_for_that_is_none_is_not_heard(files: Files) -> None:
    files.store.want("a.example")
    files.store.want("*.b.example")
    (files.folder / "wanted" / "README").touch()
    (files.folder / "wanted" / ("a" * 200)).touch()
    assert files.wanted() == ["a.example"]


def test_folders_and_files_are_for_this_user_alone(files: Files) -> None:
    files.write("states/a.example.json", b"{}")
    with files.alone():
        pass
    for path in files.folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert files.folder.stat().st_mode & 0o077 == 0


def test_a_file_is_read_as_it_was_written_and_a_missing_or_huge_one_is_none(files: Files) -> None:
    assert files.read("orders.json") is None
    files.write("orders.json", b"[]")
    assert files.read("orders.json") == b"[]"
    files.write("orders.json", b" " * (LARGEST + 1))
    assert files.read("orders.json") is None
    files.drop("orders.json")
    files.drop("orders.json")
    assert files.read("orders.json") is None


def test_one_process_at_a_time(files: Files) -> None:
    with files.alone() as first, files.alone() as second:
        assert (first, second) == (True, False)
    with files.alone() as again:
        assert again


def test_a_stamp_says_when_and_what(files: Files) -> None:
    files.copy("states/a.example.json", b"{}", 1_700_000_000_123_456_789)
    (files.folder / "states" / ".half").write_bytes(b"x")
    assert files.stamps() == {"states/a.example.json": Stamp(1_700_000_000_123_456_789, digest_of(b"{}"))}


def test_files_are_listed_by_folder_and_named_by_what_they_are_about(files: Files) -> None:
    files.write("states/_.a.example.json", b"{}")
    files.write("orders.json", b"[]")
    assert files.paths() == ["orders.json", "states/_.a.example.json"]
    assert files.paths("states") == ["states/_.a.example.json"]
    assert files.name_of("states/_.a.example.json") == "*.a.example"
    assert files.name_of("certificates/b.example.pem") == "b.example"


def test_the_newer_one_wins() -> None:
    old, new = Stamp(1, "a"), Stamp(2, "b")
    assert compare({}, {"x": new}) == Work(["x"], [], [])
    assert compare({"x": old}, {"x": new}) == Work(["x"], [], [])
    assert compare({"x": new}, {"x": old}) == Work([], ["x"], [])
    assert compare({"x": new}, {"x": new._replace(at=9)}) == Work([], [], [])
    assert compare({"x": old}, {}) == Work([], ["x"], [])


def test_what_was_removed_there_is_removed_here_unless_it_is_newer() -> None:
    gone = Stamp(2, "")
    assert compare({"x": Stamp(1, "a")}, {"x": gone}) == Work([], [], ["x"])
    assert compare({"x": Stamp(3, "a")}, {"x": gone}) == Work([], ["x"], [])
    assert compare({}, {"x": gone}) == Work([], [], [])


def test_a_challenge_that_is_over_there_is_over_here() -> None:
    assert compare({f"challenges/http/{TOKEN}": Stamp(1, "a")}, {}) == Work([], [], [f"challenges/http/{TOKEN}"])
