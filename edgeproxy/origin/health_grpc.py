"""The question and the answer of gRPC's health checks (grpc.health.v1), by hand: two messages of one field each."""

from __future__ import annotations

from typing import Final

PATH: Final = b"/grpc.health.v1.Health/Check"
FIELDS: Final = {b"content-type": b"application/grpc", b"te": b"trailers"}
_SERVING: Final = 1
_PREFIX: Final = 5  # bytes before a message: whether it is compressed, and its length
_NUMBER, _TEXT = 0x08, 0x0A  # field 1 as a varint, and as a string


def question(service: str) -> bytes:
    """HealthCheckRequest for ``service``, "" for the server as a whole, as it is sent; 200 characters at most."""
    name = service.encode()
    message = bytes((_TEXT,)) + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def serves(answer: bytes) -> bool:
    """Whether a HealthCheckResponse, as it came, says SERVING."""
    size = int.from_bytes(answer[1:_PREFIX], "big")
    return answer[:1] == b"\0" and answer[_PREFIX:] == bytes((_NUMBER, _SERVING)) and size == len(answer) - _PREFIX


def _varint(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else bytes((0x80 | value & 0x7F, value >> 7))
