"""Certificates of names that nobody has listed: bounded in what is remembered, and in what is asked for."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from edgeproxy.certificates.demanded import KEPT, LOOK_EVERY, WISHES, Demanded
from edgeproxy.certificates.store import CertificateStore
from edgeproxy.clock import ManualClock

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


class Counted:
    """Names below ``.example`` are permitted; which files were loaded."""

    def __init__(self, folder: Path) -> None:
        self.store = CertificateStore(folder / "store")
        self.store.prepare()
        self.clock = ManualClock()
        self.loaded: list[str] = []
        self.demanded = Demanded(self.store, lambda name: name.endswith(".example"), self._load, self.clock.wall)

    def _load(self, path: Path) -> ssl.SSLContext:
        self.loaded.append(path.name)
        if path.read_bytes() == b"broken":
            raise ValueError("broken")
        return CONTEXT

    def put(self, name: str, data: bytes = b"") -> None:
        self.store.put(self.store.certificate(name), data)


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


def test_what_is_there_is_loaded_once(counted: Counted) -> None:
    counted.put("a.example")
    for _ in range(3):
        assert counted.demanded.get("a.example") is CONTEXT
        counted.clock.advance(LOOK_EVERY)
    assert counted.loaded == ["a.example.pem"]
    assert counted.store.wanted() == []


def test_what_is_not_there_is_asked_for_and_looked_for_again_after_a_while(counted: Counted) -> None:
    assert counted.demanded.get("a.example") is None
    counted.put("a.example")
    assert counted.demanded.get("a.example") is None
    counted.clock.advance(LOOK_EVERY)
    assert counted.demanded.get("a.example") is CONTEXT
    assert counted.store.wanted() == ["a.example"]


@pytest.mark.parametrize("name", ["a.other", "", "../../x.example", "A B.example", "é.example"])
def test_what_is_not_permitted_or_no_name_is_not_asked_for(counted: Counted, name: str) -> None:
    assert counted.demanded.get(name) is None
    assert counted.store.wanted() == []


def test_a_broken_file_leaves_the_one_before(counted: Counted) -> None:
    counted.put("a.example")
    assert counted.demanded.get("a.example") is CONTEXT
    counted.put("a.example", b"broken")
    counted.clock.advance(LOOK_EVERY)
    assert counted.demanded.get("a.example") is CONTEXT
    assert len(counted.loaded) == 2


def test_a_flood_of_names_asks_for_few_a_second_and_fills_no_memory(counted: Counted) -> None:
    for number in range(KEPT + 100):
        counted.demanded.get(f"n{number}.example")
    assert len(counted.store.wanted()) == WISHES
    assert repr(counted.demanded) == f"<Demanded {KEPT} names>"
    counted.clock.advance(1)
    counted.demanded.get("later.example")
    assert "later.example" in counted.store.wanted()
