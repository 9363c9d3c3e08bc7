"""The folder of certificates: names, files that are whole, wishes with a bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.certificates.store import CertificateStore, file_of, name_of


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    store = CertificateStore(tmp_path / "store")
    store.prepare()
    return store


@pytest.mark.parametrize(
    ("name", "file"),
    [("a.example", "a.example"), ("*.a.example", "_.a.example"), ("xn--4ca.example", "xn--4ca.example")],
)
def test_a_name_has_a_file_and_back(name: str, file: str) -> None:
    assert file_of(name) == file
    assert name_of(file) == name


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "a/b", "/a", ".a", "A.example", "a..b", "a b", "*", "*.", "a\0", "a" * 64]
)
def test_what_is_no_name_has_no_file(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        file_of(name)


@given(st.text())
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    try:
        file = file_of(name)
    except ValueError:
        return
    assert Path("/store", f"{file}.pem").resolve().parent == Path("/store")


def test_folders_and_files_are_for_their_user_alone(store: CertificateStore) -> None:
    path = store.certificate("a.example")
    store.put(path, b"one")
    store.put(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert {folder.stat().st_mode & 0o777 for folder in (store.path, store.certificates, store.challenges)} == {0o700}
    assert [path.name for path in store.certificates.iterdir()] == ["a.example.pem"]


def test_a_folder_that_others_may_look_into_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(PermissionError, match="chmod 700"):
        CertificateStore(tmp_path).prepare()


def test_what_is_there_is_listed_without_unfinished_files(store: CertificateStore) -> None:
    store.put(store.certificate("*.a.example"), b"")
    (store.certificates / ".tmp123").touch()
    assert store.names() == ["*.a.example"]
    store.drop(store.certificate("*.a.example"))
    store.drop(store.certificate("*.a.example"))
    assert store.names() == []


def test_wishes_are_kept_in_order_and_taken_back(store: CertificateStore) -> None:
    for at, name in enumerate(("b.example", "a.example", "c.example")):
        assert store.want(name)
        os.utime(store.path / "wanted" / name, (at, at))
    assert store.want("b.example")
    assert store.wanted() == ["b.example", "a.example", "c.example"]
    store.unwant("a.example")
    store.unwant("a.example")
    assert store.wanted() == ["b.example", "c.example"]


def test_there_are_only_so_many_wishes(store: CertificateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeproxy.certificates.store.WANTED_MOST", 2)
    assert [store.want(f"{letter}.example") for letter in "abc"] == [True, True, False]
    assert store.want("a.example")


def test_a_store_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    store = CertificateStore(tmp_path / "none")
    assert store.names() == store.wanted() == []
    assert not store.want("a.example")
