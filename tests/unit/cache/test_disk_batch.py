"""Writing into L2's tables: one body once, books that balance, eviction, purges of every kind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeproxy.cache.disk_batch import Batch, Item
from edgeproxy.cache.disk_layout import CHUNK, LONGEST, place, variant_of
from edgeproxy.cache.disk_store import Store
from edgeproxy.cache.purge import Kind
from edgeproxy.cache.record import to_entry
from edgeproxy.cache.vary import VARIANT_LIMIT
from tests.support.disk import NOW, body_of, environment, item, purge, rows, stored, write

KEY = b"http://a.example/"
EMPTY = dict.fromkeys(("resources", "heads", "order", "tags", "pieces", "references"), 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with environment(tmp_path) as store:
        yield store


def head(key: bytes) -> bytes:
    return place(key) + variant_of(b"")


def run(store: Store, kind: Kind, value: bytes = b"", *, soft: bool = False, at: float = NOW + 1, step: int = 2) -> int:
    """A purge in steps."""
    count, after = 0, b""
    while after is not None:
        with Batch(store) as batch:
            found, after = batch.purge(purge(kind, value, soft=soft, at=at), after, step)
        count += found
    return count


def test_equal_bodies_are_stored_once(store: Store) -> None:
    body = random.Random(1).randbytes(2 * CHUNK + 9)
    write(store, stored(KEY + b"1", body))
    once = rows(store)["pieces"]
    used = store.books()[0]
    write(store, stored(KEY + b"2", body), stored(KEY + b"3", body))
    assert rows(store)["pieces"] == once
    assert store.books()[0] - used < 10_000
    assert body_of(store, KEY + b"3") == body


def test_a_shared_body_stays_until_the_last_one_that_has_it_goes(store: Store) -> None:
    body = random.Random(1).randbytes(CHUNK + 9)
    write(store, stored(KEY + b"1", body), stored(KEY + b"2", body))
    with Batch(store) as batch:
        assert batch.drop(head(KEY + b"1"))
    assert body_of(store, KEY + b"2") == body
    with Batch(store) as batch:
        assert batch.drop(head(KEY + b"2"))
        assert not batch.drop(head(KEY + b"2"))
    assert rows(store) == EMPTY
    assert store.books() == (0, 0)


def test_a_body_that_holds_one_chunk_twice_goes_whole(store: Store) -> None:
    write(store, stored(KEY, b"x" * (3 * CHUNK)))
    assert body_of(store, KEY) == b"x" * (3 * CHUNK)
    with Batch(store) as batch:
        batch.drop(head(KEY))
    assert rows(store) == EMPTY


def test_a_newer_answer_takes_the_place_of_the_older_and_not_the_other_way_round(store: Store) -> None:
    assert write(store, stored(KEY, b"first")) == [True]
    assert write(store, stored(KEY, b"second"), began=NOW + 5) == [True]
    assert write(store, stored(KEY, b"late"), began=NOW + 1) == [False]
    assert body_of(store, KEY) == b"second"
    assert rows(store) == EMPTY | dict.fromkeys(("resources", "heads", "order", "pieces", "references"), 1)


def test_new_fields_need_no_body_where_it_lies_already(store: Store) -> None:
    write(store, stored(KEY, b"body" * 500))
    fresh = item(stored(KEY, b"body" * 500, etag=b'"2"'), NOW + 1)
    with Batch(store) as batch:
        assert batch.write(Item(fresh.record, fresh.packed, None))
    found = store.find(KEY, {}, 10_000)
    assert found is not None
    assert (found.record.headers[b"etag"], found.body) == (b'"2"', b"body" * 500)
    gone = item(stored(KEY + b"other", b"else"))
    with Batch(store) as batch:
        assert not batch.write(Item(gone.record, gone.packed, None))
    assert rows(store)["references"] == 1


def test_a_lost_chunk_is_brought_anew_by_the_next_answer_that_has_it(store: Store) -> None:
    body = random.Random(1).randbytes(9_000)
    digest = item(stored(KEY, body)).record.digests[0]
    write(store, stored(KEY + b"1", body))
    with Batch(store) as batch:
        batch.lose(digest)
    write(store, stored(KEY + b"2", body))
    assert body_of(store, KEY + b"1") == body
    for number in (b"1", b"2"):
        with Batch(store) as batch:
            batch.drop(head(KEY + number))
    assert rows(store) == EMPTY


def test_a_new_vary_replaces_the_variants_of_the_old_one(store: Store) -> None:
    write(store, *[stored(KEY, b"%d" % n, vary=(b"accept",), variant=b"=%d" % n) for n in range(3)])
    write(store, stored(KEY, b"all"))
    assert body_of(store, KEY, {b"accept": b"1"}) == b"all"
    assert rows(store)["heads"] == 1


def test_variants_of_one_resource_are_bounded(store: Store) -> None:
    for number in range(VARIANT_LIMIT + 5):
        write(store, stored(KEY, b"%d" % number, vary=(b"accept",), variant=b"=%d" % number))
    assert rows(store)["heads"] == VARIANT_LIMIT
    assert store.books()[1] == VARIANT_LIMIT


def test_what_raises_changes_nothing(store: Store) -> None:
    write(store, stored(KEY, b"first"))
    batch = Batch(store)
    batch.write(item(stored(KEY + b"2")))
    batch.drop(head(KEY))
    batch.__exit__(ZeroDivisionError, None, None)
    assert body_of(store, KEY) == b"first"
    assert store.books()[1] == 1


def test_the_oldest_go_first_and_who_was_asked_for_stays(store: Store) -> None:
    entries = [stored(KEY + b"%d" % number, random.Random(number).randbytes(5_000)) for number in range(10)]
    write(store, *entries)
    used = store.books()[0]
    with Batch(store) as batch:
        batch.mark([head(KEY + b"0"), head(KEY + b"2"), b"nobody"])
        assert batch.make_room(used * 65 // 100, 100) == 4
    left = {number for number in range(10) if body_of(store, KEY + b"%d" % number)}
    assert left == {0, 2, 6, 7, 8, 9}
    with Batch(store) as batch:  # the second chance is one: 0 and 2 stand behind the others, unmarked
        batch.make_room(used * 45 // 100, 100)
        assert batch.make_room(0, 3) == 3
        batch.make_room(0, 100)
    assert rows(store) == EMPTY
    assert store.books() == (0, 0)


def test_when_all_were_asked_for_some_go_all_the_same(store: Store) -> None:
    write(store, *[stored(KEY + b"%d" % number) for number in range(20)])
    with Batch(store) as batch:
        batch.mark([head(KEY + b"%d" % number) for number in range(20)])
        assert batch.make_room(0, 5) == 5


URLS = [b"http://a.example/x", b"http://a.example/x#beta", b"http://a.example/x/y", b"https://a.example/x"]
URLS += [b"http://a.example:8080/x", b"http://a.example.org/x", b"http://b.example/", b"http://a.example/" + b"l" * 600]


@pytest.mark.parametrize(
    ("kind", "value", "gone"),
    [
        ("url", URLS[0], {0, 1}),
        ("url", URLS[7], {7}),
        ("prefix", b"http://a.example/x", {0, 1, 2}),
        ("prefix", URLS[7][:450], {7}),
        ("host", b"a.example", {0, 1, 2, 3, 4, 7}),
        ("tag", b"odd", {1, 3, 5, 7}),
        ("tag", b"o", set()),
        ("all", b"", set(range(8))),
    ],
)
def test_a_purge_takes_what_it_matches_and_nothing_else(store: Store, kind: Kind, value: bytes, gone: set[int]) -> None:
    entries = [
        stored(url, b"%d" % number, tags=(b"odd" if number % 2 else b"even", b"all")) for number, url in enumerate(URLS)
    ]
    write(store, *entries)
    assert run(store, kind, value, step=3) == len(gone)
    assert {number for number, url in enumerate(URLS) if body_of(store, url) is None} == gone
    assert run(store, kind, value) == 0
    assert rows(store)["tags"] == 2 * (8 - len(gone))


def test_a_purge_reaches_every_variant(store: Store) -> None:
    write(store, *[stored(KEY, b"%d" % n, vary=(b"accept",), variant=b"=%d" % n) for n in range(5)])
    assert run(store, "url", KEY) == 5
    assert rows(store) == EMPTY


def test_what_was_fetched_after_a_purge_stays(store: Store) -> None:
    write(store, stored(KEY), began=NOW + 5)
    assert run(store, "all", at=NOW + 4) == 0
    assert body_of(store, KEY) == b"hello"


@pytest.mark.parametrize(("kind", "value"), [("url", KEY), ("tag", b"t")])
def test_a_soft_purge_ends_the_freshness_and_keeps_the_rest(store: Store, kind: Kind, value: bytes) -> None:
    write(store, *[stored(KEY + b"#%d" % number, b"body", tags=(b"t",)) for number in range(5)])
    used = store.books()
    assert run(store, kind, value, soft=True, at=NOW + 30) == 5
    found = store.find(KEY + b"#0", {}, 100)
    assert found is not None
    entry = to_entry(found.record, found.body)
    assert (entry.fresh_until, entry.body, entry.tags) == (NOW + 30, b"body", (b"t",))
    assert entry.fields.fields[b"cache-control"] == b"max-age=30"
    assert found.record.began > NOW + 30  # nobody has to hide it any more
    assert store.books() == used
    assert run(store, "all") == 0
    assert run(store, "all", at=NOW + 40) == 5
    assert rows(store) == EMPTY
    assert store.books() == (0, 0)


STEPS = st.lists(st.tuples(st.sampled_from("wwwdert"), st.integers(0, 6), st.integers(0, 4)), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_books_always_balance_and_nothing_is_left_behind(store: Store, steps: list[tuple[str, int, int]]) -> None:
    began = NOW
    for action, number, size in steps:
        began += 1
        key = KEY + b"%d" % number
        with Batch(store) as batch:
            if action == "w":
                body = bytes((size,)) * (CHUNK * size // 2)
                batch.write(item(stored(key, body, tags=(b"t%d" % size,)), began))
            elif action == "d":
                batch.drop(head(key))
            elif action == "e":
                batch.make_room(batch.used // 2, 100)
            elif action == "r":
                batch.mark([head(key)])
            else:
                batch.purge(purge("tag", b"t%d" % size, soft=number % 2 == 0, at=began), b"", 100)
            assert batch.heads == rows_of(batch, store)
    with Batch(store) as batch:
        batch.purge(purge("all", at=began + 9), b"", 10_000)
    assert rows(store) == EMPTY
    assert store.books() == (0, 0)


def rows_of(batch: Batch, store: Store) -> int:
    return int(batch._transaction.stat(store.heads)["entries"])


def test_long_keys_keep_their_whole_beginning_for_purges() -> None:
    assert place(URLS[7])[:LONGEST] == URLS[7][:LONGEST]
