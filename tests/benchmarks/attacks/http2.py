"""Attacks over HTTP/2, and what honest clients do."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable
from typing import Final, Self

from edgeproxy.http2 import floods, frames, huffman
from edgeproxy.http2.floods import BUDGETS
from edgeproxy.http2.hpack import encode
from tests.benchmarks.attacks.stand import KEPT, LARGE, MISSED, Attack, Played, Protocol, Stand, plain
from tests.support.http2_attacks import ATTACKS, OPENING, WHOLE, endless_section, frame

Step = Callable[[int], bytes]

STREAMS: Final = 100  # that a client may have open
CODES: Final = 20  # fields of long Huffman codes in a request
_MARK: Final = b"so far.."


class Peer:
    """A client that says what it is told to and reads frames only as far as it must: ``ends`` counts the streams that
    ended, ``marks`` the PINGs that came back, ``pieces`` the DATA; ``over``: the connection has ended."""

    def __init__(self, stand: Stand, opening: bytes = OPENING) -> None:
        self._socket = socket.create_connection(stand.address, timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self.ends = self.marks = self.pieces = 0
        self.over = False
        self.send(opening)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)

    def until(self, happened: Callable[[], bool]) -> None:
        """Read until something has happened or the connection is over."""
        while not self.over and not happened():
            try:
                data = self._socket.recv(1 << 18)
            except ConnectionError:
                data = b""
            self.over = not data
            self._read(data)

    def settle(self) -> None:
        """Wait until all that was sent has been read."""
        before = self.marks
        self.send(frame(frames.PING, 0, 0, _MARK))
        self.until(lambda: self.marks > before)

    def _read(self, data: bytes) -> None:
        data = self._rest + data
        at = 0
        while len(data) - at >= frames.HEADER_SIZE:
            end = at + frames.HEADER_SIZE + int.from_bytes(data[at : at + 3], "big")
            if end > len(data):
                break
            kind, flags = data[at + 3], data[at + 4]
            self.ends += kind in {frames.DATA, frames.HEADERS} and flags & frames.END_STREAM != 0
            self.pieces += kind == frames.DATA
            self.marks += kind == frames.PING
            self.over |= kind == frames.GOAWAY
            at = end
        self._rest = data[at:]


def _head(target: bytes) -> bytes:
    return encode([(b":method", b"GET"), (b":scheme", b"http"), (b":path", target), (b":authority", b"a.example")])


def _ask(n: int, target: bytes, more: bytes = b"") -> bytes:
    return frame(frames.HEADERS, WHOLE, 2 * n + 1, _head(target) + more)


def _open(number: int, size: int) -> bytes:
    return frame(frames.WINDOW_UPDATE, 0, number, frames.uint32(size))


def _windowed(size: int, streams: int = 1) -> bytes:
    """An opening with windows of ``size`` bytes for answers, and requests for a large one."""
    settings = frames.settings({frames.INITIAL_WINDOW_SIZE: size})
    return frames.PREFACE + settings + b"".join([_ask(n, LARGE) for n in range(streams)])


def _asking(target: bytes, count: int, at_once: int) -> Callable[[Stand], int]:
    """Requests, so many at once."""

    def work(stand: Stand) -> int:
        settings = frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 24})
        with Peer(stand, frames.PREFACE + settings + _open(0, 1 << 30)) as peer:
            for n in range(0, count, at_once):
                peer.send(b"".join([_ask(n + more, target) for more in range(at_once)]))
                peer.until(lambda due=n + at_once: peer.ends >= due)  # type: ignore[misc]
            if peer.over:
                raise RuntimeError("an honest client was cut off")
        return count

    return work


def _at_once(step: Step, count: int, opening: bytes = OPENING) -> Callable[[Stand], Played]:
    """All that an attack sends, in one piece."""

    def play(stand: Stand) -> Played:
        with Peer(stand, opening) as peer:
            peer.send(b"".join([step(n) for n in range(count)]))
            peer.settle()
            return Played(count, peer.over)

    return play


def _budget(kind: int) -> Callable[[Stand], Played]:
    return _at_once(ATTACKS[kind], int(BUDGETS[kind].most) + 1)


def _refused(stand: Stand) -> Played:
    """As many streams as may be open, and stay so, and more."""
    count = int(BUDGETS[floods.REFUSED].most) + 1
    with Peer(stand, _windowed(0, STREAMS)) as peer:
        peer.send(b"".join([_ask(STREAMS + n, KEPT) for n in range(count)]))
        peer.until(lambda: False)
        return Played(STREAMS + count, peer.over)


def _by_turns(opening: bytes, step: Step, count: int) -> Callable[[Stand], Played]:
    """Each step is sent when what it brought about has come."""

    def play(stand: Stand) -> Played:
        with Peer(stand, opening) as peer:
            peer.settle()
            for n in range(count):
                seen = peer.pieces, peer.ends
                peer.send(step(n))
                peer.until(lambda seen=seen: (peer.pieces, peer.ends) != seen)  # type: ignore[misc]
                if peer.over:
                    return Played(n + 1, ended=True)
            return Played(count, ended=False)

    return play


def _tiny(size: int, count: int) -> Callable[[Stand], Played]:
    """A stream's window is opened by so many bytes when as many have come."""
    return _by_turns(_windowed(size), lambda _: _open(1, size), count)


def _shared(stand: Stand) -> Played:
    """The same with the connection's window, for which many streams wait."""
    return _by_turns(_windowed(100_000, STREAMS), lambda _: _open(0, 64), 900)(stand)


def _stalled(stand: Stand) -> Played:
    """Ask for much, open no window, wait for the end."""
    with Peer(stand, _windowed(0, STREAMS)) as peer:
        peer.until(lambda: False)
        return Played(STREAMS, peer.over)


def _stalled_beside(stand: Stand) -> Played:
    """The same, and the connection's window is opened again and again: no stream can use it."""
    count = 2_000
    with Peer(stand, _windowed(0, STREAMS)) as peer:
        peer.settle()
        peer.send(_open(0, 1024) * count)
        peer.settle()
        return Played(count, peer.over)


def _many_fields(n: int) -> bytes:
    return _ask(n, KEPT, b"\x90" * 500)


_coded = itertools.count()


def _long_codes(n: int) -> bytes:
    """A request with 4 kB of rare signs, never the same, so that nothing remembered helps."""
    fields = []
    for _ in range(CODES):
        coded = huffman.encode(b"%d" % next(_coded) + b"#$@;{}^" * 17)
        fields.append(b"\x00\x01x" + bytes((0xFF, len(coded) - 127)) + coded)
    return _ask(n, KEPT, b"".join(fields))


def _codes(stand: Stand) -> Played:
    count = 50
    sent = sum([len(_long_codes(n)) for n in range(count)])
    return _by_turns(OPENING, _long_codes, count)(stand)._replace(pieces=sent // 1000)


#: By the kind of flood it is.
_NAMED: Final[dict[int, tuple[str, str, str]]] = {
    floods.RESET: ("rapid reset (CVE-2023-44487)", "request and RST_STREAM", "miss"),
    floods.BROKEN: ("made to reset (CVE-2025-8671)", "request and WINDOW_UPDATE of 0", "miss"),
    floods.PING: ("PING", "frame", "hit"),
    floods.SETTINGS: ("SETTINGS", "frame", "hit"),
    floods.EMPTY: ("empty DATA", "frame", "hit"),
    floods.PRIORITY: ("PRIORITY", "frame", "hit"),
    floods.WINDOW: ("windows opened by a byte, all at once", "WINDOW_UPDATE", "hit"),
    floods.UNKNOWN: ("frames of unknown types", "frame", "hit"),
}

HTTP2: Final = Protocol(
    "HTTP/2",
    plain,
    lambda stand: _at_once(lambda _: b"", 1)(stand),
    {
        "hit": _asking(KEPT, 1_000, 10),
        "hit alone": _asking(KEPT, 500, 1),
        "large hit": _asking(LARGE, 50, 10),
        "miss": _asking(MISSED, 300, 10),
    },
    (
        *(Attack(name, piece, _budget(kind), beside) for kind, (name, piece, beside) in _NAMED.items()),
        Attack("HPACK bomb: a field of 1 kB, named 45 times", "request", _budget(floods.HEADS), "hit", most=3),
        Attack("streams beyond those allowed", "request", _refused, "hit"),
        Attack("CONTINUATION without end", "frame of a byte", _at_once(endless_section, 40), "hit"),
        Attack("500 fields of a byte each", "request", _by_turns(OPENING, _many_fields, 50), "miss", most=3),
        Attack("rare signs, Huffman-coded", "kB of fields", _codes, "hit alone", ends=False, most=3),
        Attack("windows that stay shut", "request", _stalled, "large hit", times=1),
        Attack(
            "the same, the connection's window opened", "WINDOW_UPDATE", _stalled_beside, "hit", ends=False, most=0.3
        ),
        Attack("windows opened by a byte a turn", "turn", _tiny(1, 1_500), "hit alone"),
        Attack("windows opened by 64 bytes a turn", "turn", _tiny(64, 900), "hit alone", ends=False),
        Attack("100 answers that share 64 bytes a turn", "turn", _shared, "hit alone", ends=False),
    ),
)
