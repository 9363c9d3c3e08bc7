"""The PROXY protocol, versions 1 and 2: who the client is, told by a trusted load balancer before the first byte.

Source: haproxy.org, "The PROXY protocol", sections 2.1 and 2.2.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1_LONGEST = 107
V2_LONGEST = 16 + 1024


class Told(NamedTuple):
    """``size`` bytes of header; ``address`` and ``port`` of the client, or None where the header names none."""

    size: int
    address: str | None
    port: int


class ProxyProtocolError(ValueError):
    """The bytes are no PROXY header."""


def parse(data: bytes) -> Told | None:
    """The header at the start of ``data``, or None if more bytes are needed. Raises ProxyProtocolError."""
    if data.startswith(V2_SIGNATURE[: len(data)]) and data[:1] == b"\r":
        return _version_2(data)
    if b"PROXY ".startswith(data[:6]):
        return _version_1(data)
    raise ProxyProtocolError("no PROXY header")


def _version_1(data: bytes) -> Told | None:
    line, end, _ = data[:V1_LONGEST].partition(b"\r\n")
    if not end:
        if len(data) >= V1_LONGEST:
            raise ProxyProtocolError("a PROXY line without an end")
        return None
    size = len(line) + 2
    match line.split(b" "):
        case [_, b"UNKNOWN", *_]:
            return Told(size, None, 0)
        case [_, b"TCP4" | b"TCP6" as family, source, destination, source_port, destination_port]:
            version = ipaddress.IPv4Address if family == b"TCP4" else ipaddress.IPv6Address
            try:
                version(destination.decode("ascii"))
                address = str(version(source.decode("ascii")))
            except ValueError as error:
                raise ProxyProtocolError(str(error)) from None
            _port(destination_port)
            return Told(size, address, _port(source_port))
        case _:
            raise ProxyProtocolError("an invalid PROXY line")


def _port(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 5 or int(digits) > 65535:
        raise ProxyProtocolError("an invalid port")
    return int(digits)


def _version_2(data: bytes) -> Told | None:
    if len(data) < 16:
        return None
    version, command, family = data[12] >> 4, data[12] & 15, data[13] >> 4
    size = 16 + int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1 or size > V2_LONGEST:
        raise ProxyProtocolError("an invalid PROXY header")
    if len(data) < size:
        return None
    if command == 0 or family not in {1, 2}:  # LOCAL, or an address family without addresses we know
        return Told(size, None, 0)
    width = 4 if family == 1 else 16
    if size < 16 + 2 * width + 4:
        raise ProxyProtocolError("a PROXY header that is too short")
    source = ipaddress.ip_address(data[16 : 16 + width])
    return Told(size, str(source), int.from_bytes(data[16 + 2 * width : 18 + 2 * width], "big"))
