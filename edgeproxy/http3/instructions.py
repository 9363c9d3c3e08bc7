"""What a client may say on QPACK's streams (RFC 9204 §4.3, §4.4) to a server that has no table and uses none."""

from __future__ import annotations

from typing import Final

from edgeproxy.http3.codes import QPACK_DECODER_STREAM_ERROR, QPACK_ENCODER_STREAM_ERROR, ProtocolError

NO_TABLE: Final = 0x20  # Set Dynamic Table Capacity, to 0: Chromium says so, though there is no need (RFC 9204 §3.2.3)


def take_encoder(data: bytes) -> None:
    """Bytes of the peer's encoder stream. Raises ProtocolError."""
    if data.strip(b"%c" % NO_TABLE):
        raise ProtocolError(QPACK_ENCODER_STREAM_ERROR, "an instruction for a table that was not offered")


class Cancellations:
    """The peer's decoder stream. There is nothing to acknowledge: all that makes sense there is that a stream was
    cancelled (RFC 9204 §4.4.2)."""

    __slots__ = ("_number", "_shift")

    def __init__(self) -> None:
        self._number = 0  # what is read of a stream's number
        self._shift = -1

    def take(self, data: bytes) -> None:
        """Bytes of it, in whatever pieces. Raises ProtocolError."""
        for byte in data:
            if self._shift < 0:
                if byte & 0xC0 != 0x40:
                    raise ProtocolError(QPACK_DECODER_STREAM_ERROR, "an acknowledgement of what was never sent")
                if byte & 0x3F == 0x3F:
                    self._number, self._shift = 0x3F, 0
                continue
            self._number += (byte & 0x7F) << self._shift
            self._shift = self._shift + 7 if byte & 0x80 else -1
            if self._number >= 1 << 62 or self._shift > 63:
                raise ProtocolError(QPACK_DECODER_STREAM_ERROR, "a number that is no stream's")

    def __repr__(self) -> str:
        return f"<Cancellations{' within a number' if self._shift >= 0 else ''}>"
