"""Attacks over HTTP/3, and what honest clients do."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, Final

from edgeproxy.http3 import codes, qpack
from edgeproxy.http3.varint import encode
from tests.benchmarks.attacks.stand import KEPT, LARGE, MISSED, Attack, Played, Protocol, Stand, quic
from tests.conformance.http3.cases import CONTROL, DECODER, POST, SETTINGS, frame
from tests.support.http2_attacks import TARGET
from tests.support.quic import QuicClient, get

STREAMS: Final = 100  # that a client may have open
_MOST: Final = 2_000  # pieces of an attack that should have been ended before
_PRIORITY: Final = frame(codes.PRIORITY_UPDATE, encode(0) + b"u=1")


def _ask(target: bytes, *fields: tuple[bytes, bytes]) -> bytes:
    return frame(codes.HEADERS, qpack.encode(get(target, *fields)))


def _begun(stand: Stand, **options: Any) -> QuicClient:
    """A client that has shaken hands, and says nothing by itself."""
    client = QuicClient(stand.address, http=False, timeout=20, **options).connect()
    client.send(CONTROL, b"\0" + SETTINGS)
    return client


def _asking(target: bytes, count: int, at_once: int) -> Callable[[Stand], int]:
    """Requests, so many at once."""
    head = _ask(target)

    def work(stand: Stand) -> int:
        with _begun(stand) as client:
            for n in range(0, count, at_once):
                for more in range(at_once):
                    client.send(4 * (n + more), head, end=True)
                client.until(lambda due=n + at_once: len(client.ended) >= due, "answers")  # type: ignore[misc]
        return count

    return work


def _connect(stand: Stand) -> object:
    with _begun(stand) as client:
        return client.turn()


def _flood(stream: int, opening: bytes, piece: bytes) -> Callable[[Stand], Played]:
    """One piece again and again on one stream, 20 a datagram, until the connection ends."""

    def play(stand: Stand) -> Played:
        with _begun(stand) as client:
            client.send(stream, opening)
            for sent in range(0, _MOST, 20):
                client.send(stream, 20 * piece)
                client.until(lambda: _taken(client, stream), "what was sent is acknowledged")
                if client.closed is not None:
                    return Played(sent + 20, ended=True)
            return Played(_MOST, ended=False)

    return play


def _taken(client: QuicClient, stream: int) -> bool:
    return client.closed is not None or not client.quic.get_send_buffer_size(stream)


def _resets(stand: Stand) -> Played:
    head = _ask(TARGET)
    with _begun(stand) as client:
        for n in range(_MOST):
            room = lambda n=n: n < client.quic.max_concurrent_bidi_streams or client.closed is not None  # noqa: E731
            client.until(room, "room for a stream")
            if client.closed is not None:
                return Played(n, ended=True)
            client.send(4 * n, head)
            client.flush()
            client.quic.reset_stream(4 * n, codes.REQUEST_CANCELLED)
            client.quic.stop_stream(4 * n, codes.REQUEST_CANCELLED)
            client.turn()
        return Played(_MOST, ended=False)


def _bombs(stand: Stand) -> Played:
    """Sections that name the longest field that everybody knows 150 times, in two bytes each."""
    section = frame(codes.HEADERS, qpack.encode(get()) + b"\xff\x16" * 150)
    with _begun(stand) as client:
        for n in range(_MOST):
            client.send(4 * n, section, end=True)
            client.until(lambda n=n: 4 * n in client.ended or client.closed is not None, "the answer")  # type: ignore[misc]
            if client.closed is not None:
                return Played(n + 1, ended=True)
        return Played(_MOST, ended=False)


def _smallest(stand: Stand) -> Played:
    """One section of 20 kB, 40 bytes a datagram."""
    head = _ask(KEPT, (b"a", b"b" * 20_000))
    with _begun(stand) as client:
        for at in range(0, len(head), 40):
            client.send(0, head[at : at + 40], end=at + 40 >= len(head))
            client.flush()
        client.until(lambda: 0 in client.ended, "the answer")
    return Played(len(head) // 40 + 1, ended=False)


def _pings(stand: Stand) -> Played:
    """A datagram with a PING and nothing else."""
    count = 1_000
    with _begun(stand, library="aioquic") as client:
        client.turn()
        for n in range(count):
            client.quic.send_ping(n)
            client.turn()
        client.send(0, _ask(KEPT), end=True)
        client.until(lambda: 0 in client.ended or client.closed is not None, "an answer behind it")
        return Played(count, client.closed is not None)


def _stalled(stand: Stand) -> Played:
    """Ask for much with windows of next to nothing, and never open them."""
    with _begun(stand, library="aioquic", max_stream_data=1) as client:
        client.quic._write_stream_limits = lambda **_: None
        for n in range(STREAMS):
            client.send(4 * n, _ask(LARGE), end=True)
        client.until(lambda: len(client.reset) == STREAMS or client.closed is not None, "the streams' end")
        return Played(STREAMS, ended=True)


def _tiny(stand: Stand) -> Played:
    """Open a stream's window by a byte whenever one has come."""
    count = 1_000
    with _begun(stand, library="aioquic", max_stream_data=1) as client:
        limits = type(client.quic)._write_stream_limits

        def write(self: Any, *, builder: Any, space: Any, stream: Any) -> None:
            if stream.stream_id == 0:
                stream.max_stream_data_local = stream.receiver.highest_offset + 1
                if stream.max_stream_data_local_sent == stream.max_stream_data_local:
                    return
                # What the library does then, but for its doubling.
                buffer = builder.start_frame(0x11, capacity=17, handler=lambda *_: None, handler_args=())
                buffer.push_uint_var(0)
                buffer.push_uint_var(stream.max_stream_data_local)
                stream.max_stream_data_local_sent = stream.max_stream_data_local
            else:
                limits(self, builder=builder, space=space, stream=stream)

        client.quic._write_stream_limits = MethodType(write, client.quic)
        client.send(0, _ask(LARGE), end=True)

        def came() -> int:
            return len(client.raw.get(0, b""))

        client.until(lambda: came() >= count or 0 in client.reset or client.closed is not None, "so many bytes")
        return Played(max(1, came()), 0 in client.reset or client.closed is not None)


HTTP3: Final = Protocol(
    "HTTP/3",
    quic,
    _connect,
    {
        "hit": _asking(KEPT, 500, 10),
        "hit alone": _asking(KEPT, 200, 1),
        "large hit": _asking(LARGE, 10, 5),
        "miss": _asking(MISSED, 200, 10),
    },
    (
        Attack("rapid reset", "request and RESET_STREAM", _resets, "miss"),
        Attack("empty DATA", "frame", _flood(0, POST, frame(codes.DATA)), "hit"),
        Attack("frames of unknown types", "frame", _flood(0, POST, frame(0x21, b"abc")), "hit"),
        Attack("GOAWAY", "frame", _flood(CONTROL, b"", frame(codes.GOAWAY, b"\0")), "hit"),
        Attack("PRIORITY_UPDATE", "frame", _flood(CONTROL, b"", _PRIORITY), "hit"),
        Attack("QPACK bomb: a known field of 100 bytes, named 150 times", "request", _bombs, "hit alone", most=5),
        Attack("streams cancelled to QPACK", "instruction", _flood(DECODER, b"\3", b"\x40"), "hit", ends=False),
        Attack("a section of 20 kB, 40 bytes a datagram", "datagram", _smallest, "hit alone", ends=False),
        Attack("PING", "datagram", _pings, "hit alone", ends=False),
        Attack("windows that stay shut", "request", _stalled, "large hit", times=1),
        Attack("windows opened by a byte a turn", "turn", _tiny, "hit alone", ends=False),
    ),
)
