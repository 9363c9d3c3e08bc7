"""gRPC as far as a proxy minds it: what is a call, its deadline, and how a call is told that it failed.

Rules are those of gRPC's own PROTOCOL-HTTP2.md and http-grpc-status-mapping.md.
"""

from __future__ import annotations

import re
from typing import Final

from edgeproxy.http.headers import Headers

STATUS: Final = b"grpc-status"
MESSAGE: Final = b"grpc-message"
TIMEOUT: Final = b"grpc-timeout"
DEADLINE_EXCEEDED: Final = 4
UNKNOWN: Final = 2

_TYPE: Final = b"application/grpc"
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS: Final[dict[bytes, float]] = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_WRITTEN: Final = ((b"u", 1_000_000), (b"m", 1_000), (b"S", 1))  # units, the finest first, and how many are a second
_LARGEST: Final = 99_999_999  # what eight digits hold

# What a call is told where HTTP would say this.
_STATUSES: Final[dict[int, int]] = {
    400: 13,  # INTERNAL
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 12,  # UNIMPLEMENTED
    429: 14,  # UNAVAILABLE
    502: 14,
    503: 14,
    504: 14,
}


def is_grpc(headers: Headers) -> bool:
    """Whether the Content-Type is gRPC's, of whatever messages; gRPC-Web's is another."""
    told = headers.get(b"content-type")
    if told is None or told[:16].lower() != _TYPE:
        return False
    return told[16:17] in {b"", b"+", b";", b" ", b"\t"}


def deadline(headers: Headers) -> float | None:
    """Seconds that a call may take, from its beginning; None if it does not say, or cannot be understood."""
    told = _TIMEOUT.fullmatch(headers.get(TIMEOUT, b""))
    return None if told is None else int(told[1]) * _UNITS[told[2]]


def timeout(seconds: float) -> bytes:
    """The value of Grpc-Timeout for so long: at most eight digits, rounded down."""
    for unit, number in _WRITTEN:
        if seconds * number <= _LARGEST:
            return b"%d%b" % (max(0, int(seconds * number)), unit)
    return b"%dS" % _LARGEST


def status_of(status: int) -> int:
    """The code that stands for an HTTP status."""
    return _STATUSES.get(status, UNKNOWN)


def refusal(code: int, message: bytes) -> Headers:
    """The fields of an answer that has nothing but a status (Trailers-Only)."""
    return {b"content-type": _TYPE, STATUS: b"%d" % code, MESSAGE: _percent(message)}


def ended_with(fields: Headers | None) -> str:
    """The status that an answer's last fields tell; "" if they tell none that could be one."""
    told = b"" if fields is None else fields.get(STATUS, b"")
    return told.decode("ascii") if told.isdigit() and len(told) <= 3 else ""


def _percent(message: bytes) -> bytes:
    """Printable ASCII, the rest percent-encoded."""
    return b"".join([b"%c" % byte if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in message])
