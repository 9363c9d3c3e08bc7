"""JA4, the fingerprint of a TLS client: what its ClientHello offers, whoever it says it is.

Source: FoxIO, "JA4: TLS Client Fingerprinting" (github.com/FoxIO-LLC/ja4, technical_details/JA4.md, BSD 3-Clause); the
ClientHello itself: RFC 8446 §4.1.2, RFC 8701 (GREASE). What is not a whole, well-formed hello has no fingerprint.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

LONGEST = 16 * 1024  # bytes looked at; browsers send under 2 KiB

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _SIGNATURE_ALGORITHMS, _ALPN, _SUPPORTED_VERSIONS = 0, 13, 16, 43
_VERSIONS = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}
_NOTHING = "000000000000"


class HelloError(ValueError):
    """The bytes are no ClientHello that could be fingerprinted."""


class Offer(NamedTuple):
    """What a hello asks for: the host's name in lower case, "" for none; protocols in the client's order (ALPN)."""

    name: str
    protocols: tuple[bytes, ...]


class _Reader:
    """Takes numbers and vectors off the front of some bytes. Raises HelloError where there are too few."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise HelloError("a ClientHello that ends too soon")
        return self._data[start : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Reader:
        """What follows a length of ``size`` bytes."""
        return _Reader(self.take(self.number(size)))

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def numbers(self) -> list[int]:
        """The rest as numbers of two bytes."""
        rest = self.rest()
        if len(rest) % 2:
            raise HelloError("a list with half a number")
        return [int.from_bytes(rest[at : at + 2], "big") for at in range(0, len(rest), 2)]

    def __bool__(self) -> bool:
        return self._at < len(self._data)


def fingerprint(data: bytes) -> str | None:
    """The JA4 of the hello that ``data`` (TLS records, as they came over TCP) begin with, e.g.
    ``t13d1516h2_8daaf6152771_e5627efa2ab1``; None if more bytes are needed. Raises HelloError."""
    message = _message(data)
    return None if message is None else _ja4(_Reader(message))


def offer(data: bytes) -> Offer | None:
    """What such a hello asks for; None if more bytes are needed. Raises HelloError."""
    message = _message(data)
    if message is None:
        return None
    hello = _Reader(message)
    hello.take(34)  # version, random
    for size in (1, 2, 1):  # session, ciphers, compression
        hello.vector(size)
    extensions = _extensions(hello)
    name = extensions.get(_SERVER_NAME)
    listed = extensions.get(_ALPN)
    return Offer("" if name is None else _host_name(name), () if listed is None else _protocols(listed))


def _host_name(listed: _Reader) -> str:
    """The first name of type host_name (RFC 6066 §3)."""
    names = listed.vector(2)
    while names:
        kind, name = names.number(1), names.vector(2).rest()
        if kind == 0:
            return name.decode("latin-1").lower()
    return ""


def _protocols(listed: _Reader) -> tuple[bytes, ...]:
    found = []
    names = listed.vector(2)
    while names:
        found.append(names.vector(1).rest())
    return tuple(found)


def fingerprint_quic(message: bytes) -> str:
    """The JA4 of a hello that came over QUIC, whole and without records (RFC 9001 §4), e.g.
    ``q13d0312h3_55b375c5d22e_06cda9e17597``. Raises HelloError."""
    if len(message) > LONGEST or message[:1] != bytes((_CLIENT_HELLO,)):
        raise HelloError("no ClientHello")
    return "q" + _ja4(_Reader(message[4:]))[1:]


def _message(data: bytes) -> bytes | None:
    """The ClientHello in the first records (RFC 8446 §5.1), which may hold it in pieces."""
    message = b""
    at = 0
    while True:
        head = data[at : at + 5]
        if head[:1] not in (b"", b"\x16") or head[1:2] not in (b"", b"\x03"):
            raise HelloError("no TLS handshake")
        if len(head) < 5:
            break
        size = int.from_bytes(head[3:5], "big")
        if not 0 < size <= 1 << 14:
            raise HelloError("a record of no such length")
        piece = data[at + 5 : at + 5 + size]
        message += piece
        if message and message[0] != _CLIENT_HELLO:
            raise HelloError("no ClientHello")
        whole = 4 + int.from_bytes(message[1:4], "big") if len(message) >= 4 else LONGEST
        if whole > LONGEST:
            raise HelloError("a ClientHello that is too long")
        if len(message) >= whole:
            return message[4:whole]
        if len(piece) < size:
            break
        at += 5 + size
    if len(data) >= LONGEST:
        raise HelloError("a ClientHello that is too long")
    return None


def _ja4(hello: _Reader) -> str:
    legacy = hello.number(2)
    hello.take(32)  # random
    hello.vector(1)  # session
    ciphers = _without_grease(hello.vector(2).numbers())
    hello.vector(1)  # compression
    extensions = _extensions(hello)
    kinds = _without_grease(list(extensions))
    counts = f"{min(len(ciphers), 99):02}{min(len(kinds), 99):02}"
    named = "d" if _SERVER_NAME in extensions else "i"
    head = f"t{_version(legacy, extensions.get(_SUPPORTED_VERSIONS))}{named}{counts}{_alpn(extensions.get(_ALPN))}"
    signatures = extensions.get(_SIGNATURE_ALGORITHMS)
    offered = _without_grease(signatures.vector(2).numbers()) if signatures is not None else []
    return f"{head}_{_hash(sorted(ciphers))}_{_hash(sorted(set(kinds) - {_SERVER_NAME, _ALPN}), offered)}"


def _extensions(hello: _Reader) -> dict[int, _Reader]:
    found: dict[int, _Reader] = {}
    if hello:
        listed = hello.vector(2)
        while listed:
            kind = listed.number(2)
            found[kind] = listed.vector(2)
    return found


def _without_grease(values: list[int]) -> list[int]:
    """RFC 8701: 0x0A0A, 0x1A1A, … 0xFAFA mean nothing."""
    return [value for value in values if value & 0x0F0F != 0x0A0A or value >> 8 != value & 0xFF]


def _version(legacy: int, supported: _Reader | None) -> str:
    offered = _without_grease(supported.vector(1).numbers()) if supported is not None else []
    return _VERSIONS.get(max(offered, default=legacy), "00")


def _alpn(protocols: _Reader | None) -> str:
    """First and last character of the first protocol; of its hexadecimal form if one of them is no letter or digit."""
    if protocols is None:
        return "00"
    first = protocols.vector(2).vector(1).rest()
    if not first:
        return "00"
    text = first.decode("latin-1")
    if not (text[0].isascii() and text[0].isalnum() and text[-1].isascii() and text[-1].isalnum()):
        text = first.hex()
    return text[0] + text[-1]


def _hash(values: list[int], following: list[int] | None = None) -> str:
    """Twelve hexadecimal digits of SHA-256 over the values in hexadecimal, and over others after a ``_``."""
    if not values:
        return _NOTHING
    text = ",".join(f"{value:04x}" for value in values)
    if following:
        text += "_" + ",".join(f"{value:04x}" for value in following)
    return sha256(text.encode()).hexdigest()[:12]
