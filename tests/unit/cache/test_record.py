"""A stored answer's head as bytes: all of it comes back, and bytes that are not a head are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.cache.entry import Entry
from edgeproxy.cache.policy import Terms
from edgeproxy.cache.record import DIGEST, LARGEST, Record, of_entry, pack, to_entry, unpack

NUMBER = st.floats(0, 4e9)
TERMS = st.tuples(
    *[st.booleans() if kind in {"bool", bool} else NUMBER for kind in Terms.__annotations__.values()]
).map(lambda values: Terms(*values))
FIELD = st.binary(max_size=200).map(lambda text: text.translate(None, b"\r\n\0"))


@st.composite
def records(draw: st.DrawFn) -> Record:
    chunk = draw(st.integers(1, 2**20))
    digests = tuple(draw(st.lists(st.binary(min_size=DIGEST, max_size=DIGEST), max_size=3)))
    length = 0 if not digests else draw(st.integers((len(digests) - 1) * chunk + 1, len(digests) * chunk))
    return Record(
        key=draw(st.binary(max_size=3_000)),
        vary=tuple(draw(st.lists(FIELD, max_size=3))),
        variant=draw(st.binary(max_size=300)),
        status=draw(st.integers(200, 599)),
        headers=draw(st.dictionaries(FIELD, FIELD, max_size=8)),
        terms=draw(TERMS),
        base=draw(NUMBER),
        expired=draw(NUMBER),
        said=draw(FIELD),
        tags=tuple(draw(st.lists(FIELD, max_size=3))),
        began=draw(NUMBER),
        length=length,
        chunk=chunk,
        digests=digests,
    )


@given(records())
def test_what_was_packed_comes_back_whole(record: Record) -> None:
    again = unpack(pack(record))
    assert again == record
    assert [type(value) for value in again.terms] == [type(value) for value in record.terms]


@given(records(), st.integers(0), st.integers(1, 255))
def test_one_changed_byte_makes_it_none(record: Record, place: int, change: int) -> None:
    data = bytearray(pack(record))
    data[place % len(data)] ^= change
    assert unpack(bytes(data)) is None


@given(records(), st.data())
def test_bytes_cut_off_or_added_make_it_none(record: Record, data: st.DataObject) -> None:
    packed = pack(record)
    assert unpack(packed[: data.draw(st.integers(0, len(packed) - 1))]) is None
    assert unpack(packed + data.draw(st.binary(min_size=1, max_size=40))) is None


@given(st.binary(max_size=400), st.booleans())
def test_other_bytes_are_none_whatever_they_are(data: bytes, behind_a_schema: bool) -> None:
    schema = pack(PLAIN)[:4] if behind_a_schema else b""
    assert unpack(schema + data) is None


PLAIN = Record(
    b"http://a.example/",
    (),
    b"",
    200,
    {b"etag": b'"1"'},
    Terms(*[0.0] * len(Terms._fields)),
    0,
    0,
    b"",
    (),
    0,
    0,
    0,
    (),
)


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x=1", b"a\nb", b"\0"])
def test_fields_that_would_break_a_message_are_none(value: bytes) -> None:
    assert unpack(pack(PLAIN._replace(headers={b"x-a": value}))) is None


def test_chunks_that_do_not_add_up_to_the_length_are_none() -> None:
    digest = bytes(DIGEST)
    for length, chunk, digests in ((10, 10, ()), (11, 10, (digest,)), (0, 10, (digest,)), (5, 0, (digest,))):
        assert unpack(pack(PLAIN._replace(length=length, chunk=chunk, digests=digests))) is None


def test_a_head_without_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match=str(LARGEST)):
        pack(PLAIN._replace(headers={b"x": b"y" * LARGEST}))
    with pytest.raises(ValueError, match="kept"):
        pack(PLAIN._replace(tags=tuple(b"%d" % number for number in range(70_000))))


def test_an_entry_is_the_same_again(entry: Callable[..., Entry]) -> None:
    stored = entry(
        {b"etag": b'"1"', b"cache-status": b"Parent; hit", b"age": b"3", b"vary": b"accept"},
        vary=(b"accept",),
        variant=b"=a",
        tags=(b"one", b"two"),
        while_revalidate=30.0,
    )
    again = to_entry(unpack_of(stored), stored.body)
    for name in (*("key", "vary", "variant", "status", "terms", "said", "tags", "body", "etag"), "base", "fresh_until"):
        assert getattr(again, name) == getattr(stored, name), name
    assert again.fields.wire == stored.fields.wire
    assert again.not_modified.wire == stored.not_modified.wire


def test_an_entry_whose_freshness_was_ended_is_so_again(entry: Callable[..., Entry]) -> None:
    stored = entry({b"cache-control": b"max-age=60"}, lifetime=60.0)
    at = stored.base + 10.25
    stored.expire(at)
    again = to_entry(unpack_of(stored), stored.body)
    assert (again.terms, again.fresh_until) == (stored.terms, at)
    assert (again.told, again.fields.fields) == (stored.told, stored.fields.fields)


def unpack_of(entry: Entry) -> Record:
    body = entry.body or b""
    record = unpack(pack(of_entry(entry, 1.0, len(body), len(body), (bytes(DIGEST),))))
    assert record is not None
    return record
