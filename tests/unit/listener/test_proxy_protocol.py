"""PROXY protocol headers, whole, in pieces, and wrong."""

from __future__ import annotations

import socket
import struct

import pytest

from edgeproxy.listener.proxy_protocol import V2_SIGNATURE, ProxyProtocolError, Told, parse

V1 = b"PROXY TCP4 198.51.100.9 192.0.2.1 56324 443\r\n"


def v2(command: int = 1, family: int = 0x11, addresses: bytes | None = None, more: bytes = b"") -> bytes:
    if addresses is None:
        addresses = socket.inet_aton("198.51.100.9") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 56324, 443)
    addresses += more
    return V2_SIGNATURE + bytes((0x20 | command, family)) + struct.pack("!H", len(addresses)) + addresses


V2_IPV6 = v2(
    family=0x21,
    addresses=socket.inet_pton(socket.AF_INET6, "2001:db8::9")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + struct.pack("!HH", 1, 2),
)


@pytest.mark.parametrize(
    ("header", "address", "port"),
    [
        (V1, "198.51.100.9", 56324),
        (b"PROXY TCP6 2001:DB8::9 2001:db8::1 1 2\r\n", "2001:db8::9", 1),
        (b"PROXY UNKNOWN\r\n", None, 0),
        (b"PROXY UNKNOWN ff:ff::ff ff::ff 65535 65535\r\n", None, 0),
        (v2(), "198.51.100.9", 56324),
        (V2_IPV6, "2001:db8::9", 1),
        (v2(more=b"\x03\x00\x04\x00\x00\x00\x00"), "198.51.100.9", 56324),  # with a TLV behind the addresses
        (v2(command=0, family=0, addresses=b""), None, 0),  # LOCAL: a balancer's own health check
        (v2(command=0), None, 0),
        (v2(family=0x31, addresses=bytes(216)), None, 0),  # Unix sockets
    ],
)
def test_the_client_is_told_and_what_follows_is_left(header: bytes, address: str | None, port: int) -> None:
    assert parse(header + b"GET / HTTP/1.1\r\n") == Told(len(header), address, port)


@pytest.mark.parametrize("header", [V1, v2(), V2_IPV6])
def test_a_header_in_pieces_is_waited_for(header: bytes) -> None:
    assert all(parse(header[:end]) is None for end in range(len(header)))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXX",
        b"proxy TCP4",
        b"\r\n\r\n\x00\r\nQUIX",
        b"PROXY TCP4 198.51.100.9 192.0.2.1 56324\r\n",
        b"PROXY TCP4 198.51.100.9 192.0.2.1 56324 443 9\r\n",
        b"PROXY TCP4  198.51.100.9 192.0.2.1 56324 443\r\n",
        b"PROXY TCP4 2001:db8::9 2001:db8::1 1 2\r\n",
        b"PROXY TCP4 a.example 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 198.51.100.9 nowhere 1 2\r\n",
        b"PROXY TCP4 198.51.100.9 192.0.2.1 65536 443\r\n",
        b"PROXY TCP4 198.51.100.9 192.0.2.1 +1 443\r\n",
        b"PROXY TCP4 198.51.100.9 192.0.2.1 1 \r\n",
        b"PROXY UDP4 198.51.100.9 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 " + b"1" * 107,  # no end within the longest line there is
        V2_SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),  # version 1 in a version 2 header
        V2_SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),  # an unknown command
        V2_SIGNATURE + b"\x21\x11\xff\xff",  # longer than anybody needs
        v2(addresses=bytes(11)),
        v2(family=0x21, addresses=bytes(35)),
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyProtocolError):
        parse(data)
