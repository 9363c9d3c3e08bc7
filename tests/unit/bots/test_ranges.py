"""Published address ranges: read, kept while their source is away, and refused where they are none."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.bots import ranges
from edgeproxy.bots.ranges import MOST, Ranges, RangesError, loader, parse
from tests.support.stages import no_session
from tests.support.waiting import eventually

FIRST = {"creationTime": "2026-01-01", "prefixes": [{"ipv6Prefix": "2001:db8::/64"}, {"ipv4Prefix": "192.0.2.0/27"}]}
SECOND = {"prefixes": [{"ipv4Prefix": "198.51.100.0/24"}]}


def document(*prefixes: object) -> bytes:
    return json.dumps({"prefixes": prefixes}).encode()


def test_prefixes_of_both_kinds_are_read() -> None:
    assert [str(network) for network in parse(json.dumps(FIRST).encode())] == ["2001:db8::/64", "192.0.2.0/27"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"<html>", "not JSON"),
        (b"[]", "no list named prefixes"),
        (b'{"prefixes": {}}', "no list named prefixes"),
        (b'{"prefixes": []}', "no list named prefixes"),
        (document(*[{"ipv4Prefix": "192.0.2.1"}] * (MOST + 1)), "no list named prefixes"),
        (document("192.0.2.0/24"), "no prefix"),
        (document({"ipv4Prefix": None}), "no prefix"),
        (document({"ipv4Prefix": "192.0.2.7/24"}), "no prefix"),
        (document({"ipv4Prefix": "0.0.0.0/0"}), "too wide"),
        (document({"ipv4Prefix": "192.0.2.0/27"}, {"ipv6Prefix": "2000::/3"}), "too wide"),
    ],
)
def test_what_holds_no_ranges_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(RangesError, match=why):
        parse(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["10.0.0.0/8", "::/0", "1.2.3.4"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["prefixes", "ipv4Prefix", "ipv6Prefix"]), inner),
    max_leaves=20,
)


@given(
    st.binary(max_size=200) | JSON.map(lambda told: json.dumps(told).encode()) | JSON.map(lambda told: document(told))
)
def test_any_document_is_ranges_or_refused(data: bytes) -> None:
    try:
        assert parse(data)
    except RangesError:
        pass


class Shelf:
    """Documents by place; ``read`` counts."""

    def __init__(self, **documents: object) -> None:
        self.documents = documents
        self.read = 0

    async def load(self, place: str) -> bytes:
        self.read += 1
        told = self.documents[place]
        if isinstance(told, Exception):
            raise told
        return json.dumps(told).encode()


async def test_a_crawler_has_addresses_once_all_its_sources_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RETRY", 0.01)
    shelf = Shelf(a=FIRST, b=OSError("away"))
    kept = Ranges({"one": ("a", "b"), "two": ("a",), "three": ()}, shelf.load, 3600)
    await kept.start()
    await eventually(lambda: kept.of("two") is not None)
    assert kept.of("one") is None
    shelf.documents["b"] = SECOND
    await eventually(lambda: kept.of("one") is not None)
    await kept.stop()
    found = kept.of("one")
    assert found is not None
    assert "192.0.2.1" in found
    assert "198.51.100.9" in found
    assert kept.of("three") is kept.of("unheard-of") is None


async def test_the_last_good_ranges_stay_while_their_source_is_away_or_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RETRY", 0.01)
    shelf = Shelf(a=FIRST)
    kept = Ranges({"one": ("a",)}, shelf.load, 0.01)
    await kept.start()
    await eventually(lambda: kept.of("one") is not None)
    before = kept.of("one")
    for trouble in (OSError("away"), {"prefixes": [{"ipv4Prefix": "0.0.0.0/0"}]}, RuntimeError("odd")):
        shelf.documents["a"], shelf.read = trouble, 0
        await eventually(lambda: shelf.read > 1)
        assert kept.of("one") is before
    shelf.documents["a"] = SECOND
    await eventually(lambda: kept.of("one") is not before)
    await kept.stop()


async def test_files_are_read_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ranges.json"
    file.write_bytes(b"x" * 100)
    assert await loader(no_session)(str(file)) == b"x" * 100
    monkeypatch.setattr(ranges, "LONGEST", 99)
    with pytest.raises(RangesError, match="more than 99 bytes"):
        await loader(no_session)(str(file))


async def test_stopping_ends_all_work() -> None:
    shelf = Shelf(a=FIRST)
    kept = Ranges({"one": ("a",)}, shelf.load, 3600)
    await kept.start()
    await kept.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
