"""Origins that lie in HTTP/2: whoever asked sees that it was no answer, and others on the connection get theirs."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pytest

from edgeproxy.errors import EdgeError, Kind
from tests.support.http2_origin import Asked, Http2Origin

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 0x1, 0x4, 0x8
INVALID, TOO_LARGE, INCOMPLETE = Kind.RESPONSE_INVALID, Kind.RESPONSE_TOO_LARGE, Kind.RESPONSE_INCOMPLETE
MOST = 20_000  # frames of a flood: more than anybody should take


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">HBBBI", len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def block(*fields: tuple[bytes, bytes]) -> bytes:
    """Literals that nobody remembers (RFC 7541 §6.2.2)."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(text: bytes) -> bytes:
    assert len(text) < 127
    return bytes((len(text),)) + text


def head(stream: int, *fields: tuple[bytes, bytes], end: bool = False) -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block(*fields))


OK = (b":status", b"200")


class Lie(NamedTuple):
    """What is sent in place of an answer on a stream, and what comes of it."""

    name: str
    frames: Callable[[int], Iterable[bytes]]
    kind: Kind = INVALID


def fields(*pairs: tuple[bytes, bytes]) -> Callable[[int], Iterable[bytes]]:
    return lambda stream: [head(stream, *pairs, end=True)]


def body(*pieces: bytes, length: bytes) -> Callable[[int], Iterable[bytes]]:
    def frames(stream: int) -> Iterable[bytes]:
        yield head(stream, OK, (b"content-length", length), end=not pieces)
        for index, piece in enumerate(pieces):
            yield frame(DATA, END_STREAM if index == len(pieces) - 1 else 0, stream, piece)

    return frames


# These break the rules of one stream: it is reset, and the connection goes on.
OF_STREAMS = (
    Lie("no status", fields((b"x-a", b"1"))),
    Lie("a status of two digits", fields((b":status", b"20"))),
    Lie("a status of four digits", fields((b":status", b"2000"))),
    Lie("a status in words", fields((b":status", b"two"))),
    Lie("a switch of protocols", fields((b":status", b"101"), (b"upgrade", b"h2c"))),
    Lie("a status behind a field", fields((b"x-a", b"1"), OK)),
    Lie("two statuses", fields(OK, OK)),
    Lie("a request", fields((b":method", b"GET"), (b":path", b"/"))),
    Lie("a pseudo-field of requests", fields(OK, (b":path", b"/"))),
    Lie("a name in upper case", fields(OK, (b"X-A", b"1"))),
    Lie("a name with a blank", fields(OK, (b"x a", b"1"))),
    Lie("an empty name", fields(OK, (b"", b"1"))),
    Lie("LF in a value", fields(OK, (b"x-a", b"1\nset-cookie: a=b"))),
    Lie("CR in a value", fields(OK, (b"x-a", b"1\r"))),
    Lie("NUL in a value", fields(OK, (b"x-a", b"a\0b"))),
    Lie("a blank before a value", fields(OK, (b"x-a", b" 1"))),
    Lie("a field of connections", fields(OK, (b"connection", b"close"))),
    Lie("a transfer coding", fields(OK, (b"transfer-encoding", b"chunked"))),
    Lie("a length in words", body(b"hello", length=b"five")),
    Lie("two lengths", fields(OK, (b"content-length", b"5"), (b"content-length", b"6"))),
    Lie("a negative length", body(b"hello", length=b"-5")),
    Lie("a length no number holds", body(b"hello", length=b"9" * 30)),
    Lie("a body longer than its length", body(b"hello!", length=b"5")),
    Lie("a body shorter than its length", body(b"hell", length=b"5")),
    Lie("no body of its length", body(length=b"5")),
    Lie("a body before its head", lambda stream: [frame(DATA, 0, stream, b"hello")]),
    Lie("an interim answer that is the last", fields((b":status", b"103"))),
    Lie("interim answers without end", lambda stream: itertools.repeat(head(stream, (b":status", b"102")), 100)),
    Lie("more fields than anybody has", fields(OK, *((b"x-%d" % number, b"1") for number in range(300))), TOO_LARGE),
    Lie(
        "a pseudo-field behind the body",
        lambda stream: [head(stream, OK), frame(DATA, 0, stream, b"hello"), head(stream, OK, end=True)],
    ),
    Lie("trailers that do not end", lambda stream: [head(stream, OK), head(stream, (b"x-a", b"1"))]),
    Lie(
        "fields larger than are borne",
        lambda stream: [
            frame(HEADERS, 0, stream, block(OK)),
            *(
                frame(CONTINUATION, END_HEADERS if last else 0, stream, block(*((b"x", b"a" * 120),) * 120))
                for last in (False, False, False, False, True)
            ),
        ],
        TOO_LARGE,
    ),
    Lie("a reset", lambda stream: [head(stream, OK), frame(RST, 0, stream, b"\0\0\0\2")], INCOMPLETE),
)

# These break the rules of the connection, which ends.
OF_CONNECTIONS = (
    Lie("an answer of HTTP/1.1", lambda stream: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]),
    Lie("zeros", lambda stream: [bytes(65536)]),
    Lie("a frame larger than announced", lambda stream: [frame(DATA, 0, stream, bytes(16385))]),
    Lie("a body on a stream nobody opened", lambda stream: [frame(DATA, 0, stream + 100, b"x")]),
    Lie("an answer on a stream nobody opened", lambda stream: [head(stream + 100, OK)]),
    Lie("a promise", lambda stream: [frame(PUSH, END_HEADERS, stream, b"\0\0\0\2" + block((b":method", b"GET")))]),
    Lie("a block that is none", lambda stream: [frame(HEADERS, END_HEADERS, stream, b"\xff\xff\xff\xff\xff\xff")]),
    Lie("a window opened too far", lambda stream: [frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff")]),
    Lie("a window opened by nothing", lambda stream: [frame(WINDOW, 0, 0, bytes(4))]),
    Lie("settings of an odd length", lambda stream: [frame(SETTINGS, 0, 0, b"12345")]),
    Lie("an initial window beyond all windows", lambda stream: [frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff")]),
    Lie("padding longer than its frame", lambda stream: [head(stream, OK), frame(DATA, PADDED, stream, b"\xff1")]),
    Lie(
        "another frame within a head",
        lambda stream: [frame(HEADERS, 0, stream, block(OK)), frame(PING, 0, 0, bytes(8))],
    ),
    Lie("a flood of settings", lambda stream: itertools.repeat(frame(SETTINGS, 0, 0), MOST)),
    Lie("a flood of pings", lambda stream: itertools.repeat(frame(PING, 0, 0, bytes(8)), MOST)),
    Lie(
        "a head in pieces without end",
        lambda stream: itertools.chain(
            [frame(HEADERS, 0, stream, block(OK))], itertools.repeat(frame(CONTINUATION, 0, stream), MOST)
        ),
    ),
    Lie(
        "a body of nothing without end",
        lambda stream: itertools.chain([head(stream, OK)], itertools.repeat(frame(DATA, 0, stream), MOST)),
    ),
    Lie("windows opened bit by bit", lambda stream: itertools.repeat(frame(WINDOW, 0, 0, b"\0\0\0\1"), MOST)),
    Lie("frames of no known type", lambda stream: itertools.repeat(frame(0xFA, 0, 0, b"x"), MOST)),
)


class Liar:
    """Lies to ``/lie``; ``/truth`` waits on the same connection until that is done, and gets its answer."""

    def __init__(self, lie: Lie) -> None:
        self._lie = lie
        self.told = asyncio.Event()
        self.waiting = asyncio.Event()

    async def __call__(self, asked: Asked) -> None:
        if asked.get(b":path") == b"/lie":
            for piece in self._lie.frames(asked.stream):
                asked.wire.raw(piece)
            self.told.set()
        else:
            self.waiting.set()
            await self.told.wait()
            await asked.answer(b"the truth")


async def whole(response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    out = b""
    while data := await response.body.read():
        out += data
    return out


async def ask(pool, exchange, liar: Liar) -> tuple[EdgeError, bytes]:
    """What comes of the lie, and the bystander's answer."""
    bystander = asyncio.create_task(pool.fetch(exchange(target=b"/truth")))
    async with asyncio.timeout(10):
        await liar.waiting.wait()
        with pytest.raises(EdgeError) as caught:
            await whole(await pool.fetch(exchange(b"POST", b"/lie")))
        return caught.value, await whole(await bystander)


@pytest.mark.parametrize("lie", OF_STREAMS, ids=lambda lie: lie.name)
async def test_a_lie_on_a_stream_is_that_streams_end(make_pool, exchange, lie):
    liar = Liar(lie)
    async with Http2Origin(liar) as origin:
        pool = await make_pool(origin.url, protocol="http2")
        error, truth = await ask(pool, exchange, liar)
        assert (error.kind, error.source, truth) == (lie.kind, "origin", b"the truth")
        assert (len(origin.wires), origin.open) == (1, 1)
        assert pool.state()[0]["in_flight"] == 0


@pytest.mark.parametrize("lie", OF_CONNECTIONS, ids=lambda lie: lie.name)
async def test_a_lie_on_the_connection_ends_it_and_others_are_asked_for_again(make_pool, exchange, settle, lie):
    liar = Liar(lie)
    async with Http2Origin(liar) as origin:
        pool = await make_pool(origin.url, protocol="http2")
        error, truth = await ask(pool, exchange, liar)
        assert (error.kind, error.source, truth) == (lie.kind, "origin", b"the truth")
        await settle(lambda: origin.wires[0].gone.is_set())
        assert len(origin.wires) == 2
        assert pool.state()[0]["in_flight"] == 0


async def test_an_answer_beyond_its_window_is_an_error(make_pool, exchange, settle):
    """The origin goes on although nobody reads: what it sends is bounded by us, not by its good will."""

    async def script(asked: Asked) -> None:
        asked.wire.raw(head(asked.stream, OK))
        for _ in range(100):
            asked.wire.raw(frame(DATA, 0, asked.stream, bytes(16384)))

    async with Http2Origin(script) as origin:
        pool = await make_pool(origin.url, protocol="http2")
        response = await pool.fetch(exchange())
        await settle(lambda: pool.state()[0]["in_flight"] == 0)
        with pytest.raises(EdgeError) as caught:
            await whole(response)
        assert caught.value.kind is INVALID
