"""Tells browsers, crawlers and tools apart by what they say and how they say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgeproxy.config.values import Many
from edgeproxy.http.message import Response
from edgeproxy.pipeline.agents import CRAWLERS, TOOLS, Agents
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

Class = Literal["browser", "crawler", "tool", "suspect"]


def _known(name: str) -> str:
    if name.lower() not in CRAWLERS + TOOLS:
        raise ValueError(f"{name!r} is no known agent; known are {', '.join(sorted(CRAWLERS + TOOLS))}")
    return name.lower()


class BotCheck(Middleware):
    """Class every request as `browser`, `crawler`, `tool`, `suspect` or nothing known, for the log and other stages;
    refuse the classes you name.

    `suspect` is an empty or endless agent, and a browser's agent without the fields that browser always sends. Names
    are taken at their word: whoever calls itself Googlebot is a crawler here, its address is not verified.
    """

    name = "bot_check"
    default_on = True

    class Config(MiddlewareConfig):
        deny: Annotated[tuple[Class, ...], Many] = ()
        """Classes that get 403. `/robots.txt` stays open, so that crawlers can learn that they are not welcome."""

        welcome: Annotated[tuple[Annotated[str, AfterValidator(_known)], ...], Many] = ()
        """Crawlers and tools let in although their class is denied, by name: `googlebot`, `curl`."""

        signs: int = Field(default=2, ge=1, le=3)
        """How many of a browser's usual fields must be missing (Accept-Language, Accept-Encoding, and over https
        Sec-Fetch-Site from Chrome) to make it `suspect`. 1 also catches privacy tools that strip one."""

    request: Callable[[Exchange], Response | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self.request = Agents(config.signs, frozenset(config.deny), frozenset(config.welcome), self._refuse).check

    def _refuse(self) -> Response:
        self._refused.inc(self.name)
        headers = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}
        return Response(403, headers, b"403 Automated requests are not served here.\n")
