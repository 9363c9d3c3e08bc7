"""HTTP/1.1 towards clients on real sockets: connections, order, framing both ways, expectations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.client import RawClient, ask
from tests.support.origin import Hang, RecordedRequest
from tests.support.processes import EdgeProcess
from tests.support.servers import answer, wait_until
from tests.support.site import Site, config, request

STORED = answer(200, b"stored", b"Cache-Control: max-age=600")
CHUNKED = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"


class Wire(NamedTuple):
    edge: EdgeProcess
    origin: Site


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Site() as origin, EdgeProcess(config(origin.url, middleware={"bot_check": False})) as edge:
        yield Wire(edge, origin)


@pytest.fixture
def client(wire: Wire) -> Iterator[RawClient]:
    with RawClient(wire.edge.address) as client:
        yield client


def _store(wire: Wire, target: bytes) -> bytes:
    """Have the target's answer stored; returns the target."""
    wire.origin.on(target, STORED)
    assert ask(wire.edge.address, request(target)).final[0].body == b"stored"
    return target


def _still_serves(client: RawClient, target: bytes) -> None:
    """The connection takes another request, and the answer to it is its own."""
    client.received.clear()
    client.send(request(target))
    assert [a.body for a in client.answers(1).final] == [b"ok"]


# Connections.


def test_one_connection_serves_many_requests(client: RawClient, wire: Wire) -> None:
    for number in range(3):
        target = b"/keep/%d" % number
        wire.origin.on(target, answer(200, target, b"Cache-Control: no-store"))
        client.received.clear()
        client.send(request(target))
        assert [a.body for a in client.answers(1).final] == [target]
    assert not client.closed


def test_close_is_honoured_and_said(client: RawClient) -> None:
    client.send(request(b"/", b"Connection: close"))
    client.read_to_close()
    (only,) = client.answers(1).final
    assert client.closed
    assert only.get(b"connection") == b"close"


def test_http_1_0_closes_unless_asked_to_stay(wire: Wire) -> None:
    with RawClient(wire.edge.address) as client:
        client.send(request(version=b"1.0"))
        client.read_to_close()
        assert client.closed
        assert client.answers(1).statuses == [200]
    with RawClient(wire.edge.address) as client:
        client.send(request(b"/", b"Connection: keep-alive", version=b"1.0"))
        assert client.answers(1).final[0].get(b"connection") == b"keep-alive"
        _still_serves(client, b"/after")


def test_http_1_0_gets_no_chunks(client: RawClient, wire: Wire) -> None:
    wire.origin.on(b"/chunks-for-old", lambda _: [CHUNKED, b"2\r\nab\r\n", b"3\r\ncde\r\n0\r\nX-Sum: 1\r\n\r\n"])
    client.send(request(b"/chunks-for-old", b"Connection: keep-alive", version=b"1.0"))
    client.read_to_close()
    (only,) = client.answers(1).final
    assert client.closed
    assert only.get(b"transfer-encoding") is None
    assert only.body == b"abcde"


# Order.


def test_pipelined_requests_are_answered_in_order_though_the_first_is_slow(client: RawClient, wire: Wire) -> None:
    stored = _store(wire, b"/order/stored")
    go = threading.Event()

    def slow(_: RecordedRequest) -> bytes:
        go.wait(5)
        return answer(200, b"slow", b"Cache-Control: no-store")

    wire.origin.on(b"/order/slow", slow)
    wire.origin.on(b"/order/last", answer(200, b"last", b"Cache-Control: no-store"))
    client.send(request(b"/order/slow") + request(stored) + request(b"/order/last"))
    wait_until(lambda: bool(wire.origin.to(b"/order/slow")), "the slow request is at the origin")
    assert client.read_some(0.1) == b"", "something was answered before its turn"
    go.set()
    assert [a.body for a in client.answers(3).final] == [b"slow", b"stored", b"last"]


def test_a_hundred_pipelined_requests_get_a_hundred_answers_or_a_close(client: RawClient, wire: Wire) -> None:
    targets = [b"/many/%d" % number for number in range(100)]
    for target in targets:
        wire.origin.on(target, answer(200, target, b"Cache-Control: no-store"))
    client.send(b"".join(map(request, targets)))
    bodies = [a.body for a in client.answers(100).final]
    assert bodies == targets[: len(bodies)]
    assert len(bodies) == 100 or (client.closed and len(bodies) >= 16)


def test_hits_pipelined_in_one_segment_are_all_answered(client: RawClient, wire: Wire) -> None:
    stored = _store(wire, b"/order/hits")
    client.send(request(stored) * 20)
    assert [a.body for a in client.answers(20).final] == [b"stored"] * 20
    assert len(wire.origin.to(stored)) == 1


# Framing, both ways.


def test_chunks_and_trailers_reach_the_origin(client: RawClient, wire: Wire) -> None:
    client.send(
        request(b"/up", b"Transfer-Encoding: chunked", b"Trailer: X-Sum", method=b"POST"),
        b"3;note=1\r\nabc\r\n",
        b"4\r\ndefg\r\n",
        b"0\r\nX-Sum: 7\r\n\r\n",
    )
    assert client.answers(1).statuses == [200]
    (seen,) = wire.origin.to(b"/up")
    assert seen.body == b"abcdefg"
    assert b"x-sum: 7" in seen.framing.lower()
    _still_serves(client, b"/after")


def test_the_body_of_a_pipelined_get_reaches_the_origin(client: RawClient, wire: Wire) -> None:
    client.send(request(b"/first", method=b"DELETE") + request(b"/get", b"Content-Length: 5") + b"hello")
    assert client.answers(2).statuses == [200, 200]
    assert [seen.body for seen in wire.origin.to(b"/get")] == [b"hello"]


def test_chunks_and_trailers_reach_the_client(client: RawClient, wire: Wire) -> None:
    wire.origin.on(b"/down", lambda _: [CHUNKED, b"3\r\nabc\r\n", b"4;x=y\r\ndefg\r\n", b"0\r\nX-Sum: 7\r\n\r\n"])
    client.send(request(b"/down", b"TE: trailers"))
    (only,) = client.answers(1).final
    assert only.body == b"abcdefg"
    assert only.trailers == [(b"x-sum", b"7")]
    _still_serves(client, b"/after")


def test_an_answer_until_close_arrives_whole_and_the_client_connection_stays(client: RawClient, wire: Wire) -> None:
    wire.origin.on(
        b"/eof", lambda _: [b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\r\n", b"to the end", Hang.CLOSE]
    )
    client.send(request(b"/eof"))
    (only,) = client.answers(1).final
    assert (only.body, only.until_close) == (b"to the end", False)
    _still_serves(client, b"/after")


def test_head_has_the_fields_and_no_body(client: RawClient, wire: Wire) -> None:
    wire.origin.on(b"/head", b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 1000\r\n\r\n")
    client.send(request(b"/head", method=b"HEAD"))
    (only,) = client.answers(1, (b"HEAD",)).final
    assert (only.get(b"content-length"), only.body) == (b"1000", b"")
    _still_serves(client, b"/after")


def test_head_is_answered_from_a_stored_get(client: RawClient, wire: Wire) -> None:
    client.send(request(_store(wire, b"/head/stored"), method=b"HEAD"))
    (only,) = client.answers(1, (b"HEAD",)).final
    assert (only.status, only.get(b"content-length")) == (200, b"6")
    _still_serves(client, b"/after")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_have_none(client: RawClient, wire: Wire, status: int) -> None:
    target = wire.origin.on(b"/none/%d" % status, b'HTTP/1.1 %d X\r\nETag: "a"\r\n\r\n' % status)
    client.send(request(target, b'If-None-Match: "a"') if status == 304 else request(target))
    (only,) = client.answers(1).final
    assert (only.status, only.body) == (status, b"")
    assert only.get(b"transfer-encoding") is None
    _still_serves(client, b"/after")


def test_a_304_from_the_cache_has_no_body(client: RawClient, wire: Wire) -> None:
    wire.origin.on(b"/etag", answer(200, b"stored", b"Cache-Control: max-age=600", b'ETag: "a"'))
    client.send(request(b"/etag") + request(b"/etag", b'If-None-Match: "a"') + request(b"/after"))
    assert [(a.status, a.body) for a in client.answers(3).final] == [(200, b"stored"), (304, b""), (200, b"ok")]


# What is for this connection, or for this proxy, only (RFC 9110 §7.6).


def test_connection_takes_away_what_the_client_sent_and_never_what_a_stage_adds(client: RawClient, wire: Wire) -> None:
    client.send(request(b"/named", b"Connection: X-Secret, X-Request-Id, X-Forwarded-For", b"X-Secret: 1"))
    assert client.answers(1).statuses == [200]
    (seen,) = wire.origin.to(b"/named")
    assert seen.get(b"x-secret") is None
    assert seen.get(b"x-request-id")
    assert seen.get(b"x-forwarded-for") == b"127.0.0.1"


@pytest.mark.parametrize(("told", "passed_on"), [(b"5", b"4"), (b"1", b"0"), (b"x", b"x")])
def test_max_forwards_counts_down(client: RawClient, wire: Wire, told: bytes, passed_on: bytes) -> None:
    target = b"/hops/" + told
    client.send(request(target, b"Max-Forwards: " + told, method=b"OPTIONS"))
    assert client.answers(1).statuses == [200]
    assert [seen.get(b"max-forwards") for seen in wire.origin.to(target)] == [passed_on]


def test_an_options_with_no_forwards_left_is_answered_here(client: RawClient, wire: Wire) -> None:
    client.send(request(b"/hops/0", b"Max-Forwards: 0", method=b"OPTIONS"))
    assert client.answers(1).statuses == [204]
    assert not wire.origin.to(b"/hops/0")
    _still_serves(client, b"/after")


# Expectations (RFC 9110 §10.1.1).


def test_100_is_sent_when_the_body_is_wanted(client: RawClient, wire: Wire) -> None:
    client.send(request(b"/wanted", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST"))
    client.read_until(lambda received: received.endswith(b"\r\n\r\n"))
    assert client.received == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hello")
    answers = client.answers(1)
    assert [a.status for a in answers.interim] == [100]
    assert answers.statuses == [200]
    assert wire.origin.to(b"/wanted")[0].body == b"hello"
    _still_serves(client, b"/after")


def test_no_100_when_the_body_came_with_the_head(client: RawClient) -> None:
    client.send(request(b"/", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST") + b"hello")
    answers = client.answers(1)
    assert (answers.interim, answers.statuses) == ([], [200])


def test_an_answer_that_needs_no_body_comes_without_100_and_closes(client: RawClient, wire: Wire) -> None:
    stored = _store(wire, b"/unwanted")
    client.send(request(stored, b"Expect: 100-continue", b"Content-Length: 5"))
    client.read_to_close()
    answers = client.answers(1)
    assert (answers.interim, [a.body for a in answers.final]) == ([], [b"stored"])
    assert client.closed


def test_another_expectation_is_417(client: RawClient, wire: Wire) -> None:
    client.send(request(b"/417", b"Expect: the-impossible", b"Content-Length: 5", method=b"POST") + b"hello")
    client.read_to_close()
    assert client.answers(1).statuses == [417]
    assert not wire.origin.to(b"/417")


def test_http_1_0_gets_no_100(client: RawClient) -> None:
    client.send(request(b"/", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST", version=b"1.0"))
    assert client.read_some(0.2) == b""
    client.send(b"hello")
    answers = client.answers(1)
    assert (answers.interim, answers.statuses) == ([], [200])


# Interim answers (RFC 9110 §15.2).

PROCESSING = b"HTTP/1.1 102 Processing\r\nX-Hint: 1\r\n\r\n"
HINTED = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nX-Hint: 1\r\n\r\n" + STORED


def test_interim_answers_are_passed_on_and_not_stored(client: RawClient, wire: Wire) -> None:
    target = wire.origin.on(b"/hinted", PROCESSING + HINTED)
    client.send(request(target))
    answers = client.answers(1)
    assert [(a.status, a.get(b"link"), a.get(b"x-hint")) for a in answers.interim] == [
        (102, None, b"1"),
        (103, b"</style.css>; rel=preload", None),
    ]
    assert (answers.statuses, answers.final[0].get(b"x-hint")) == ([200], None)
    client.received.clear()
    client.send(request(target))
    again = client.answers(1)
    assert (again.interim, again.final[0].body, again.final[0].get(b"x-hint")) == ([], b"stored", None)
    assert len(wire.origin.to(target)) == 1


def test_http_1_0_gets_no_interim_answer(client: RawClient, wire: Wire) -> None:
    client.send(request(wire.origin.on(b"/hinted/1.0", HINTED), version=b"1.0"))
    client.read_to_close()
    answers = client.answers(1)
    assert (answers.interim, answers.statuses) == ([], [200])


# Bodies nobody reads (guarantee 1).

HIDDEN = request(b"/hidden")


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_small_body_behind_a_hit_is_read_over(client: RawClient, wire: Wire, framing: str) -> None:
    stored = _store(wire, b"/unread/small")
    if framing == "length":
        sent = request(stored, b"Content-Length: %d" % len(HIDDEN)) + HIDDEN
    else:
        sent = request(stored, b"Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    client.send(sent + request(b"/after"))
    answers = client.answers(2)
    assert [a.body for a in answers.final] in ([b"stored", b"ok"], [b"stored"])
    assert len(answers.final) == 2 or client.closed
    assert not wire.origin.to(b"/hidden")


def test_a_small_body_that_comes_after_the_hit_was_answered_is_read_over_or_closed(
    client: RawClient, wire: Wire
) -> None:
    stored = _store(wire, b"/unread/late")
    client.send(request(stored, b"Content-Length: %d" % len(HIDDEN)))
    assert [a.body for a in client.answers(1).final] == [b"stored"]
    client.send(HIDDEN, request(b"/after"))
    answers = client.answers(2)
    assert [a.body for a in answers.final] in ([b"stored", b"ok"], [b"stored"])
    assert len(answers.final) == 2 or client.closed
    assert not wire.origin.to(b"/hidden")


def test_a_large_body_behind_a_hit_closes_the_connection(client: RawClient, wire: Wire) -> None:
    stored = _store(wire, b"/unread/large")
    body = HIDDEN * 20_000
    client.send(request(stored, b"Content-Length: %d" % len(body)) + body)
    client.read_to_close()
    assert [a.body for a in client.answers(1).final] == [b"stored"]
    assert client.closed
    assert not wire.origin.to(b"/hidden")
