"""What a purge is about is hidden from the moment it is heard of until a while after it was done."""

from __future__ import annotations

from edgeproxy.cache.disk_shadow import SETTLING, Shadow
from edgeproxy.cache.purge import Purge

KEY = b"http://a.example/x"


def purge(kind: str, value: bytes, at: float = 100.0) -> Purge:
    return Purge(kind, value, soft=False, at=at)  # type: ignore[arg-type]


def test_what_was_fetched_before_is_hidden_and_what_was_fetched_after_is_not() -> None:
    for one in (purge("url", KEY), purge("prefix", b"http://a."), purge("host", b"a.example"), purge("tag", b"t")):
        shadow = Shadow()
        shadow.add(one)
        assert shadow.hides(KEY, (b"t",), 99.0)
        assert shadow.hides(KEY, (b"t",), 100.0)
        assert not shadow.hides(KEY, (b"t",), 100.1)
        assert not shadow.hides(b"http://b.example/", (b"u",), 99.0)


def test_a_url_is_hidden_in_every_partition() -> None:
    shadow = Shadow()
    shadow.add(purge("url", KEY))
    assert shadow.hides(KEY + b"#beta", (), 1.0)
    assert not shadow.hides(KEY + b"/more", (), 1.0)


def test_what_was_done_is_forgotten_a_while_later() -> None:
    shadow = Shadow()
    for one in (purge("url", KEY), purge("all", b"")):
        shadow.add(one)
        shadow.end(one, 1_000.0)
    shadow.settle(1_000.0 + SETTLING - 1)
    assert shadow.hides(KEY, (), 1.0)
    assert len(shadow) == 2
    shadow.settle(1_000.0 + SETTLING + 1)
    assert not shadow.hides(KEY, (), 1.0)
    assert not len(shadow)


def test_a_later_purge_of_the_same_url_goes_on_hiding() -> None:
    shadow = Shadow()
    first, second = purge("url", KEY, 100.0), purge("url", KEY, 200.0)
    shadow.add(first)
    shadow.add(second)
    shadow.end(first, 1_000.0)
    shadow.settle(1_000.0 + SETTLING + 1)
    assert shadow.hides(KEY, (), 150.0)
