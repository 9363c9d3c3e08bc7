"""What a client says on its control stream (RFC 9114 §6.2.1, §7.2): settings once and first, then little else."""

from __future__ import annotations

from typing import Final

from edgeproxy.http2.events import Priority
from edgeproxy.http3 import codes, varint
from edgeproxy.http3.codes import ProtocolError

LONGEST: Final = 4096  # bytes of a frame that has to be here whole
STREAMS_AHEAD: Final = 128  # a PRIORITY_UPDATE may come this many streams before its request


class Control:
    """One client's. ``settings`` are its, None before they came; ``last`` the highest request stream it has opened."""

    __slots__ = ("_goaway", "_max_push", "last", "settings")

    def __init__(self) -> None:
        self.settings: dict[int, int] | None = None
        self.last = -4
        self._goaway = -1
        self._max_push = -1

    def begin(self, kind: int, length: int) -> bool:
        """A frame begins; whether its payload is wanted. Raises ProtocolError."""
        if self.settings is None and kind != codes.SETTINGS:
            raise ProtocolError(codes.MISSING_SETTINGS, "a control stream that does not begin with SETTINGS")
        if kind not in codes.KNOWN_FRAMES:
            return False
        if kind not in codes.ON_CONTROL:
            raise ProtocolError(codes.FRAME_UNEXPECTED, "a frame that has no place on a control stream")
        if length > LONGEST:
            raise ProtocolError(codes.EXCESSIVE_LOAD, "a control frame that is too long")
        return True

    def take(self, kind: int, payload: bytes) -> Priority | None:
        """A whole frame that was wanted. Raises ProtocolError."""
        if kind == codes.SETTINGS:
            if self.settings is not None:
                raise ProtocolError(codes.FRAME_UNEXPECTED, "SETTINGS twice")
            self.settings = parse_settings(payload)
        elif kind == codes.PRIORITY_UPDATE:
            return self._priority(payload)
        elif kind == codes.GOAWAY:
            number = _only(payload)
            if 0 <= self._goaway < number:
                raise ProtocolError(codes.ID_ERROR, "a GOAWAY that takes back an earlier one")
            self._goaway = number
        elif kind == codes.MAX_PUSH_ID:
            number = _only(payload)
            if number < self._max_push:
                raise ProtocolError(codes.ID_ERROR, "a MAX_PUSH_ID below an earlier one")
            self._max_push = number
        else:  # CANCEL_PUSH, and PRIORITY_UPDATE of a push: none was ever promised (RFC 9114 §7.2.3, RFC 9218 §7.2)
            _first(payload)
            raise ProtocolError(codes.ID_ERROR, "a push that was never promised")
        return None

    def _priority(self, payload: bytes) -> Priority:
        stream = _first(payload)
        if stream % 4 or stream > max(self.last, 0) + 4 * STREAMS_AHEAD:
            raise ProtocolError(codes.ID_ERROR, "a PRIORITY_UPDATE of no request stream")
        return Priority(stream, payload[varint.size(payload[0]) :])

    def __repr__(self) -> str:
        return f"<Control {self.settings}>"


def parse_settings(payload: bytes) -> dict[int, int]:
    """A SETTINGS frame (RFC 9114 §7.2.4). Raises ProtocolError."""
    numbers = varint.decode_all(payload)
    if numbers is None or len(numbers) % 2:
        raise ProtocolError(codes.FRAME_ERROR, "SETTINGS that end within one")
    settings: dict[int, int] = {}
    for at in range(0, len(numbers), 2):
        name, value = numbers[at], numbers[at + 1]
        if name in settings:
            raise ProtocolError(codes.SETTINGS_ERROR, "a setting twice")
        if name in codes.RESERVED_SETTINGS:
            raise ProtocolError(codes.SETTINGS_ERROR, "a setting of HTTP/2")
        if name in codes.BOOLEAN_SETTINGS and value > 1:
            raise ProtocolError(codes.SETTINGS_ERROR, "a setting that is neither on nor off")
        settings[name] = value
    return settings


def _first(payload: bytes) -> int:
    if not payload or varint.size(payload[0]) > len(payload):
        raise ProtocolError(codes.FRAME_ERROR, "a frame that is too short")
    return varint.decode(payload, 0)


def _only(payload: bytes) -> int:
    number = _first(payload)
    if varint.size(payload[0]) != len(payload):
        raise ProtocolError(codes.FRAME_ERROR, "a frame that is too long")
    return number
