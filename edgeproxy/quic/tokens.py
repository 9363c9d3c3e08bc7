"""Retry tokens (RFC 9000 §8.1.2): a client that brings one back has the address it says it has.

Nothing is remembered for it. Each worker of the node takes any worker's tokens.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from hashlib import blake2s
from hmac import compare_digest
from typing import Final

LIFETIME: Final = 10  # seconds; a client answers a Retry at once (RFC 9000 §8.1.4)
_TIME: Final = 4
_MAC: Final = 16
_CID_MOST: Final = 20
_PURPOSE: Final = b"quicretr"

Address = tuple[str, int] | tuple[str, int, int, int]


class Tokens:
    """Makes and checks them. ``secret`` is the node's; ``wall`` tells seconds."""

    def __init__(self, secret: bytes, wall: Callable[[], float]) -> None:
        self._key = blake2s(secret, person=_PURPOSE).digest()
        self._wall = wall

    def make(self, address: Address, original: bytes, chosen: bytes) -> bytes:
        """For a client at ``address`` that sent its first packet to ``original``, and is to go on with ``chosen``."""
        until = int(self._wall() + LIFETIME).to_bytes(_TIME, "big")
        return until + self._mac(until, address, original, chosen) + original

    def check(self, token: bytes, address: Address, chosen: bytes) -> bytes | None:
        """The connection id of the client's first packet, None if the token is not for this client, or too old."""
        until, mac, original = token[:_TIME], token[_TIME : _TIME + _MAC], token[_TIME + _MAC :]
        if len(mac) < _MAC or len(original) > _CID_MOST:
            return None
        if not compare_digest(mac, self._mac(until, address, original, chosen)):
            return None
        return original if self._wall() <= int.from_bytes(until, "big") else None

    def _mac(self, until: bytes, address: Address, original: bytes, chosen: bytes) -> bytes:
        host = ipaddress.ip_address(address[0]).packed
        sizes = bytes((len(host), len(original), len(chosen)))
        told = b"".join((sizes, until, host, address[1].to_bytes(2, "big"), original, chosen))
        return blake2s(told, key=self._key, digest_size=_MAC).digest()

    def __repr__(self) -> str:
        return "<Tokens>"
