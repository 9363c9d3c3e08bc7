"""RFC 9113 §8: what a request's fields and content may be. Sections have the numbers of RFC 7540."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.h2spec.steps import Fields, Step, case, connection_error, data, head, section, stream_error
from tests.conformance.h2spec.wire import END_HEADERS, Code, Type, Wire

MALFORMED = stream_error(Code.PROTOCOL_ERROR)
OPEN = head(method="POST", end=False)


def _put_first(*fields: tuple[str, str]) -> Callable[[Fields], Fields]:
    return lambda given: [*fields, *given]


def _without(name: str) -> Callable[[Fields], Fields]:
    return lambda given: [field for field in given if field[0] != name]


def _again(name: str) -> Callable[[Fields], Fields]:
    return lambda given: [*given, *(field for field in given if field[0] == name)]


def _pathless(given: Fields) -> Fields:
    return [(name, "" if name == ":path" else value) for name, value in given]


def _one_byte(*parts: Step) -> tuple[Step, ...]:
    """A POST that announces a single byte, then ``parts``."""
    return (head(1, ("content-length", "1"), method="POST", end=False), *parts, MALFORMED)


def _promise(wire: Wire) -> None:
    block = wire.encoder.encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.example")])
    wire.write(Type.PUSH_PROMISE, END_HEADERS, 1, (3).to_bytes(4, "big") + block)


CASES = (
    case(
        "http2/8.1/1",
        "trailers that do not end the stream",
        OPEN,
        data(end=False),
        section(1, ("x-test", "ok"), end=False),
        MALFORMED,
    ),
    case("http2/8.1.2/1", "a name in capital letters", head(1, ("X-TEST", "ok")), MALFORMED),
    case("http2/8.1.2.1/1", "an unknown pseudo-field", head(1, (":test", "ok")), MALFORMED),
    case("http2/8.1.2.1/2", "an answer's pseudo-field", head(1, (":status", "200")), MALFORMED),
    case(
        "http2/8.1.2.1/3",
        "a pseudo-field in trailers",
        OPEN,
        data(end=False),
        section(1, (":method", "POST")),
        MALFORMED,
    ),
    case("http2/8.1.2.1/4", "a pseudo-field behind others", head(change=_put_first(("x-test", "ok"))), MALFORMED),
    case("http2/8.1.2.2/1", "Connection", head(1, ("connection", "keep-alive")), MALFORMED),
    case(
        "http2/8.1.2.2/2",
        "TE other than trailers",
        head(1, ("trailers", "test"), ("te", "trailers, deflate")),
        MALFORMED,
    ),
    case("http2/8.1.2.3/1", "an empty :path", head(change=_pathless), MALFORMED),
    case("http2/8.1.2.3/2", "no :method", head(change=_without(":method")), MALFORMED),
    case("http2/8.1.2.3/3", "no :scheme", head(change=_without(":scheme")), MALFORMED),
    case("http2/8.1.2.3/4", "no :path", head(change=_without(":path")), MALFORMED),
    case("http2/8.1.2.3/5", ":method twice", head(change=_again(":method")), MALFORMED),
    case("http2/8.1.2.3/6", ":scheme twice", head(change=_again(":scheme")), MALFORMED),
    case("http2/8.1.2.3/7", ":path twice", head(change=_again(":path")), MALFORMED),
    case("http2/8.1.2.6/1", "more content than Content-Length says", *_one_byte(data())),
    case("http2/8.1.2.6/2", "the same in two frames", *_one_byte(data(end=False), data())),
    case("http2/8.2/1", "PUSH_PROMISE", _promise, connection_error(Code.PROTOCOL_ERROR)),
)
