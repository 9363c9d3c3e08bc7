"""Reads field sections (RFC 9204): QPACK's decoder is qh3's, its table and what waits for it bounded here."""

from __future__ import annotations

from typing import Final

from qh3._hazmat import DecoderStreamError, EncoderStreamError, HeaderTooLarge, QpackDecoder, StreamBlocked

from edgeproxy.http3 import qpack
from edgeproxy.http3.codes import (
    EXCESSIVE_LOAD,
    QPACK_DECODER_STREAM_ERROR,
    QPACK_DECOMPRESSION_FAILED,
    QPACK_ENCODER_STREAM_ERROR,
    ProtocolError,
    TooLargeError,
)

TABLE: Final = 4096  # bytes of the dynamic table that a peer may fill
LINE: Final = 32  # bytes a field line counts beside its name and value (RFC 9114 §4.2.2)
BLOCKED: Final = 16  # sections that may wait for what the table has not yet

Fields = list[tuple[bytes, bytes]]


class Sections:
    """One connection's decoder. ``most``: bytes of a field section, counted as RFC 9114 §4.2.2 does. ``told`` collects
    what the peer's encoder is to hear on our decoder stream."""

    def __init__(self, most: int) -> None:
        self._decoder = QpackDecoder(TABLE, BLOCKED, max_field_section_size=most)
        self._most = most
        self._waiting: dict[int, bool] = {}  # streams whose section waits for the table; whether anybody wants it yet
        self._cancelling = 0  # what is read of a number on the peer's decoder stream
        self._shift = -1
        self.told = b""

    def read(self, stream: int, block: bytes) -> Fields | None:
        """The fields of a section, None if it has to wait. Raises ProtocolError, TooLargeError."""
        if not block:
            raise ProtocolError(QPACK_DECOMPRESSION_FAILED, "an empty field section")
        try:
            told, fields = self._decoder.feed_header(stream, block)
        except StreamBlocked:
            self._waiting[stream] = True
            return None
        except HeaderTooLarge:
            raise TooLargeError from None
        except DecoderStreamError:
            return self._read_alone(block)
        if told:
            self.told += told
        return fields

    def _read_alone(self, block: bytes) -> Fields:
        """What qh3 cannot read because its values are no UTF-8, which they need not be (RFC 9110 §5.5)."""
        fields = qpack.decode(block)
        if fields is None:
            raise ProtocolError(QPACK_DECOMPRESSION_FAILED, "a field section that cannot be read")
        if sum([len(name) + len(value) + LINE for name, value in fields]) > self._most:
            raise TooLargeError
        return fields

    def feed(self, data: bytes) -> list[tuple[int, Fields | None]]:
        """Bytes of the peer's encoder stream; the sections that waited for them, None for one that is too large.
        Raises ProtocolError."""
        try:
            self._decoder.feed_encoder(data)
        except HeaderTooLarge:
            raise ProtocolError(EXCESSIVE_LOAD, "a field section that is too large") from None
        except EncoderStreamError:
            raise ProtocolError(QPACK_ENCODER_STREAM_ERROR, "an encoder instruction that cannot be read") from None
        ready: list[tuple[int, Fields | None]] = []
        for stream in list(self._waiting):
            fields: Fields | None = None
            try:
                told, fields = self._decoder.resume_header(stream)
                self.told += told
            except StreamBlocked:
                continue
            except HeaderTooLarge:
                pass
            except DecoderStreamError:
                raise ProtocolError(QPACK_DECOMPRESSION_FAILED, "a field section that cannot be read") from None
            if self._waiting.pop(stream):
                ready.append((stream, fields))
        return ready

    def forget(self, stream: int) -> None:
        """Nobody wants what ``stream`` waits for; its place is free when the table has come that far."""
        if stream in self._waiting:
            self._waiting[stream] = False

    def acknowledged(self, data: bytes) -> None:
        """Bytes of the peer's decoder stream. Our encoder uses no table, so there is nothing to acknowledge: all that
        makes sense there is that a stream was cancelled (RFC 9204 §4.4). Raises ProtocolError."""
        for byte in data:
            if self._shift < 0:
                if byte & 0xC0 != 0x40:
                    raise ProtocolError(QPACK_DECODER_STREAM_ERROR, "an acknowledgement of what was never sent")
                if byte & 0x3F == 0x3F:
                    self._cancelling, self._shift = 0x3F, 0
                continue
            self._cancelling += (byte & 0x7F) << self._shift
            self._shift = self._shift + 7 if byte & 0x80 else -1
            if self._cancelling >= 1 << 62 or self._shift > 63:
                raise ProtocolError(QPACK_DECODER_STREAM_ERROR, "a number that is no stream's")

    def __repr__(self) -> str:
        return f"<Sections {len(self._waiting)} waiting>"
