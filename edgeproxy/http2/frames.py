"""HTTP/2 frames (RFC 9113 §4, §6): types, flags, error codes, settings, and how each type is framed."""

from __future__ import annotations

from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_SIZE: Final = 9
FRAME_SIZE: Final = 16_384  # the largest payload taken, and sent: nobody may take less (§4.2)
STREAM_MOST: Final = 0x7FFF_FFFF
WINDOW_MOST: Final = 0x7FFF_FFFF
WINDOW_FIRST: Final = 65_535  # every window before anybody has said anything (§6.9.2)
TABLE_FIRST: Final = 4_096  # HPACK's table, likewise

# Types (§6; PRIORITY_UPDATE: RFC 9218 §7.1).
DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9
PRIORITY_UPDATE: Final = 0x10

# Flags.
END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20

# Error codes (§7).
NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FLOW_CONTROL_ERROR: Final = 0x3
SETTINGS_TIMEOUT: Final = 0x4
STREAM_CLOSED: Final = 0x5
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
CONNECT_ERROR: Final = 0xA
ENHANCE_YOUR_CALM: Final = 0xB
INADEQUATE_SECURITY: Final = 0xC
HTTP_1_1_REQUIRED: Final = 0xD

Code = int

# Settings (§6.5.2; RFC 8441 §3; RFC 9218 §2.1).
HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6
ENABLE_CONNECT_PROTOCOL: Final = 0x8
NO_RFC7540_PRIORITIES: Final = 0x9

# Where a type may stand.
ON_STREAM: Final = 0
ON_CONNECTION: Final = 1
ON_EITHER: Final = 2


class Shape:
    """How a type is framed: the fewest and the most bytes of its payload, and whether it is a stream's. A payload of
    another size breaks the connection, or, with ``mild``, its stream (§4.2)."""

    __slots__ = ("longest", "mild", "place", "shortest")

    def __init__(self, place: int, shortest: int, longest: int, *, mild: bool = False) -> None:
        self.place = place
        self.shortest = shortest
        self.longest = longest
        self.mild = mild


# By type. What is not here is ignored (§4.1).
SHAPES: Final[dict[int, Shape]] = {
    DATA: Shape(ON_STREAM, 0, FRAME_SIZE),
    HEADERS: Shape(ON_STREAM, 0, FRAME_SIZE),
    PRIORITY: Shape(ON_STREAM, 5, 5, mild=True),
    RST_STREAM: Shape(ON_STREAM, 4, 4),
    SETTINGS: Shape(ON_CONNECTION, 0, FRAME_SIZE),
    PUSH_PROMISE: Shape(ON_STREAM, 4, FRAME_SIZE),
    PING: Shape(ON_CONNECTION, 8, 8),
    GOAWAY: Shape(ON_CONNECTION, 8, FRAME_SIZE),
    WINDOW_UPDATE: Shape(ON_EITHER, 4, 4),
    CONTINUATION: Shape(ON_STREAM, 0, FRAME_SIZE),
    PRIORITY_UPDATE: Shape(ON_CONNECTION, 4, FRAME_SIZE),
}

NAMES: Final[tuple[str, ...]] = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED"),
    *("FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"),
    *("INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)

_HEADER: Final = Struct(">HBBBI")
_SETTING: Final = Struct(">HI")

#: Length (its upper 16 bits, its lower 8), type, flags, stream with the reserved bit.
unpack_header: Final = _HEADER.unpack_from


def header(size: int, kind: int, flags: int, stream: int) -> bytes:
    """A frame's first nine bytes."""
    return _HEADER.pack(size >> 8, size & 0xFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _HEADER.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def uint32(value: int) -> bytes:
    """32 bits, as windows, codes and stream identifiers are written."""
    return value.to_bytes(4, "big")


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join([_SETTING.pack(name, value) for name, value in values.items()]))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """The pairs of a SETTINGS frame whose length is a multiple of six, in their order."""
    return list(_SETTING.iter_unpack(payload))


def name_of(code: Code) -> str:
    return NAMES[code] if code < len(NAMES) else "unknown"
