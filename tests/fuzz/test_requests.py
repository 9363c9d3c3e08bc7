"""Requests in any segments: what was sent is what is seen, in order; damaged ones end in a clean refusal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.strategies import Sent, damaged, pipelines, segments
from tests.support.client import RawClient, ask
from tests.support.inprocess import InProcessEdge
from tests.support.origin import RecordedRequest, RecordingOrigin
from tests.support.site import config as site_config

_HEAD = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [/*][\x21-\x7e\x80-\xff]* HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ ]?[\t\x20-\x7e\x80-\xff]*\r\n)+\r\n"
)
_DEEP = settings(settings.get_profile("default"), max_examples=4000, deadline=None, database=None)


def _seen(method: bytes, target: bytes, body: bytes) -> bytes:
    return b"%b %b %d %b" % (method, target, len(body), hashlib.sha256(body).hexdigest().encode())


def _tell(request: RecordedRequest) -> bytes:
    """Answer with what was seen."""
    seen = _seen(request.method, request.target, request.body)
    head = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nX-Seen: %b\r\nContent-Length: %d\r\n\r\n" % (seen, len(seen))
    return head if request.method == b"HEAD" else head + seen


class Wire(NamedTuple):
    edge: InProcessEdge
    origin: RecordingOrigin


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with (
        RecordingOrigin(_tell) as origin,
        InProcessEdge(
            site_config(origin.url, limits={"connections_per_client": 20000}, middleware={"bot_check": False})
        ) as edge,
    ):
        yield Wire(edge, origin)


def _same_exchanges(wire: Wire, sent: list[Sent], pieces: list[bytes]) -> None:
    methods = [request.method for request in sent]
    with RawClient(wire.edge.address) as client:
        client.send(*pieces, between=wire.edge.settle if len(pieces) > 1 else None)
        answers = client.answers(len(sent), methods)
    assert answers.statuses == [200] * len(sent)
    assert [answer.get(b"x-seen") for answer in answers.final] == [_seen(r.method, r.target, r.body) for r in sent]
    assert not answers.rest
    assert not wire.edge.faults


def _clean_end(wire: Wire, sent: bytes, pieces: list[bytes]) -> None:
    wire.origin.clear()
    with RawClient(wire.edge.address) as client:
        client.send(*pieces, between=wire.edge.settle if len(pieces) > 1 else None)
        client.finish()
        client.read_to_close()
        assert client.closed, "neither answered nor closed"
        received = bytes(client.received)
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", received)]
    assert all(status in {100, 200, 400, 405, 408, 413, 414, 417, 431, 501, 505, 508} for status in statuses), received
    assert not {400, 431, 505} & set(statuses[:-1]), f"went on after refusing: {received!r}"
    for request in wire.origin.requests:
        assert _HEAD.fullmatch(request.head), request.head
        assert len(request.all(b"content-length")) + len(request.all(b"transfer-encoding")) <= 1
        assert len(request.all(b"host")) == 1
    assert not wire.edge.faults, sent


_cut_pipelines = pipelines().flatmap(
    lambda sent: st.tuples(st.just(sent), segments(b"".join(request.wire for request in sent)))
)
_damaged = pipelines().flatmap(lambda sent: damaged(b"".join(request.wire for request in sent)))
_cut_damaged = _damaged.flatmap(lambda data: st.tuples(st.just(data), segments(data)))


@given(_cut_pipelines)
def test_any_segments_are_the_same_exchanges_answered_in_order(
    wire: Wire, drawn: tuple[list[Sent], list[bytes]]
) -> None:
    _same_exchanges(wire, *drawn)


@given(_cut_damaged)
def test_damaged_requests_end_in_an_exchange_or_a_refusal(wire: Wire, drawn: tuple[bytes, list[bytes]]) -> None:
    _clean_end(wire, *drawn)


def test_byte_by_byte_is_the_same_as_at_once(wire: Wire) -> None:
    sent = [
        Sent(
            b"POST /0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n",
            b"POST",
            b"/0",
            b"hello",
        ),
        Sent(b"HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD", b"/1", b""),
        Sent(b"PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", b"PUT", b"/2", b"abc"),
    ]
    whole = b"".join(request.wire for request in sent)
    _same_exchanges(wire, sent, [whole])
    _same_exchanges(wire, sent, [whole[i : i + 1] for i in range(len(whole))])


def test_the_proxy_still_serves_afterwards(wire: Wire) -> None:
    assert ask(wire.edge.address, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").statuses == [200]


@pytest.mark.slow
@_DEEP
@given(_cut_pipelines)
def test_any_segments_at_length(wire: Wire, drawn: tuple[list[Sent], list[bytes]]) -> None:
    _same_exchanges(wire, *drawn)


@pytest.mark.slow
@_DEEP
@given(_cut_damaged)
def test_damaged_requests_at_length(wire: Wire, drawn: tuple[bytes, list[bytes]]) -> None:
    _clean_end(wire, *drawn)
