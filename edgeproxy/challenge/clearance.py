"""What a visitor who was challenged bears afterwards: a signed cookie that says until when, and how hard it was.

A clearance is ``1.EXPIRES.LEVEL.SIGNATURE``: seconds since 1970, the bits of the puzzle it was given for, and an
HMAC-SHA256 over both and over the network and agent it was given to, in base64url. It names nobody, and elsewhere it is
worth nothing.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from typing import Final

from edgeproxy.http.headers import Headers
from edgeproxy.pipeline.memo import Memo

_CLEARANCE: Final = re.compile(rb"1\.(\d{1,11})\.(\d{1,2})\.([A-Za-z0-9_-]{43})")
_KNOWN: Final = 16_384


class Grant:
    """What a cookie is worth: ``level`` until ``expires``."""

    __slots__ = ("expires", "level")

    def __init__(self, expires: int, level: int) -> None:
        self.expires = expires
        self.level = level


_NOTHING: Final = Grant(0, -1)


class Clearances:
    """Made and verified with a key of their own, out of ``secret``. What was verified is remembered, good or bad."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"edgeproxy challenge: clearance", "sha256")
        self._grants: Memo[bytes, Grant] = Memo(self._verify, _KNOWN)

    def make(self, expires: int, level: int, who: bytes) -> bytes:
        """A cookie's value for ``who``, the network and agent it will be accepted from."""
        head = b"1.%d.%d" % (expires, level)
        return head + b"." + self._sign(head, who)

    def level(self, value: bytes, who: bytes, now: float) -> int:
        """The level a cookie's value clears ``who`` for; -1 if it does not."""
        grant = self._grants[value + b"\0" + who]
        return grant.level if grant.expires > now else -1

    def _verify(self, shown: bytes) -> Grant:
        value, _, who = shown.partition(b"\0")
        match = _CLEARANCE.fullmatch(value)
        if match is None:
            return _NOTHING
        signature = self._sign(b"1.%b.%b" % (match[1], match[2]), who)
        return Grant(int(match[1]), int(match[2])) if hmac.compare_digest(match[3], signature) else _NOTHING

    def _sign(self, head: bytes, who: bytes) -> bytes:
        return urlsafe_b64encode(hmac.digest(self._key, head + b"\0" + who, "sha256")).rstrip(b"=")


def said_expiry(value: bytes) -> int:
    """Until when a cookie says it holds, whether that is so or not; 0 if it says nothing."""
    match = _CLEARANCE.fullmatch(value)
    return 0 if match is None else int(match[1])


def take_out(headers: Headers, name: bytes) -> bytes | None:
    """Take the cookies of that name out of a request's fields; the first one's value."""
    value: bytes | None = None
    kept: list[bytes] = []
    for pair in headers[b"cookie"].split(b";"):
        key, equals, told = pair.strip(b" \t").partition(b"=")
        if not equals or key != name:
            kept.append(pair)
        elif value is None:
            value = told
    if value is None:
        return None
    if kept:
        headers[b"cookie"] = b";".join(kept).strip(b" \t")
    else:
        del headers[b"cookie"]
    return value
