"""Lets in who gives a known name and password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edgeproxy.config.fields import OwnField
from edgeproxy.config.units import Duration, Rate, RateValue
from edgeproxy.config.values import File
from edgeproxy.config.watch import Watch
from edgeproxy.http.message import Response
from edgeproxy.identity.basic import BasicCheck
from edgeproxy.identity.files import Kept
from edgeproxy.identity.passwords import Hash, parse_hash, parse_name, parse_users
from edgeproxy.identity.refusals import Failures, Refusals
from edgeproxy.limits.gcra import Limiter
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services


def _hash(value: SecretStr) -> SecretStr:
    parse_hash(value.get_secret_value())
    return value


UserName = Annotated[str, AfterValidator(parse_name)]
StoredHash = Annotated[SecretStr, AfterValidator(_hash)]


class BasicAuth(Middleware):
    """Demand a name and a password (RFC 7617). Use it over https: they come with every request as they are.

    Passwords are hashed slowly (scrypt, bcrypt) and verified on threads; what passed is remembered, so that a quarter
    of a second is paid once, not for each request. Whoever passes is `identity` for limits and logs. Answers to them
    are kept, for all who may pass, only if the origin says that they may be shared (`public`, `s-maxage`; RFC 9111
    §3.5), and the check comes before every hit.
    """

    name = "basic_auth"

    class Config(MiddlewareConfig):
        passwords: dict[UserName, StoredHash] = Field(default={})
        """Names and hashes: `alice: "$scrypt$…"`, as `edgeproxy password hash` prints them, or bcrypt's `$2y$…`."""

        users_file: File | None = None
        """File of lines `NAME:HASH`, as `htpasswd -B` writes it. Read again when it changes; a broken one changes
        nothing."""

        hide: bool = True
        """Take the Authorization field out of the request before the cache and the origin see it."""

        pass_: OwnField | None = Field(default=None, alias="pass")
        """Field in which the origin is told the name: `x-user`. What clients send there is removed."""

        optional: bool = False
        """Let requests without Basic credentials pass, as nobody. Wrong ones are refused all the same."""

        realm: str = Field(default="edge", pattern=r"^[A-Za-z0-9 ._:/-]{1,64}$")
        """The realm told in WWW-Authenticate; browsers show it, and keep passwords apart by it."""

        remember: Duration = Field(default=900, ge=1, le=86400)
        """For how long what passed is not verified again: 1s to 1d. A change of `users_file` ends it."""

        concurrency: int = Field(default=2, ge=1, le=64)
        """How many passwords a worker verifies at once, 16 MB and a thread each; eight times as many may wait, the
        rest get 503."""

        failures: Rate = RateValue(30, 60)
        """How many wrong passwords one client network (an address, an IPv6 /64) may give, before what it has not
        passed with already is answered 429: `30/m`."""

        user_failures: Rate = RateValue(60, 60)
        """The same for one name, from everywhere. Who guesses at a name can keep its owner from signing in anew, but
        not who passed within `remember`."""

        @model_validator(mode="after")
        def _has_users(self) -> Self:
            if not self.passwords and self.users_file is None:
                raise ValueError("give passwords, users_file or both; `edgeproxy password hash` makes a hash")
            return self

    request: Callable[[Exchange], Response | Awaitable[Response | None] | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._check = BasicCheck(
            config.concurrency,
            config.remember,
            (config.pass_ or "").encode(),
            Refusals(partial(refused.inc, self.name), f'Basic realm="{config.realm}", charset="UTF-8"'.encode()),
            Failures(_limiter(config.failures)),
            _limiter(config.user_failures),
            services.clock.monotonic,
            hide=config.hide and config.mode == "enforce",
            optional=config.optional,
        )
        self.request = self._check.check
        self._own = {name.encode(): parse_hash(value.get_secret_value()) for name, value in config.passwords.items()}
        self._file: Kept[dict[bytes, Hash]] | None = None
        if config.users_file is None:
            self._use({})
        else:
            watch = Watch([config.users_file])  # before it is read: what is written meanwhile is a change
            self._file = Kept(config.users_file, lambda text: parse_users(text.splitlines()), self._use, watch.run)

    async def start(self) -> None:
        if self._file is not None:
            await self._file.start()

    async def stop(self) -> None:
        self._check.stop()
        if self._file is not None:
            await self._file.stop()

    def _use(self, users: dict[bytes, Hash]) -> None:
        self._check.use(users | self._own)


def _limiter(rate: RateValue) -> Limiter:
    return Limiter(rate.period / rate.count, max(1, rate.count), 50_000)
