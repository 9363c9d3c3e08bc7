"""What an event loop hands over becomes what a batch writes."""

from __future__ import annotations

import random

from edgeproxy.cache.disk_layout import CHUNK, digest_of
from edgeproxy.cache.disk_order import CHANGED, Order, to_item
from edgeproxy.cache.record import of_entry, unpack
from tests.support.disk import NOW, stored

KEY = b"http://a.example/"


def order(body: bytes, **more: tuple[bytes, ...]) -> Order:
    return Order(of_entry(stored(KEY, body, **more), NOW, len(body), 0, ()), body)


def test_a_body_is_cut_into_chunks_and_each_is_named_by_its_content() -> None:
    body = random.Random(1).randbytes(2 * CHUNK + 1)
    item = to_item(order(body), 10**9)
    assert item is not None
    assert item.chunks is not None
    assert b"".join(item.chunks) == body
    assert [len(chunk) for chunk in item.chunks] == [CHUNK, CHUNK, 1]
    assert item.record.digests == tuple(digest_of(chunk) for chunk in item.chunks)
    assert unpack(item.packed) == item.record


def test_an_empty_body_has_no_chunks() -> None:
    item = to_item(order(b""), 10**9)
    assert item is not None
    assert (item.chunks, item.record.digests, item.record.length) == ([], (), 0)


def test_what_has_no_body_with_it_keeps_the_names_of_the_one_that_lies_there() -> None:
    first = to_item(order(b"x" * 100), 10**9)
    assert first is not None
    item = to_item(Order(first.record, None), 10**9)
    assert item is not None
    assert (item.chunks, item.record) == (None, first.record)


def test_what_is_too_large_is_none() -> None:
    assert to_item(order(b"x" * 100_000), 90_000) is None
    assert to_item(order(b"x", tags=tuple(b"%d" % number for number in range(70_000))), 10**9) is None


def test_an_order_counts_with_what_it_changes() -> None:
    assert order(b"x" * 100).size == 100 + CHANGED
    assert order(b"x")._replace(body=None).size == CHANGED
