"""Finds out who the client is, and tells the origin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from edgeproxy.config.units import Cidr
from edgeproxy.config.values import Many
from edgeproxy.http.addresses import AddressSet
from edgeproxy.pipeline.callers import Callers
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services


class ClientAddress(Middleware):
    """Take the client's address and scheme from trusted proxies, drop forged ones, and write `X-Forwarded-For`,
    `-Proto` and `-Host` (and `Forwarded`, if asked to) for the origin.

    Without `trusted` the client is whoever holds the connection. With it, the chain is read from its right end and
    the first address that is not trusted is the client; an entry that is no address ends the search at the hop before.
    """

    name = "client_address"

    class Config(MiddlewareConfig):
        trusted: Annotated[tuple[Literal["unix"] | Cidr, ...], Many] = ()
        """Proxies that are believed: addresses, blocks, and `unix` for whoever connects to a Unix socket."""

        header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
        """The field in which trusted proxies name the client. Only this one is read; the other is dropped, since a
        proxy that does not write it passes on what the client wrote."""

        forwarded: bool = False
        """Also tell the origin in `Forwarded` (RFC 7239). It is told there anyway when that is the `header` read."""

    request: Callable[[Exchange], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        networks = AddressSet(block for block in config.trusted if not isinstance(block, str))
        forwarded = config.forwarded or config.header == "forwarded"
        callers = Callers(networks, config.header.encode(), unix="unix" in config.trusted, forwarded=forwarded)
        self.request = callers.identify
