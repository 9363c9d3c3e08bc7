"""Lets in who bears a known API key."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from edgeproxy.config.fields import OwnField
from edgeproxy.config.units import Rate, RateValue
from edgeproxy.config.values import File, Many
from edgeproxy.config.watch import Watch
from edgeproxy.http.message import Response
from edgeproxy.identity.api_keys import ApiKey as Key
from edgeproxy.identity.api_keys import KeyCheck, parse_key, parse_keys
from edgeproxy.identity.files import Kept
from edgeproxy.identity.places import place
from edgeproxy.identity.refusals import Failures, Refusals
from edgeproxy.limits.gcra import Limiter
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

_NAMED = re.compile(r"[a-z]+:[A-Za-z0-9_.~-]{1,64}")


def _place(text: str) -> str:
    place(text if _NAMED.fullmatch(text) else text.partition(":")[0])
    return text


def _line(text: str) -> str:
    parse_key(text)
    return text


class ApiKey(Middleware):
    """Demand an API key: a long random text that names who calls. Only its SHA-256 is stored, as
    `edgeproxy key new NAME` prints it.

    Whoever passes is `identity` for limits and logs. Answers to them are kept, for all who may pass, only if the
    origin says that they may be shared (`public`, `s-maxage`; RFC 9111 §3.5), and the check comes before every hit.
    """

    name = "api_key"

    class Config(MiddlewareConfig):
        keys: Annotated[tuple[Annotated[str, AfterValidator(_line)], ...], Many] = ()
        """Keys, a line each: `NAME sha256:DIGEST scopes=orders:read,orders:write expires=2027-01-31`; the last two may
        be left out. One name may have several, so that keys can be changed without a gap."""

        keys_file: File | None = None
        """File with such lines; # begins a comment. Read again when it changes; a broken one changes nothing."""

        places: Annotated[tuple[Annotated[str, AfterValidator(_place)], ...], Many] = Field(
            default=("header:x-api-key",), min_length=1
        )
        """Where the key is looked for, in order: `header:NAME`, `authorization:bearer` (or another scheme),
        `query:NAME`, `cookie:NAME`. URLs end up in histories and logs: prefer a field."""

        hide: bool = True
        """Take the key out of the request before the cache and the origin see it. With false it stays in fields and
        cookies, and in the query it becomes part of cached URLs; the log masks only the names of `log.access.mask`."""

        require: Annotated[tuple[str, ...], Many] = ()
        """Scopes the key must have, all of them, else 403."""

        pass_: OwnField | None = Field(default=None, alias="pass")
        """Field in which the origin is told the key's name: `x-client`. What clients send there is removed."""

        optional: bool = False
        """Let requests without a key pass, as nobody. An unknown key is refused all the same."""

        realm: str = Field(default="edge", pattern=r"^[A-Za-z0-9 ._:/-]{1,64}$")
        """The realm told in WWW-Authenticate, where `places` has a scheme."""

        failures: Rate = RateValue(60, 60)
        """How many unknown keys one client network (an address, an IPv6 /64) may show, before they get 429: `60/m`."""

        @model_validator(mode="after")
        def _has_keys(self) -> Self:
            if not self.keys and self.keys_file is None:
                raise ValueError("give keys, keys_file or both; `edgeproxy key new NAME` makes one")
            parse_keys(self.keys)
            return self

    request: Callable[[Exchange], Response | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        scheme = next((one.partition(":")[2] for one in config.places if one.startswith("authorization:")), "")
        challenge = f'{scheme.capitalize()} realm="{config.realm}"' if scheme else ""
        refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        limiter = Limiter(config.failures.period / config.failures.count, max(1, config.failures.count), 50_000)
        self._check = KeyCheck(
            tuple(place(one) for one in config.places),
            frozenset(config.require),
            (config.pass_ or "").encode(),
            Refusals(partial(refused.inc, self.name), challenge.encode()),
            Failures(limiter),
            services.clock.wall,
            hide=config.hide and config.mode == "enforce",
            optional=config.optional,
        )
        self.request = self._check.check
        self._own = parse_keys(config.keys)
        self._file: Kept[dict[bytes, Key]] | None = None
        if config.keys_file is None:
            self._use({})
        else:
            watch = Watch([config.keys_file])  # before it is read: what is written meanwhile is a change
            self._file = Kept(config.keys_file, lambda text: parse_keys(text.splitlines()), self._use, watch.run)

    async def start(self) -> None:
        if self._file is not None:
            await self._file.start()

    async def stop(self) -> None:
        if self._file is not None:
            await self._file.stop()

    def _use(self, keys: dict[bytes, Key]) -> None:
        self._check.known = keys | self._own
