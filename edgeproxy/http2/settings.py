"""What each side of an HTTP/2 connection tells the other at its beginning (RFC 9113 §6.5)."""

from __future__ import annotations

from typing import Final, NamedTuple

from edgeproxy.http2 import frames
from edgeproxy.http2.errors import ConnectionFailure


class Settings(NamedTuple):
    """What one side bears. The defaults are what holds of a peer that has said nothing (§6.5.2).

    ``streams``: open at once. ``window``: bytes a stream may send before it is told that more are wanted;
    ``connection_window``: the same of all streams together, told by WINDOW_UPDATE. ``fields``: bytes of one field
    section, as §6.5.2 counts them. ``table``: bytes of the HPACK decoder's table. ``frame``: bytes of a payload.
    ``connect``: extended CONNECT is spoken (RFC 8441). ``push``: promises are taken.
    """

    table: int = frames.TABLE_FIRST
    push: bool = True
    streams: int = frames.STREAM_MOST
    window: int = frames.WINDOW_FIRST
    connection_window: int = frames.WINDOW_FIRST
    frame: int = frames.FRAME_SIZE
    fields: int = frames.WINDOW_MOST
    connect: bool = False


DEFAULTS: Final = Settings()


def announce(own: Settings, *, client: bool) -> dict[int, int]:
    """The settings to be told: those that are not the protocol's defaults. Priorities are RFC 9218's alone."""
    told = {
        frames.HEADER_TABLE_SIZE: own.table,
        frames.MAX_CONCURRENT_STREAMS: own.streams,
        frames.INITIAL_WINDOW_SIZE: own.window,
        frames.MAX_HEADER_LIST_SIZE: own.fields,
        frames.ENABLE_CONNECT_PROTOCOL: int(own.connect),
    }
    usual = {
        frames.HEADER_TABLE_SIZE: DEFAULTS.table,
        frames.MAX_CONCURRENT_STREAMS: DEFAULTS.streams,
        frames.INITIAL_WINDOW_SIZE: DEFAULTS.window,
        frames.MAX_HEADER_LIST_SIZE: DEFAULTS.fields,
        frames.ENABLE_CONNECT_PROTOCOL: 0,
    }
    values = {name: value for name, value in told.items() if value != usual[name]}
    if client:
        values[frames.ENABLE_PUSH] = 0
    else:
        values[frames.NO_RFC7540_PRIORITIES] = 1
    return values


def heed(peer: Settings, payload: bytes, *, client: bool) -> Settings:
    """What the peer bears from now on. Raises ConnectionFailure for values nobody may tell."""
    if len(payload) % 6:
        raise ConnectionFailure(frames.FRAME_SIZE_ERROR, "SETTINGS of an odd length")
    pairs = frames.read_settings(payload)
    told = dict(pairs)  # the last one of a name holds (§6.5.3)
    for name, value in pairs:
        low, high, code = _RANGES.get(name, _ANY)
        if not low <= value <= high:
            raise ConnectionFailure(code, f"setting {name:#x} out of its range")
    if client and told.get(frames.ENABLE_PUSH):
        raise ConnectionFailure(frames.PROTOCOL_ERROR, "a server that asks for pushes")
    if peer.connect and told.get(frames.ENABLE_CONNECT_PROTOCOL) == 0:  # RFC 8441 §3
        raise ConnectionFailure(frames.PROTOCOL_ERROR, "extended CONNECT taken back")
    return Settings(
        table=told.get(frames.HEADER_TABLE_SIZE, peer.table),
        push=bool(told.get(frames.ENABLE_PUSH, peer.push)),
        streams=told.get(frames.MAX_CONCURRENT_STREAMS, peer.streams),
        window=told.get(frames.INITIAL_WINDOW_SIZE, peer.window),
        connection_window=peer.connection_window,
        frame=told.get(frames.MAX_FRAME_SIZE, peer.frame),
        fields=told.get(frames.MAX_HEADER_LIST_SIZE, peer.fields),
        connect=bool(told.get(frames.ENABLE_CONNECT_PROTOCOL, peer.connect)),
    )


# Least and most of what has a range, and the error of a value outside it (§6.5.2).
_RANGES: Final[dict[int, tuple[int, int, int]]] = {
    frames.ENABLE_PUSH: (0, 1, frames.PROTOCOL_ERROR),
    frames.INITIAL_WINDOW_SIZE: (0, frames.WINDOW_MOST, frames.FLOW_CONTROL_ERROR),
    frames.MAX_FRAME_SIZE: (frames.FRAME_SIZE, 0xFF_FFFF, frames.PROTOCOL_ERROR),
    frames.ENABLE_CONNECT_PROTOCOL: (0, 1, frames.PROTOCOL_ERROR),
    frames.NO_RFC7540_PRIORITIES: (0, 1, frames.PROTOCOL_ERROR),
}
_ANY: Final = (0, 0xFFFF_FFFF, frames.PROTOCOL_ERROR)
