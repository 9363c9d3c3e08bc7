"""Lets in who bears a valid token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from edgeproxy.config.fields import EditableField
from edgeproxy.config.units import Duration, Rate, RateValue
from edgeproxy.config.values import Many
from edgeproxy.http.message import Response
from edgeproxy.identity.refusals import Failures, Refusals
from edgeproxy.jose.gate import Gate
from edgeproxy.jose.places import KINDS, Places, keep_private
from edgeproxy.jose.rules import Rule
from edgeproxy.jose.settings import IssuerSettings
from edgeproxy.limits.gcra import Limiter
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.later import Later
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services, Verdict

MOST_WAITING: Final = 4096
_SOON: Final = 5.0  # seconds


def _place(text: str) -> str:
    kind, colon, name = text.partition(":")
    if kind not in KINDS or bool(name) is (kind == "bearer") or bool(colon) is not bool(name):
        raise ValueError(f"{text!r} is no place for a token; known are bearer, header:NAME, cookie:NAME, query:NAME")
    return kind + colon + (name.lower() if kind == "header" else name)


def _settable(name: str) -> str:
    if name in ("authorization", "cookie"):
        raise ValueError(f"{name} is where tokens come from; choose a field of your own, like x-user")
    return name


class Jwt(Middleware):
    """Demand a JSON Web Token (RFC 7519, RFC 8725) signed with a secret, with keys in a file, or with an issuer's key
    set, which is fetched, refreshed and kept while the issuer is away.

    Keys are bound to their own family of algorithms, so a token cannot choose how it is verified, and each issuer's
    verify its own tokens alone. Tokens of another `typ` than `JWT` and `at+jwt` are refused: what is meant for
    something else is no pass. A token is verified once and remembered until it expires; one whose key is not known yet
    waits for a newer set. 401 and 403 say why (RFC 6750); 503 means that the keys to judge by cannot be had now.
    """

    name = "jwt"

    class Config(IssuerSettings, MiddlewareConfig):
        issuers: tuple[IssuerSettings, ...] = Field(default=(), max_length=64)
        """Several issuers, each with its own `issuer` and its own `secret`, `keys`, `keys_file` or `jwks_url`,
        `audience`, `algorithms`, `require`…, in place of these settings of one. `require` beside it is for all."""

        leeway: Duration = Field(default=30, ge=0, le=300)
        """How far the issuer's clock may be off, for `exp` and `nbf`: 0s to 5m."""

        expiry_required: bool = True
        """Refuse tokens without `exp`."""

        token: Annotated[tuple[Annotated[str, AfterValidator(_place)], ...], Many] = ("bearer",)
        """Where the token is looked for, in order: `bearer` (the Authorization field), `header:NAME` (with or without
        `Bearer`), `cookie:NAME`, `query:NAME`. From a query it is taken out: neither the cache's key nor the origin nor
        a log has it, and the answer is marked `private` (RFC 6750 §2.3). Links get about; use it where nothing else
        can be."""

        optional: bool = False
        """Let requests without a token pass, as nobody. A bad token is refused all the same."""

        pass_: dict[str, Annotated[EditableField, AfterValidator(_settable)]] = Field(default={}, alias="pass")
        """Claims handed to the origin, and in which field: `sub: x-user`. What clients send under these names is
        removed. Text, numbers, booleans and lists of text (joined by commas); what cannot stand in a field unchanged
        is left out."""

        realm: str = Field(default="edge", pattern=r"^[A-Za-z0-9 ._:/-]{1,64}$")
        """The realm told in WWW-Authenticate."""

        failures: Rate = RateValue(60, 60)
        """How many bad tokens one client network (an address, an IPv6 /64) may show, before its unseen tokens are
        answered 429 without a look: `60/m`. A signature costs far more to check than to invent."""

        wait: Duration = Field(default=10, ge=0.1, le=60)
        """How long a token whose key is not known waits for a newer key set: 100ms to 1m."""

        def _check(self) -> None:
            if not self.issuers:
                super()._check()
                return
            alone = self.model_fields_set & set(IssuerSettings.model_fields) - {"require"}
            if alone:
                raise ValueError(f"with issuers, {min(alone)} belongs into each of them")
            names = [name for issuer in self.issuers for name in issuer.issuer]
            if not all(issuer.issuer for issuer in self.issuers) or len(set(names)) != len(names):
                raise ValueError("each of issuers needs an issuer of its own: by it their tokens are told apart")

    request: Callable[[Exchange], Verdict | Awaitable[Verdict]]
    response: Callable[[Exchange, Response], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        # Late: it imports cryptography, which takes a tenth of a second, needed only where the stage is used.
        from edgeproxy.jose.token import Expectations, TokenError, UnknownKeyError
        from edgeproxy.jose.verifier import Issuer, NoKeysError, Verifier

        self._no_keys, self._token_error, self._unknown_key = NoKeysError, TokenError, UnknownKeyError
        issuers = [
            Issuer(
                one.source(services),
                Expectations(
                    one.accepted(),
                    frozenset(one.issuer),
                    frozenset(one.audience),
                    config.leeway,
                    config.expiry_required,
                ),
                (config.rules() if config.issuers else ()) + one.rules(),
            )
            for one in config.issuers or (config,)
        ]
        self._verifier = Verifier(issuers, config.pass_, services.clock.wall)
        places, owned = Places(config.token), frozenset(name.encode() for name in config.pass_.values())
        wall, verified = services.clock.wall, self._verifier.verified
        self._gate = Gate(places, owned, verified, wall, self._unseen, self._insufficient)
        self.request = self._gate.check
        if places.parameters:
            self.response = keep_private
        refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._refusals = Refusals(lambda: refused.inc(self.name))
        allowed = config.failures
        self._failures = Failures(Limiter(allowed.period / allowed.count, max(1, allowed.count), 50_000))
        self._waiting = 0

    async def start(self) -> None:
        await asyncio.gather(*(issuer.source.start(patience=1.0) for issuer in self._verifier.issuers))

    async def stop(self) -> None:
        await asyncio.gather(*(issuer.source.stop() for issuer in self._verifier.issuers))

    def _unseen(self, x: Exchange, token: bytes | None) -> Verdict | Awaitable[Verdict]:
        if token is None:
            return None if self.config.optional else self._challenge(401, "A token is needed.")
        if wait := self._failures.wait(x):
            return self._refusals.later(429, "Too many bad tokens.", wait)
        try:
            return self._gate.admit(x, self._verifier.accept(token))
        except (self._no_keys, self._unknown_key) as error:
            if not self._verifier.renews(token):
                return self._invalid(x, error)
            if self._waiting >= MOST_WAITING:
                return self._refusals.later(503, "Too many tokens wait for their keys.", _SOON)
            return Later(partial(self._settled, x, token))
        except self._token_error as error:
            return self._invalid(x, error)

    async def _settled(self, x: Exchange, token: bytes) -> Response | None:
        """The verdict on a token whose key may be in a newer set."""
        self._waiting += 1
        try:
            async with asyncio.timeout(self.config.wait):
                accepted = await self._verifier.settle(token)
        except (self._no_keys, self._token_error, TimeoutError) as error:
            return self._invalid(x, error)
        finally:
            self._waiting -= 1
        return self._gate.admit(x, accepted)

    def _invalid(self, x: Exchange, error: Exception) -> Response:
        if not isinstance(error, self._token_error):  # ours to mend
            return self._refusals.later(503, "The keys to check this token with are not here now.", _SOON)
        self._failures.count(x)
        return self._challenge(401, f"{error}.", f', error="invalid_token", error_description="{error}"')

    def _insufficient(self, rule: Rule) -> Response:
        scope = f', scope="{rule.scope}"' if rule.scope else ""
        return self._challenge(403, "The token does not allow this.", f', error="insufficient_scope"{scope}')

    def _challenge(self, status: int, why: str, parameters: str = "") -> Response:
        response = self._refusals.refuse(status, why)
        response.own[b"www-authenticate"] = f'Bearer realm="{self.config.realm}"{parameters}'.encode()
        return response
