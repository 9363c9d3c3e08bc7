from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.config.connections import RangesConfig
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import Request, Response
from edgeproxy.origin.ranges import plan

CONFIG = RangesConfig.model_validate({"from": "1MB", "size": "256KB"})
LENGTH = 1_000_000
DATES = {b"last-modified": b"Sun, 01 Nov 2026 10:00:00 GMT", b"date": b"Sun, 01 Nov 2026 10:00:01 GMT"}


def request(method=b"GET", **fields):
    return Request(method, b"/", {name.replace("_", "-").encode(): value for name, value in fields.items()})


def answer(status=200, length=LENGTH, body=None, **fields):
    headers = {b"accept-ranges": b"bytes", b"etag": b'"v1"'}
    headers |= {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Response(status, {k: v for k, v in headers.items() if v is not None}, Pipe(length) if body is None else body)


def part(start=256_000, end=512_000, status=206, **fields):
    given_ = {"content_range": b"bytes %d-%d/%d" % (start, end - 1, LENGTH)} | fields
    return answer(status, end - start, **given_)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (request(b"POST"), answer()),
        (request(b"HEAD"), answer()),
        (request(range=b"bytes=0-5"), answer()),
        (request(), answer(206)),
        (request(), answer(203)),
        (request(), answer(body=b"x" * LENGTH)),
        (request(), answer(length=LENGTH - 1)),
        (request(), answer(length=None)),
        (request(), answer(accept_ranges=None)),
        (request(), answer(accept_ranges=b"none")),
        (request(), answer(accept_ranges=b"bytesome")),
        (request(), answer(etag=None)),
        (request(), answer(etag=b'W/"v1"')),
        (request(), answer(etag=b"v1")),
        (request(), answer(etag=None, last_modified=DATES[b"last-modified"])),
        (request(), answer(etag=None, last_modified=DATES[b"date"], date=DATES[b"date"])),
    ],
)
def test_what_is_not_fetched_in_parts(asked, answered):
    assert plan(CONFIG, asked, answered) is None


@pytest.mark.parametrize(
    ("answered", "validator"),
    [
        (answer(), b'"v1"'),
        (answer(accept_ranges=b"other, Bytes"), b'"v1"'),
        (answer(etag=b'W/"v1"', last_modified=DATES[b"last-modified"], date=DATES[b"date"]), DATES[b"last-modified"]),
    ],
)
def test_what_is(answered, validator):
    assert plan(CONFIG, request(), answered).validator == validator


def test_a_part_is_asked_for_under_its_own_condition():
    found = plan(CONFIG, request(accept_encoding=b"gzip", if_none_match=b'"v0"', if_range=b'"v0"'), answer())
    assert found.headers(256_000, 512_000) == {
        b"accept-encoding": b"gzip",
        b"range": b"bytes=256000-511999",
        b"if-range": b'"v1"',
    }


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        (part(), "part"),
        (part(content_encoding=None, last_modified=None), "part"),
        (part(etag=None), "changed"),
        (part(etag=b'"v2"'), "changed"),
        (part(content_encoding=b"gzip"), "changed"),
        (part(status=200), "changed"),
        (part(status=412), "changed"),
        (part(status=404), "changed"),
        (part(start=0), "changed"),
        (part(content_range=b"bytes 256000-511999/*"), "changed"),
        (part(content_range=b"bytes 256000-511999/1000001"), "changed"),
        (part(content_range=None), "changed"),
        (part(content_type=b"multipart/byteranges; boundary=x", content_range=None), "changed"),
        (part(status=503), "failed"),
        (part(status=429), "failed"),
    ],
)
def test_what_an_answer_to_a_part_is(answered, expected):
    assert plan(CONFIG, request(), answer()).judge(answered, 256_000, 512_000) == expected


def test_a_date_need_not_be_told_again_but_not_another():
    found = plan(CONFIG, request(), answer(etag=None, last_modified=DATES[b"last-modified"], date=DATES[b"date"]))
    assert found.judge(part(etag=None), 256_000, 512_000) == "part"
    assert found.judge(part(etag=None, last_modified=DATES[b"date"]), 256_000, 512_000) == "changed"
    assert found.judge(part(etag=b'"new"'), 256_000, 512_000) == "changed"


@given(st.integers(LENGTH, 10**12), st.integers(256_000, 999_999))
def test_parts_are_the_whole_without_gap_or_overlap(length, size):
    found = plan(CONFIG.model_copy(update={"size": size}), request(), answer(length=length))
    start = 0
    for _ in range(20):
        end = found.end(start)
        assert start < end <= length
        assert end - start == size or end == length
        if end == length:
            break
        start = end


@given(st.binary())
def test_no_content_range_raises(value):
    assert plan(CONFIG, request(), answer()).judge(part(content_range=value), 256_000, 512_000) in {"changed", "part"}
