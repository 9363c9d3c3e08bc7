"""Numbers of HTTP/3: errors, frames, streams and settings (RFC 9114 §8.1, §11.2; RFC 9204 §6, §8; RFC 9218 §7)."""

from __future__ import annotations

from typing import Final

# Errors.
DATAGRAM_ERROR: Final = 0x33
NO_ERROR: Final = 0x100
GENERAL_PROTOCOL_ERROR: Final = 0x101
INTERNAL_ERROR: Final = 0x102
STREAM_CREATION_ERROR: Final = 0x103
CLOSED_CRITICAL_STREAM: Final = 0x104
FRAME_UNEXPECTED: Final = 0x105
FRAME_ERROR: Final = 0x106
EXCESSIVE_LOAD: Final = 0x107
ID_ERROR: Final = 0x108
SETTINGS_ERROR: Final = 0x109
MISSING_SETTINGS: Final = 0x10A
REQUEST_REJECTED: Final = 0x10B
REQUEST_CANCELLED: Final = 0x10C
REQUEST_INCOMPLETE: Final = 0x10D
MESSAGE_ERROR: Final = 0x10E
CONNECT_ERROR: Final = 0x10F
VERSION_FALLBACK: Final = 0x110
QPACK_DECOMPRESSION_FAILED: Final = 0x200
QPACK_ENCODER_STREAM_ERROR: Final = 0x201
QPACK_DECODER_STREAM_ERROR: Final = 0x202

ERROR_NAMES: Final[dict[int, str]] = {
    DATAGRAM_ERROR: "H3_DATAGRAM_ERROR",
    NO_ERROR: "H3_NO_ERROR",
    GENERAL_PROTOCOL_ERROR: "H3_GENERAL_PROTOCOL_ERROR",
    INTERNAL_ERROR: "H3_INTERNAL_ERROR",
    STREAM_CREATION_ERROR: "H3_STREAM_CREATION_ERROR",
    CLOSED_CRITICAL_STREAM: "H3_CLOSED_CRITICAL_STREAM",
    FRAME_UNEXPECTED: "H3_FRAME_UNEXPECTED",
    FRAME_ERROR: "H3_FRAME_ERROR",
    EXCESSIVE_LOAD: "H3_EXCESSIVE_LOAD",
    ID_ERROR: "H3_ID_ERROR",
    SETTINGS_ERROR: "H3_SETTINGS_ERROR",
    MISSING_SETTINGS: "H3_MISSING_SETTINGS",
    REQUEST_REJECTED: "H3_REQUEST_REJECTED",
    REQUEST_CANCELLED: "H3_REQUEST_CANCELLED",
    REQUEST_INCOMPLETE: "H3_REQUEST_INCOMPLETE",
    MESSAGE_ERROR: "H3_MESSAGE_ERROR",
    CONNECT_ERROR: "H3_CONNECT_ERROR",
    VERSION_FALLBACK: "H3_VERSION_FALLBACK",
    QPACK_DECOMPRESSION_FAILED: "QPACK_DECOMPRESSION_FAILED",
    QPACK_ENCODER_STREAM_ERROR: "QPACK_ENCODER_STREAM_ERROR",
    QPACK_DECODER_STREAM_ERROR: "QPACK_DECODER_STREAM_ERROR",
}

# Frames.
DATA: Final = 0x00
HEADERS: Final = 0x01
CANCEL_PUSH: Final = 0x03
SETTINGS: Final = 0x04
PUSH_PROMISE: Final = 0x05
GOAWAY: Final = 0x07
MAX_PUSH_ID: Final = 0x0D
PRIORITY_UPDATE: Final = 0xF0700  # RFC 9218 §7.2
PRIORITY_UPDATE_PUSH: Final = 0xF0701

# Of HTTP/2, and never to be sent (RFC 9114 §7.2.8).
RESERVED_FRAMES: Final[frozenset[int]] = frozenset((0x02, 0x06, 0x08, 0x09))
KNOWN_FRAMES: Final[frozenset[int]] = RESERVED_FRAMES | {
    *(DATA, HEADERS, CANCEL_PUSH, SETTINGS, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID),
    *(PRIORITY_UPDATE, PRIORITY_UPDATE_PUSH),
}
ON_REQUESTS: Final[frozenset[int]] = frozenset((DATA, HEADERS))
ON_CONTROL: Final[frozenset[int]] = frozenset(
    (SETTINGS, CANCEL_PUSH, GOAWAY, MAX_PUSH_ID, PRIORITY_UPDATE, PRIORITY_UPDATE_PUSH)
)

# Unidirectional streams.
CONTROL: Final = 0x00
PUSH: Final = 0x01
QPACK_ENCODER: Final = 0x02
QPACK_DECODER: Final = 0x03

# Settings.
MAX_FIELD_SECTION_SIZE: Final = 0x06
ENABLE_CONNECT_PROTOCOL: Final = 0x08  # RFC 9220 §3
H3_DATAGRAM: Final = 0x33  # RFC 9297 §2.1.1
RESERVED_SETTINGS: Final[frozenset[int]] = frozenset((0x00, 0x02, 0x03, 0x04, 0x05))  # RFC 9114 §11.2.2
BOOLEAN_SETTINGS: Final[frozenset[int]] = frozenset((ENABLE_CONNECT_PROTOCOL, H3_DATAGRAM))


class ProtocolError(Exception):
    """The connection must be closed with ``code`` (RFC 9114 §8)."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class TooLargeError(Exception):
    """A field section of more bytes than are borne; the connection goes on."""


def error_name(code: int) -> str:
    """A code's name, for logs and metrics; the others are one."""
    return ERROR_NAMES.get(code, "other")
