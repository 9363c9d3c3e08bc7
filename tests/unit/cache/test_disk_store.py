"""Reading from L2's tables: what is found is what was stored, checked, or it is not found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeproxy.cache.disk_batch import Batch
from edgeproxy.cache.disk_layout import CHUNK, FORMAT, PIECE, PREFIX, piece_key, place, variant_of
from edgeproxy.cache.disk_store import HEAD_LONGEST, HEADS_KEPT, DamagedError, Store
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.record import to_entry
from tests.support.disk import NOW, body_of, environment, item, stored, write

KEY = b"http://a.example/"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with environment(tmp_path) as store:
        yield store


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 16_384, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_a_body_of_any_length_comes_back(store: Store, size: int) -> None:
    body = random.Random(size).randbytes(size)
    write(store, stored(KEY, body))
    found = store.find(KEY, {}, size)
    assert found is not None
    assert found.body == body
    again = to_entry(found.record, found.body)
    assert (again.key, again.status, again.etag) == (KEY, 200, b'"1"')


def test_a_body_longer_than_asked_for_stays_where_it_is(store: Store) -> None:
    write(store, stored(KEY, b"x" * 1_001))
    found = store.find(KEY, {}, 1_000)
    assert found is not None
    assert (found.body, found.record.length) == (None, 1_001)


def test_what_is_not_there_is_not_found(store: Store) -> None:
    write(store, stored(KEY))
    assert store.find(KEY + b"x", {}, 100) is None
    assert store.find(b"", {}, 100) is None


def test_fields_select_the_variant(store: Store) -> None:
    for language in (b"de", b"en"):
        write(store, stored(KEY, language, vary=(b"accept-language",), variant=b"=" + language))
    assert body_of(store, KEY, {b"accept-language": b"de"}) == b"de"
    assert body_of(store, KEY, {b"accept-language": b"en"}) == b"en"
    assert body_of(store, KEY, {b"accept-language": b"fr"}) is None


def test_fields_select_by_what_answers_vary_by_now(store: Store) -> None:
    asks = {b"accept-language": b"de", b"accept": b"text/html"}
    for turn, vary in enumerate(((), (b"accept-language",), (b"accept",), ())):
        variant = b"".join(b"=" + asks[name] for name in vary)
        write(store, stored(KEY, b"%d" % turn, vary=vary, variant=variant), began=NOW + turn)
        assert body_of(store, KEY, asks) == body_of(store, KEY, asks) == b"%d" % turn
    with Batch(store) as batch:
        batch.forget(place(KEY))
    assert body_of(store, KEY, asks) is None


def test_long_keys_that_differ_in_their_ends_are_two(store: Store) -> None:
    long = KEY + b"a" * 5_000
    write(store, stored(long + b"1", b"one"), stored(long + b"2", b"two"))
    assert (body_of(store, long + b"1"), body_of(store, long + b"2")) == (b"one", b"two")


def test_another_answer_in_its_place_is_not_taken_for_it(store: Store) -> None:
    write(store, stored(KEY + b"1", b"one"), stored(KEY + b"2", b"two"))
    ours, other = (place(KEY + number) + variant_of(b"") for number in (b"1", b"2"))
    with store.environment.begin(write=True) as transaction:
        transaction.put(ours, transaction.get(other, db=store.heads), db=store.heads)
    assert store.find(KEY + b"1", {}, 100) is None


def test_a_head_that_was_read_before_is_what_lies_there_now(store: Store) -> None:
    write(store, stored(KEY))
    first, again = store.find(KEY, {}, 100), store.find(KEY, {}, 100)
    assert first is not None
    assert again is not None
    assert again.known is first.known
    write(store, stored(KEY, etag=b'"2"'), began=NOW + 1)
    changed = store.find(KEY, {}, 100)
    assert changed is not None
    assert changed.record.headers[b"etag"] == b'"2"'


@pytest.mark.interpreted
def test_entries_of_one_head_are_as_if_each_was_read(store: Store) -> None:
    told = stored(KEY, tags=(b"t",))
    told.renew(told.told | {b"last-modified": b"Sun, 06 Nov 1994 08:49:37 GMT"}, told.terms, NOW)
    write(store, told)
    found = store.find(KEY, {}, 100)
    assert found is not None
    known = found.known
    for body in (b"hello", None):
        first, second, read = known.entry(body), known.entry(body), to_entry(found.record, body)
        first.expire(NOW + 5)
        first.renew({b"etag": b'"3"'}, first.terms, NOW + 6)
        for name in (*Entry.__slots__,):
            if name not in {"fields", "not_modified"}:
                assert getattr(second, name) == getattr(read, name), name
        assert (second.fields.wire, second.not_modified.wire) == (read.fields.wire, read.not_modified.wire)


@pytest.mark.interpreted
def test_heads_are_remembered_up_to_a_number_and_no_long_ones(store: Store) -> None:
    write(store, *(stored(KEY + b"%d" % number) for number in range(HEADS_KEPT + 5)))
    write(store, stored(KEY, etag=b'"%b"' % (b"x" * HEAD_LONGEST)))
    for number in range(HEADS_KEPT + 5):
        store.find(KEY + b"%d" % number, {}, 100)
    assert store.find(KEY, {}, 100) is not None
    assert 0 < len(store._known) <= HEADS_KEPT
    assert max(len(known.packed) for known in store._known.values()) <= HEAD_LONGEST


@pytest.mark.parametrize("read_before", [False, True])
def test_a_damaged_head_is_told_from_none(store: Store, read_before: bool) -> None:
    write(store, stored(KEY))
    assert not read_before or store.find(KEY, {}, 100) is not None
    head = place(KEY) + variant_of(b"")
    with store.environment.begin(write=True) as transaction:
        value = transaction.get(head, db=store.heads)
        transaction.put(head, value[:-1] + b"\xff", db=store.heads)
    with pytest.raises(DamagedError) as raised:
        store.find(KEY, {}, 100)
    assert (raised.value.head, raised.value.digest) == (head, b"")


@pytest.mark.parametrize("how", ["changed", "shorter", "gone", "first gone"])
def test_a_damaged_chunk_is_named_and_never_given_out(store: Store, how: str) -> None:
    entry = stored(KEY, random.Random(1).randbytes(2 * PIECE + 5))
    digest = item(entry).record.digests[0]
    write(store, entry)
    with store.environment.begin(write=True) as transaction:
        place = piece_key(digest, 0 if how == "first gone" else 1)
        piece = transaction.get(place, db=store.pieces)
        if "gone" in how:
            transaction.delete(place, db=store.pieces)
        else:
            transaction.put(place, piece[:-1] + (b"" if how == "shorter" else bytes((piece[-1] ^ 1,))), db=store.pieces)
    with pytest.raises(DamagedError) as raised:
        store.find(KEY, {}, 10**6)
    assert raised.value.digest == digest


def test_a_mark_is_seen(store: Store) -> None:
    write(store, stored(KEY))
    head = place(KEY) + variant_of(b"")
    found = store.find(KEY, {}, 100)
    assert found is not None
    assert (found.head, found.marked) == (head, False)
    with Batch(store) as batch:
        batch.mark([head])
    found = store.find(KEY, {}, 100)
    assert found is not None
    assert found.marked


def test_the_books_of_an_empty_environment_are_empty(store: Store) -> None:
    assert store.books() == (0, 0)
    assert store.format() == FORMAT
    assert PREFIX.size == 9
