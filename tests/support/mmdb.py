"""MMDB files (MaxMind DB File Format Specification 2.0), written as small as tests need them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"
EMPTY = -1
UINT16, UINT32, UINT64 = 5, 6, 9
# The metadata's numbers have kinds of their own.
KINDS = {
    **dict.fromkeys(
        ("binary_format_major_version", "binary_format_minor_version", "ip_version", "record_size"), UINT16
    ),
    "node_count": UINT32,
    "build_epoch": UINT64,
}


def mmdb(networks: Mapping[str, Any], *, bits: int = 24, version: int = 6, **metadata: Any) -> bytes:
    """A file that says these records of these networks, which must not overlap. IPv4 stands at
    ``::/96``. Text that comes again is a pointer."""
    data = _Data()
    tree: list[list[int]] = [[EMPTY, EMPTY]]
    leaves: dict[int, int] = {}
    for text, record in networks.items():
        place = data.put(record)
        path = _bits(text, version)
        node = 0
        for bit in path[:-1]:
            if tree[node][bit] == EMPTY:
                tree.append([EMPTY, EMPTY])
                tree[node][bit] = len(tree) - 1
            node = tree[node][bit]
        tree[node][path[-1]] = -2 - len(leaves)
        leaves[-2 - len(leaves)] = place
    count = len(tree)
    known = {EMPTY: count, **{leaf: count + 16 + place for leaf, place in leaves.items()}}
    nodes = b"".join(_node([known.get(record, record) for record in node], bits) for node in tree)
    about = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_800_000_000,
        "database_type": "Test",
        "description": {"en": "For tests"},
        "ip_version": version,
        "languages": ["en"],
        "node_count": count,
        "record_size": bits,
        **metadata,
    }
    return nodes + bytes(16) + data.content + MARKER + _Data(pointers=False).encode(about)


def country(code: str) -> dict[str, Any]:
    """A record as MaxMind has it."""
    return {"country": {"iso_code": code, "names": {"en": f"Country {code}"}}}


def network(number: int, organisation: str) -> dict[str, Any]:
    return {"autonomous_system_number": number, "autonomous_system_organization": organisation}


class _Data:
    def __init__(self, *, pointers: bool = True) -> None:
        self.content = b""
        self._pointers = pointers
        self._places: dict[str, int] = {}

    def put(self, value: Any) -> int:
        place = len(self.content)
        self.content += self.encode(value, place)
        return place

    def encode(self, value: Any, place: int = 0) -> bytes:
        match value:
            case bool():
                return _control(14, int(value))
            case str():
                return self._text(value, place)
            case int():
                return _number(UINT32 if value < 2**32 else UINT64, value)
            case float():
                return _control(3, 8) + struct.pack(">d", value)
            case dict():
                out = _control(7, len(value))
                for key, item in value.items():
                    out += self._text(key, place + len(out))
                    if key in KINDS and isinstance(item, int):
                        out += _number(KINDS[key], item)
                    else:
                        out += self.encode(item, place + len(out))
                return out
            case list():
                out = _control(11, len(value))
                for item in value:
                    out += self.encode(item, place + len(out))
                return out
        raise TypeError(value)

    def _text(self, text: str, place: int) -> bytes:
        if text in self._places and self._pointers:
            target = self._places[text]
            if target < 2048:
                return bytes([1 << 5 | target >> 8, target & 255])
            return bytes([1 << 5 | 1 << 3 | (target - 2048) >> 16]) + ((target - 2048) & 0xFFFF).to_bytes(2, "big")
        self._places[text] = place
        encoded = text.encode()
        return _control(2, len(encoded)) + encoded


def _number(kind: int, value: int) -> bytes:
    size = (value.bit_length() + 7) // 8
    return _control(kind, size) + value.to_bytes(size, "big")


def _control(kind: int, size: int) -> bytes:
    tail = b""
    if size >= 285:
        size, tail = 30, (size - 285).to_bytes(2, "big")
    elif size >= 29:
        size, tail = 29, bytes([size - 29])
    head = bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
    return head + tail


def _bits(text: str, version: int) -> list[int]:
    block = ipaddress.ip_network(text)
    width, prefix = (
        (32, block.prefixlen) if version == 4 else (128, block.prefixlen + (96 if block.version == 4 else 0))
    )
    return [int(block.network_address) >> (width - 1 - place) & 1 for place in range(prefix)]


def _node(records: list[int], bits: int) -> bytes:
    left, right = records
    if bits == 28:
        middle = (left >> 24) << 4 | right >> 24
        return (left & 0xFFFFFF).to_bytes(3, "big") + bytes([middle]) + (right & 0xFFFFFF).to_bytes(3, "big")
    return left.to_bytes(bits // 8, "big") + right.to_bytes(bits // 8, "big")
