"""Answers from stored entries: whole, not modified, in parts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeproxy.cache.answer import from_entry
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.fill import Fill
from edgeproxy.cache.parts import Parts
from edgeproxy.cache.source import Source
from edgeproxy.http.body import Body
from edgeproxy.http.dates import format_date
from edgeproxy.http.message import Response
from tests.support.stages import exchange

Make = Callable[..., Entry]
NOW = 1_800_000_000.0
ETAG = {b"etag": b'"1"', b"content-type": b"text/plain", b"last-modified": b"Thu, 14 Jan 2027 08:00:00 GMT"}


def ask(stored: Entry, *, method: bytes = b"GET", after: float = 7.9, **fields: bytes) -> Response:
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return from_entry(stored, exchange(b"/", headers, method=method).request, NOW + after, b"hit")


def test_a_whole_answer_has_its_age_and_shares_what_is_stored(entry: Make) -> None:
    stored = entry(ETAG)
    response = ask(stored)
    assert (response.status, response.body, response.get(b"age")) == (200, b"0123456789", b"7")
    assert response.get(b"cache-status") == b"edgeproxy; hit"
    assert response.shared is stored.fields
    response.set(b"etag", b"other")
    assert stored.fields.fields[b"etag"] == b'"1"'


def test_a_clock_that_went_back_makes_no_negative_age(entry: Make) -> None:
    assert ask(entry(), after=-5).get(b"age") == b"0"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"if_none_match": b'"1"'}, 304),
        ({"if_none_match": b'W/"1"'}, 304),
        ({"if_none_match": b"*"}, 304),
        ({"if_none_match": b'"2"'}, 200),
        ({"if_modified_since": b"Thu, 14 Jan 2027 08:00:00 GMT"}, 304),
        ({"if_modified_since": b"Thu, 14 Jan 2027 07:59:59 GMT"}, 200),
        ({"if_none_match": b'"2"', "if_modified_since": b"Thu, 14 Jan 2027 08:00:00 GMT"}, 200),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_conditions_are_evaluated_on_the_stored_answer(
    entry: Make, fields: dict[str, bytes], status: int, method: bytes
) -> None:
    response = ask(entry(ETAG), method=method, **fields)
    assert response.status == status
    assert response.get(b"age") == b"7"
    if status == 304:
        assert (response.body, response.get(b"content-type"), response.get(b"etag")) == (b"", None, b'"1"')


@pytest.mark.parametrize(
    ("wanted", "part", "place"),
    [
        (b"bytes=2-4", b"234", b"bytes 2-4/10"),
        (b"bytes=8-", b"89", b"bytes 8-9/10"),
        (b"bytes=-1", b"9", b"bytes 9-9/10"),
    ],
)
def test_one_range_is_cut_out(entry: Make, wanted: bytes, part: bytes, place: bytes) -> None:
    response = ask(entry(ETAG), range=wanted)
    assert (response.status, response.body, response.get(b"content-range")) == (206, part, place)
    assert (response.get(b"etag"), response.get(b"age")) == (b'"1"', b"7")


def test_several_ranges_are_parts_of_one_body(entry: Make) -> None:
    stored = entry(ETAG)
    response = ask(stored, range=b"bytes=0-1,8-9")
    kind = response.get(b"content-type")
    assert response.status == 206
    assert kind is not None
    assert kind.startswith(b"multipart/byteranges")
    assert isinstance(response.body, bytes)
    assert response.body.count(b"content-range: bytes ") == 2
    assert stored.fields.fields[b"content-type"] == b"text/plain"


def test_a_range_behind_the_end_is_416_with_the_length(entry: Make) -> None:
    response = ask(entry(ETAG), range=b"bytes=10-")
    assert (response.status, response.body, response.get(b"content-range")) == (416, b"", b"bytes */10")
    assert response.get(b"etag") is None


@pytest.mark.parametrize(
    ("fields", "method", "status"),
    [
        ({"range": b"bytes=0-1", "if_range": b'"2"'}, b"GET", 200),
        ({"range": b"bytes=0-1", "if_range": b'"1"'}, b"GET", 206),
        ({"range": b"bytes=0-1"}, b"HEAD", 200),
        ({"range": b"pages=0-1"}, b"GET", 200),
        ({"range": b"bytes=0-1", "if_none_match": b'"1"'}, b"GET", 304),  # conditions first, RFC 9110 §13.2.2
    ],
)
def test_where_a_range_does_not_count(entry: Make, fields: dict[str, bytes], method: bytes, status: int) -> None:
    assert ask(entry(ETAG), method=method, **fields).status == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 206),
        ({b"content-encoding": b"br", b"etag": b'"1"'}, 206),
        ({b"content-encoding": b"br", b"etag": b'W/"1"'}, 200),
        ({b"content-encoding": b"br"}, 200),
        ({b"etag": b'W/"1"'}, 200),
    ],
)
def test_a_date_names_no_copy_that_was_compressed_here(entry: Make, fields: dict[bytes, bytes], status: int) -> None:
    """By now there may be a better one; what the origin compressed has its strong tag."""
    modified = b"Thu, 14 Jan 2027 08:00:00 GMT"
    stored = entry({b"last-modified": modified, b"date": b"Thu, 14 Jan 2027 09:00:00 GMT"} | fields)
    assert ask(stored, range=b"bytes=0-1", if_range=modified).status == status


def test_only_a_200_is_cut(entry: Make) -> None:
    assert ask(entry(ETAG, status=404), range=b"bytes=0-1").status == 404


async def test_a_body_that_still_arrives_is_read_from_its_fill(entry: Make) -> None:
    fill = Fill(10)
    whole = ask(entry(ETAG, body=None, fill=fill))
    part = ask(entry(ETAG, body=None, fill=fill), range=b"bytes=3-6")
    for piece in (b"01", b"2345", b"6789"):
        fill.feed(piece)
    fill.finish()
    assert (whole.status, part.status) == (200, 206)
    assert part.get(b"content-range") == b"bytes 3-6/10"
    assert not isinstance(whole.body, bytes)
    assert await whole.body.read() == b"0123456789"
    assert not isinstance(part.body, bytes)
    assert (part.body.length, await part.body.read(), await part.body.read()) == (4, b"3456", b"")


def test_several_parts_of_a_body_that_still_arrives_are_not_waited_for(entry: Make) -> None:
    fill = Fill(10)
    assert ask(entry(ETAG, body=None, fill=fill), range=b"bytes=0-1,5-6").status == 200
    assert len(fill.readers) == 1


def test_a_part_of_what_has_no_known_length_yet_is_the_whole(entry: Make) -> None:
    assert ask(entry(ETAG, body=None, fill=Fill(None)), range=b"bytes=0-1").status == 200


def test_parts_are_answered_from_what_is_here_of_the_body(entry: Make) -> None:
    parts = Parts(10)
    parts.add(4, b"45678")
    stored = entry(ETAG, body=None, parts=parts)
    part = ask(stored, range=b"bytes=6-8")
    assert (part.status, part.get(b"content-range"), part.body) == (206, b"bytes 6-8/10", b"678")
    assert ask(stored, range=b"bytes=12-").status == 416
    several = ask(stored, range=b"bytes=4-4,8-8")
    assert several.status == 206
    assert isinstance(several.body, bytes)
    assert b"bytes 4-4/10\r\n\r\n4\r\n" in several.body


@pytest.mark.parametrize(("since", "status"), [(NOW - 1, 200), (NOW, 304), (NOW + 60, 304)])
def test_date_stands_for_a_last_modified_that_is_not_there(entry: Make, since: float, status: int) -> None:
    """RFC 9111 §4.3.2."""
    stored = entry({b"date": format_date(NOW)})
    assert ask(stored, **{"if-modified-since": format_date(since)}).status == status


class Positions(Body):
    """A body that says which bytes it was asked for."""

    def __init__(self, first: int, last: int) -> None:
        self.asked = (first, last)
        self.length = last + 1 - first


def elsewhere(entry: Make) -> Entry:
    stored = entry(ETAG, body=None)
    stored.source = Source(1_000, 100, (), Positions)
    return stored


def test_a_body_that_lies_elsewhere_is_read_from_there(entry: Make) -> None:
    whole = ask(elsewhere(entry))
    assert isinstance(whole.body, Positions)
    assert (whole.status, whole.body.asked, whole.body.length) == (200, (0, 999), 1_000)
    part = ask(elsewhere(entry), range=b"bytes=100-199")
    assert isinstance(part.body, Positions)
    assert (part.status, part.body.asked, part.get(b"content-range")) == (206, (100, 199), b"bytes 100-199/1000")
    assert ask(elsewhere(entry), range=b"bytes=1000-").status == 416
    assert ask(elsewhere(entry), range=b"bytes=0-1,5-6").status == 200
    assert ask(elsewhere(entry), if_none_match=b'"1"').status == 304


def test_head_of_a_body_that_lies_elsewhere_reads_nothing(entry: Make) -> None:
    head = ask(elsewhere(entry), method=b"HEAD")
    assert (head.status, head.body, head.get(b"content-length")) == (200, b"", b"1000")
