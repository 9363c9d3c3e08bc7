"""Request ids: made, taken over, told."""

from __future__ import annotations

import re
from typing import Final

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange

FIELD: Final = b"x-request-id"

_ACCEPTABLE: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch
_BLOCK: Final = 16**3
_LAST_DIGITS: Final[list[bytes]] = [b"%03x" % number for number in range(_BLOCK)]


class RequestIds:
    """``prefix`` are the 20 hex digits every id begins with; ``trust``: a client's own id is kept if it is fit."""

    def __init__(self, prefix: bytes, *, trust: bool) -> None:
        self._prefix = prefix
        self._trust = trust
        self._blocks = 0
        self._leading = b""  # what the ids of this block begin with: a new id is one concatenation
        self._number = _BLOCK

    def stamp(self, x: Exchange) -> None:
        """Give the exchange an id, and tell the origin."""
        headers = x.request.headers
        if self._trust:
            sent = headers.get(FIELD)
            if sent is not None and _ACCEPTABLE(sent):
                x.id = sent
                return
        x.id = headers[FIELD] = self._next()

    def tell(self, x: Exchange, response: Response) -> None:
        """Tell the client."""
        response.set(FIELD, x.id)

    def _next(self) -> bytes:
        if self._number == _BLOCK:
            self._leading = self._prefix + b"%09x" % self._blocks
            self._blocks += 1
            self._number = 0
        last = _LAST_DIGITS[self._number]
        self._number += 1
        return self._leading + last
