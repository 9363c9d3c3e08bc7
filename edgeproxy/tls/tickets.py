"""Keys of session tickets (RFC 5077, RFC 8446 §4.6.1): made from one secret and the time, so that all who have the
secret have the same keys without a word, and no key is used for long."""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Callable
from typing import Final

from edgeproxy.tls.openssl import KEY_BYTES, NAME_BYTES, Key, seal_tickets

PERIOD: Final = 12 * 3600.0  # seconds that a key seals
LIFETIME: Final = 2 * 3600.0  # seconds that a ticket is good for, which is libssl's default

# The periods whose keys open: this one, the last, and the next, for a node whose clock is ahead.
_NEAR: Final = (0, -1, 1)


class TicketKeys:
    """The keys of one listener. ``scope`` is what a session must not be carried across: two listeners that check
    clients differently have different keys, else a session begun at the lenient one would open the strict one."""

    def __init__(self, secret: bytes, scope: bytes, wall: Callable[[], float]) -> None:
        self._secret = secret
        self._scope = scope
        self._wall = wall
        self._period = -1
        self._keys: list[Key] = []
        self._given: tuple[ssl.SSLContext, int, bool] | None = None

    def replace(self, secret: bytes, scope: bytes) -> None:
        """Use another secret from now on; tickets sealed before are of no more use."""
        self._secret = secret
        self._scope = scope
        self._period = -1
        self._given = None

    def give(self, context: ssl.SSLContext) -> None:
        """Have a context use the keys of now; to be called again from time to time. While there are tickets that an
        earlier key has sealed, it is asked for them; later libssl does all by itself."""
        key = self.current()
        mixed = self._wall() % PERIOD < LIFETIME
        if self._given != (context, self._period, mixed):
            seal_tickets(context, key, self if mixed else None)
            self._given = context, self._period, mixed

    def current(self) -> Key:
        """The key that seals now."""
        return self._now()[0]

    def find(self, name: bytes) -> Key | None:
        """The key of that name, if it still opens."""
        for key in self._now():
            if hmac.compare_digest(key.name, name):
                return key
        return None

    def _now(self) -> list[Key]:
        period = int(self._wall() // PERIOD)
        if period != self._period:
            self._keys = [_derive(self._secret, self._scope, period + near) for near in _NEAR]
            self._period = period
        return self._keys

    def __repr__(self) -> str:
        return f"<TicketKeys of period {self._period}>"


def _derive(secret: bytes, scope: bytes, period: int) -> Key:
    """HKDF with SHA-256 (RFC 5869)."""
    pseudorandom = hmac.digest(b"edgeproxy session tickets", secret, "sha256")
    told = scope + b"%d" % period
    block, output = b"", b""
    for number in range(1, 4):
        block = hmac.digest(pseudorandom, block + told + bytes((number,)), "sha256")
        output += block
    rest = output[NAME_BYTES:]
    return Key(output[:NAME_BYTES], rest[:KEY_BYTES], rest[KEY_BYTES : 2 * KEY_BYTES])
