"""What a case is made of: steps, each of which sends something or expects something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.h2spec.wire import (
    ACK,
    END_HEADERS,
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    PADDED,
    PREFACE,
    PRIORITY,
    Closed,
    Code,
    Frame,
    Type,
    Wire,
    encoded,
)

Step = Callable[[Wire], None]
Fields = list[tuple[str, str]]

ORIGIN = "/"  # a path whose answers are not kept
DUMMY = 4000  # bytes of a value that fills


@dataclass(frozen=True)
class Case:
    """``id`` as h2spec numbers it: part, section, place in it. ``begun``: the steps come after the connection's."""

    id: str
    says: str
    steps: tuple[Step, ...]
    begun: bool = True

    def run(self, wire: Wire) -> None:
        """Raises AssertionError with what came instead."""
        try:
            if self.begun:
                wire.begin()
            for step in self.steps:
                step(wire)
        except (Closed, TimeoutError, AssertionError) as error:
            said = str(error) or {Closed: "closed too early", TimeoutError: "it did not come"}.get(type(error), "")
            raise AssertionError(f"{self.id}: {said}; came: {'; '.join(wire.seen)}") from error


def case(id_: str, says: str, *steps: Step, begun: bool = True) -> Case:
    return Case(id_, says, steps, begun)


# Sending.


def raw(data: bytes) -> Step:
    return lambda wire: wire.send(data)


def frame(type_: int, flags: int, stream: int, payload: bytes = b"") -> Step:
    return raw(encoded(type_, flags, stream, payload))


def pseudo(wire: Wire, method: str, *, end: bool = True) -> Fields:
    """What every request has, method first, then scheme, path and authority. What has content goes to the origin, which
    answers when it has all of it: until then the stream is open."""
    path = wire.path if end and method != "POST" else ORIGIN
    authority = wire.authority.decode()
    return [(":method", method), (":scheme", wire.scheme.decode()), (":path", path), (":authority", authority)]


def fill(count: int) -> Fields:
    return [(f"x-dummy{number}", "x" * DUMMY) for number in range(count)]


def head(
    stream: int = 1,
    *more: tuple[str, str],
    method: str = "GET",
    end: bool = True,
    done: bool = True,
    cut: tuple[int, ...] = (),
    change: Callable[[Fields], Fields] = lambda fields: fields,
    before: bytes = b"",
    behind: bytes = b"",
    padding: int = 0,
    depends: int | None = None,
) -> Step:
    """A request's HEADERS with ``more`` fields. ``done``: END_HEADERS; ``cut``: where CONTINUATION begins; ``change``
    alters the fields; ``before`` and ``behind``: bytes of HPACK beside them; ``depends``: on which stream."""

    def send(wire: Wire) -> None:
        block = before + wire.encoder.encode(change([*pseudo(wire, method, end=end), *more])) + behind
        pieces = [block[start:stop] for start, stop in zip((0, *cut), (*cut, len(block)), strict=True)]
        flags = END_STREAM if end else 0
        payload = pieces[0]
        if depends is not None:
            flags |= PRIORITY
            payload = depends.to_bytes(4, "big") + b"\xff" + payload
        if padding:
            flags |= PADDED
            payload = bytes((padding,)) + payload + bytes(padding)
        last = len(pieces) - 1
        wire.write(Type.HEADERS, flags | (END_HEADERS if done and not last else 0), stream, payload)
        for number, piece in enumerate(pieces[1:], 1):
            wire.write(Type.CONTINUATION, END_HEADERS if done and number == last else 0, stream, piece)

    return send


def section(stream: int, *fields: tuple[str, str], end: bool = True) -> Step:
    """HEADERS with just these fields: trailers."""

    def send(wire: Wire) -> None:
        flags = END_HEADERS | (END_STREAM if end else 0)
        wire.write(Type.HEADERS, flags, stream, wire.encoder.encode(list(fields)))

    return send


def more(stream: int = 1, fields: Fields | None = None, *, done: bool = True) -> Step:
    """A CONTINUATION with fields of its own."""

    def send(wire: Wire) -> None:
        block = wire.encoder.encode(fill(1) if fields is None else fields)
        wire.write(Type.CONTINUATION, END_HEADERS if done else 0, stream, block)

    return send


def data(stream: int = 1, payload: bytes = b"test", *, end: bool = True, padding: int = 0) -> Step:
    flags = END_STREAM if end else 0
    if padding:
        return frame(Type.DATA, flags | PADDED, stream, bytes((padding,)) + payload + bytes(padding))
    return frame(Type.DATA, flags, stream, payload)


def settings(*pairs: tuple[int, int]) -> Step:
    payload = b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in pairs)
    return frame(Type.SETTINGS, 0, 0, payload)


def initial_window(size: int) -> Step:
    """Settings, and that they were taken."""

    def agree(wire: Wire) -> None:
        settings((INITIAL_WINDOW_SIZE, size))(wire)
        acknowledged(wire)

    return agree


def priority(stream: int, on: int = 0, *, weight: int = 255, exclusive: bool = False) -> Step:
    return frame(Type.PRIORITY, 0, stream, (on | exclusive << 31).to_bytes(4, "big") + bytes((weight,)))


def reset(stream: int = 1, code: int = Code.CANCEL) -> Step:
    return frame(Type.RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def window(stream: int, more_: int) -> Step:
    return frame(Type.WINDOW_UPDATE, 0, stream, more_.to_bytes(4, "big"))


def go_away(code: int, detail: bytes = b"") -> Step:
    return frame(Type.GOAWAY, 0, 0, bytes(4) + code.to_bytes(4, "big") + detail)


def preface(wire: Wire) -> None:
    wire.send(PREFACE)
    settings((INITIAL_WINDOW_SIZE, 65535))(wire)


# Expecting.


def until(wire: Wire, wanted: Callable[[Frame], bool]) -> Frame:
    while True:
        came = wire.read()
        if wanted(came):
            return came


def greeted(wire: Wire) -> None:
    """The first frame is the server's SETTINGS."""
    first = wire.read()
    assert first.type == Type.SETTINGS, first
    assert not first.flags & ACK, first


def acknowledged(wire: Wire) -> None:
    until(wire, lambda came: came.type == Type.SETTINGS and bool(came.flags & ACK))


def answered(stream: int = 1) -> Step:
    """HEADERS on the stream, and nothing is reset."""

    def expect(wire: Wire) -> None:
        came = until(wire, lambda came: came.type in {Type.HEADERS, Type.RST_STREAM, Type.GOAWAY})
        assert (came.type, came.stream) == (Type.HEADERS, stream), f"HEADERS of stream {stream} expected"

    return expect


def ended(stream: int = 1) -> Step:
    """The answer, to its end."""
    return lambda wire: _ended(wire, stream)


def _ended(wire: Wire, stream: int) -> None:
    last = (Type.HEADERS, Type.DATA)
    until(wire, lambda came: came.stream == stream and came.type in last and bool(came.flags & END_STREAM))


def content(size: int | None = None) -> Step:
    """DATA, of ``size`` bytes where that is given."""

    def expect(wire: Wire) -> None:
        came = until(wire, lambda came: came.type == Type.DATA)
        assert size is None or len(came.payload) == size, f"{size} bytes of DATA expected"

    return expect


def ponged(payload: bytes = b"\x00" * 8) -> Step:
    """A PING is sent, and answered with what it held; no other is."""

    def expect(wire: Wire) -> None:
        wire.write(Type.PING, 0, 0, payload)
        answer_to_ping(payload)(wire)

    return expect


def answer_to_ping(payload: bytes = b"\x00" * 8) -> Step:
    def expect(wire: Wire) -> None:
        came = until(wire, lambda came: came.type in {Type.PING, Type.GOAWAY})
        assert (came.type, came.flags, came.payload) == (Type.PING, ACK, payload), "a PING's answer expected"

    return expect


def ponged_or_closed(payload: bytes = b"\x00" * 8) -> Step:
    """A PING is answered, or the connection closed."""

    def expect(wire: Wire) -> None:
        wire.write(Type.PING, 0, 0, payload)
        try:
            until(wire, lambda came: came.type == Type.PING and came.payload == payload)
        except Closed:
            return

    return expect


def connection_error(*codes: Code) -> Step:
    """GOAWAY with one of the codes, and the connection is closed."""

    def expect(wire: Wire) -> None:
        came = until(wire, lambda came: came.type == Type.GOAWAY)
        assert came.code in codes, f"GOAWAY with {_names(codes)} expected"
        closed(wire)

    return expect


def stream_error(*codes: Code, stream: int = 1) -> Step:
    """RST_STREAM of the stream with one of the codes, or GOAWAY with one: the rules leave that to the server (§5.4)."""

    def expect(wire: Wire) -> None:
        came = until(wire, lambda came: came.type in {Type.RST_STREAM, Type.GOAWAY})
        right = came.code in codes and (came.type == Type.GOAWAY or came.stream == stream)
        assert right, f"RST_STREAM of stream {stream} with {_names(codes)} expected"

    return expect


def closed(wire: Wire) -> None:
    try:
        until(wire, lambda _: False)
    except Closed:
        return


def _names(codes: tuple[Code, ...]) -> str:
    return " or ".join(code.name for code in codes)
