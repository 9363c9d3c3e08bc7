"""What pages were seen to preload: bounded, and gone with a purge."""

from __future__ import annotations

import pytest

from edgeproxy.cache.purge import REMEMBERED, PurgeLog, named
from edgeproxy.clock import ManualClock
from edgeproxy.hints.learned import OVERHEAD, PAGES, SIZE, Learned
from edgeproxy.http.headers import Headers

STYLE = {b"link": b"</a.css>; rel=preload; as=style"}
SCRIPT = {b"link": b"</a.js>; rel=preload; as=script"}
PAGE = b"https://a.test/"


class Table(Learned):
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.purges = PurgeLog(self.clock.wall)
        super().__init__(self.purges.allows, self.clock.wall)

    def says(self, key: bytes, fields: Headers, tags: tuple[bytes, ...] = ()) -> None:
        self.learn(key, fields[b"link"], fields, tags)

    def purge(self, kind: str, value: str, *, soft: bool = False) -> None:
        self.clock.advance(1)
        self.purges.add(named(kind, value, self.clock.wall(), soft=soft))
        self.clock.advance(1)


def test_a_page_is_known_as_it_was_last() -> None:
    table = Table()
    assert table.of(PAGE) == {}
    table.says(PAGE, STYLE)
    assert table.of(PAGE) == STYLE
    table.says(PAGE, SCRIPT)
    assert table.of(PAGE) == SCRIPT
    table.forget(PAGE)
    assert table.of(PAGE) == {}
    assert repr(table) == "<Learned 0 pages, 0 B>"


@pytest.mark.parametrize(
    ("kind", "value"), [("url", "https://a.test/"), ("host", "a.test"), ("tag", "news"), ("all", "")]
)
@pytest.mark.parametrize("soft", [False, True])
def test_a_purge_ends_what_was_known(kind: str, value: str, soft: bool) -> None:
    table = Table()
    table.says(PAGE, STYLE, (b"news",))
    table.says(b"https://b.test/", STYLE, ())
    table.purge(kind, value, soft=soft)
    assert table.of(PAGE) == {}
    assert bool(table.of(b"https://b.test/")) is (kind != "all")
    table.says(PAGE, STYLE, (b"news",))
    assert table.of(PAGE) == STYLE


def test_what_was_looked_at_is_not_taken_for_older_than_a_purge_of_something_else() -> None:
    table = Table()
    table.says(PAGE, STYLE)
    for _ in range(5):  # longer than purges are remembered
        table.purge("host", "b.test")
        table.clock.advance(REMEMBERED / 2)
        assert table.of(PAGE) == STYLE
    table.purge("host", "a.test")
    assert table.of(PAGE) == {}


def test_a_page_learned_again_after_a_purge_has_its_new_tags() -> None:
    table = Table()
    table.says(PAGE, STYLE, (b"old",))
    table.says(PAGE, STYLE, (b"new",))
    table.purge("tag", "old")
    assert table.of(PAGE) == STYLE
    table.purge("tag", "new")
    assert table.of(PAGE) == {}


def test_the_number_of_pages_has_a_bound_and_those_asked_for_stay() -> None:
    table = Table()
    table.says(PAGE, STYLE)
    for number in range(2 * PAGES):
        table.says(b"https://a.test/%d" % number, STYLE)
        table.of(PAGE)
    assert len(table) == PAGES
    assert table.of(PAGE) == STYLE
    assert table.of(b"https://a.test/0") == {}


def test_their_bytes_have_a_bound() -> None:
    table = Table()
    long = {b"link": b"x" * 4000}
    for number in range(PAGES):
        table.says(b"https://a.test/%d" % number, long)
    assert len(table) <= SIZE // (8000 + OVERHEAD)


def test_the_field_that_was_learned_from_is_known_also_where_nothing_of_it_is_told() -> None:
    table = Table()
    table.learn(PAGE, b"</next>; rel=next", {})
    assert table.of(PAGE) == {}
    assert table.knows(PAGE, b"</next>; rel=next")
    assert not table.knows(PAGE, STYLE[b"link"])
    assert not table.knows(b"https://a.test/other", b"</next>; rel=next")
