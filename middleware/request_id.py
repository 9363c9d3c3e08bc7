"""Names every request."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.ids import RequestIds
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services


class RequestId(Middleware):
    """Give every request an id of 32 lower-case hex digits, for the log, the origin and the answer (`X-Request-Id`).

    The first 20 digits are random for each start of a worker, the last 12 count. Ids are unique, not secret.
    """

    name = "request_id"

    class Config(MiddlewareConfig):
        trust: bool = False
        """Keep the client's own `X-Request-Id` if it is 1 to 128 letters, digits, dots, underscores and hyphens.
        For listeners that only other proxies reach: anyone else could make two requests look like one."""

        reply: bool = True
        """Tell the client the id."""

    request: Callable[[Exchange], None]
    response: Callable[[Exchange, Response], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        ids = RequestIds(secrets.token_hex(10).encode(), trust=config.trust)
        self.request = ids.stamp
        self.response = ids.tell
        self._reply = config.reply

    def uses(self, phase: str) -> bool:
        return phase != "response" or self._reply
