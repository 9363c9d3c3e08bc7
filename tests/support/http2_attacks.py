"""Attacks on a connection of HTTP/2, each as what the peer sends the n-th time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http2 import floods, frames
from edgeproxy.http2.hpack import encode

TARGET: Final = b"/slow"  # asked for by those that are to be under way for a while
HEAD: Final = encode([(b":method", b"GET"), (b":scheme", b"https"), (b":path", TARGET), (b":authority", b"a.example")])
# A field of 1000 bytes for the table, and 45 fields that are that one again, in a byte each.
BOMB: Final = b"\x40\x01x\x7f\xe9\x06" + b"y" * 1000 + b"\xbe" * 45
WHOLE: Final = frames.END_HEADERS | frames.END_STREAM
OPENING: Final = frames.PREFACE + frames.settings({})


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return frames.frame(kind, flags, stream, payload)


def request(n: int) -> bytes:
    """The n-th request of a connection."""
    return frame(frames.HEADERS, WHOLE, 2 * n + 1, HEAD)


def _reset(n: int) -> bytes:
    return request(n) + frame(frames.RST_STREAM, 0, 2 * n + 1, frames.uint32(frames.CANCEL))


def _made_reset(n: int) -> bytes:
    return request(n) + frame(frames.WINDOW_UPDATE, 0, 2 * n + 1, bytes(4))


def _empty(n: int) -> bytes:
    begin = b"" if n else frame(frames.HEADERS, frames.END_HEADERS, 1, HEAD)
    return begin + frame(frames.DATA, 0, 1)


def endless_section(n: int) -> bytes:
    """A field section in pieces of a byte, whose end never comes."""
    return frame(frames.CONTINUATION, 0, 1, b"\x00") if n else frame(frames.HEADERS, 0, 1, HEAD)


#: By the kind of flood it is, of those in :mod:`edgeproxy.http2.floods`.
ATTACKS: Final[dict[int, Callable[[int], bytes]]] = {
    floods.RESET: _reset,
    floods.BROKEN: _made_reset,
    floods.REFUSED: request,
    floods.PING: lambda _: frame(frames.PING, 0, 0, bytes(8)),
    floods.SETTINGS: lambda n: frames.settings({frames.INITIAL_WINDOW_SIZE: 1000 + n}),
    floods.EMPTY: _empty,
    floods.PRIORITY: lambda n: frame(frames.PRIORITY, 0, 2 * n + 1, bytes(4) + b"\x10"),
    floods.WINDOW: lambda _: frame(frames.WINDOW_UPDATE, 0, 0, frames.uint32(1)),
    floods.UNKNOWN: lambda _: frame(0x42, 0, 0, b"?"),
    floods.HEADS: lambda n: frame(frames.HEADERS, WHOLE, 2 * n + 1, HEAD + BOMB),
}
