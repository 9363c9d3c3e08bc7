"""Names every request."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from itertools import chain, count

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

_FIELD = b"x-request-id"
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch
_LAST_DIGITS = [b"%03x" % number for number in range(16**3)]


class RequestId(Middleware):
    """Give every request an id of 32 lower-case hex digits, for the log, the origin and the answer (`X-Request-Id`).

    The first 20 digits are random for each start of a worker, the last 12 count. Ids are unique, not secret.
    """

    name = "request_id"
    default_on = True

    class Config(MiddlewareConfig):
        trust: bool = False
        """Keep the client's own `X-Request-Id` if it is 1 to 128 letters, digits, dots, underscores and hyphens.
        For listeners that only other proxies reach: anyone else could make two requests look like one."""

        reply: bool = True
        """Tell the client the id."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._next = _ids(secrets.token_hex(10).encode()).__next__
        self._trust = config.trust
        self._reply = config.reply

    def uses(self, phase: str) -> bool:
        return phase != "response" or self._reply

    def request(self, x: Exchange) -> None:
        headers = x.request.headers
        if self._trust and (sent := headers.get(_FIELD)) is not None and _ACCEPTABLE(sent):
            x.id = sent
        else:
            x.id = headers[_FIELD] = self._next()

    def response(self, x: Exchange, response: Response) -> None:
        response.set(_FIELD, x.id)


def _ids(prefix: bytes) -> Iterator[bytes]:
    """Made 4096 at a time from one block of leading digits: a new id is one concatenation."""
    blocks = (prefix + b"%09x" % block for block in count())
    return chain.from_iterable(map(block.__add__, _LAST_DIGITS) for block in blocks)
