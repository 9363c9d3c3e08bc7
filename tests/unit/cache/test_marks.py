"""Marks of purges as values: where each kind leaves one, and what is read for a key. Redis' side of it is tested in
tests/integration/cache/test_redis.py."""

from __future__ import annotations

import pytest

from edgeproxy.cache import marks
from edgeproxy.cache.marks import UNMARKED, Mark
from edgeproxy.cache.purge import named

URL = b"http://www.example.com:8080/a"
KEY = URL + b"#beta"


@pytest.mark.parametrize(
    ("kind", "value", "place", "host", "prefix"),
    [
        ("url", URL.decode(), b"url:" + marks.digest(URL), b"", b""),
        ("host", "www.example.com", b"host:www.example.com", b"", b""),
        ("tag", "t", b"tag:t", b"", b""),
        ("all", "", b"all", b"", b""),
        ("prefix", URL.decode(), b"prefixes:www.example.com", b"host:www.example.com", URL),
    ],
)
def test_each_kind_is_marked_where_it_is_looked_for(
    kind: str, value: str, place: bytes, host: bytes, prefix: bytes
) -> None:
    purge = named(kind, value, 0.0, soft=True)
    assert marks.arguments(purge, "epoch", "message")[:6] == ["epoch", place, host, prefix, 1, "message"]
    read = [*marks.fields_of(KEY), *marks.fields_of_tags([b"t"])]
    assert place in read


def test_hosts_of_keys() -> None:
    keys = (KEY, b"https://[::1]:8443/a", b"https://[::1]/", b"http://a/?b:c")
    assert [marks.fields_of(key)[3] for key in keys] == [
        b"host:www.example.com",
        b"host:[::1]",
        b"host:[::1]",
        b"host:a",
    ]


def test_what_is_marked_for_a_key_is_the_latest_of_all_that_is_about_it() -> None:
    prefixes = b'{"http:\\/\\/www.example.com:8080\\/a":"0 9","http:\\/\\/www.example.com:8080\\/b":"50 50"}'
    values = [b"e", b"60", b"3 0", b"7 2", prefixes, b"0 4"]
    assert marks.read(KEY, values) == (b"e", 60, Mark(7, 9))
    assert marks.read(KEY, [None] * 6) == (b"", 0, UNMARKED)
    assert marks.read_tags([None, b"5 0", b"0 6"]) == Mark(5, 6)
    assert marks.read_tags([]) == UNMARKED


@pytest.mark.parametrize("broken", [b"x", b"1", b"1 2 3", b"{}"])
def test_what_this_code_did_not_write_is_an_error(broken: bytes) -> None:
    with pytest.raises(ValueError):
        marks.read(KEY, [b"e", b"1", broken, None, None, None])
    with pytest.raises(ValueError):
        marks.read(KEY, [b"e", b"1", None, None, b"[1", None])


def test_both_places_are_in_one_slot_of_a_cluster() -> None:
    from redis.cluster import key_slot

    names = marks.keys("site-a:")
    assert key_slot(names.marks.encode()) == key_slot(names.stream.encode())
