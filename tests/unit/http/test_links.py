"""The Link field, as origins write it and as they should not."""

from __future__ import annotations

import time

import pytest

from edgeproxy.http.links import MOST, parse_links

CASES: list[tuple[bytes, list[tuple[bytes, set[bytes]]]]] = [
    (b"</a.css>; rel=preload; as=style", [(b"/a.css", {b"preload"})]),
    (b'</a>; rel="prefetch  Preload"', [(b"/a", {b"prefetch", b"preload"})]),
    (b"</a>;rel=preload,</b>;rel=next", [(b"/a", {b"preload"}), (b"/b", {b"next"})]),
    (b"</a> ; as=style ; REL = preload , </b>", [(b"/a", {b"preload"}), (b"/b", set())]),
    (b'</a,b;c>; title="x, <y>; rel=preload"; rel=next', [(b"/a,b;c", {b"next"})]),
    (b'</a>; title="say \\"rel=preload\\""', [(b"/a", set())]),
    (b"</a>; rel=preload; rel=next", [(b"/a", {b"preload"})]),
    (b"</a>; rel", [(b"/a", set())]),
    (b"</a>; ; rel=preload", [(b"/a", {b"preload"})]),
    (b",, </a>; rel=preload,,", [(b"/a", {b"preload"})]),
    (b"</a>; rel=preload </b>; rel=preload", [(b"/a", {b"preload"})]),
    (b"<>; rel=preload", [(b"", {b"preload"})]),
    (b"/a; rel=preload", []),
    (b"</a; rel=preload", []),
    (b'</a>; rel="preload', [(b"/a", set())]),
    (b"", []),
]


@pytest.mark.parametrize(("value", "links"), CASES)
def test_links_are_read_with_their_relations(value: bytes, links: list[tuple[bytes, set[bytes]]]) -> None:
    assert [(link.target, set(link.relations)) for link in parse_links(value)] == links


def test_a_link_is_kept_as_it_is_written_with_its_parameters_unquoted() -> None:
    written = rb'</a>; REL=preload; as="style";as=font; title="a \"b\", <c>"; crossorigin'
    first, second = parse_links(b" ,, " + written + b" , </b>")
    assert first.text == written
    assert first.parameters == {b"rel": b"preload", b"as": b"style", b"title": b'a "b", <c>', b"crossorigin": b""}
    assert second.text == b"</b>"


def test_the_number_of_links_has_a_bound() -> None:
    assert len(parse_links(b"</a>; rel=preload, " * 1_000)) == MOST


@pytest.mark.parametrize(
    "value", [b"<", b"</a>" + b";" * 30_000, b"</a>; rel=" + b'"' + b"\\" * 30_000, b", " * 15_000]
)
def test_a_long_field_takes_no_long_time(value: bytes) -> None:
    start = time.process_time()
    parse_links(value)
    assert time.process_time() - start < 0.5
