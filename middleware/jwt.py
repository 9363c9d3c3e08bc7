"""Lets in who bears a valid token."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from edgeproxy.config.fields import EditableField
from edgeproxy.config.units import Duration, Rate, RateValue
from edgeproxy.config.values import Many
from edgeproxy.http.addresses import network
from edgeproxy.http.cookies import cookie
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response
from edgeproxy.jose.settings import KeySettings
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.gcra import Limiter
from edgeproxy.pipeline.middleware import Middleware, Services

if TYPE_CHECKING:  # it imports cryptography, which takes a tenth of a second: only where the stage is used
    from edgeproxy.jose.token import TokenError


def _source(text: str) -> str:
    if text != "bearer" and not (text.startswith("cookie:") and len(text) > len("cookie:")):
        raise ValueError(f"{text!r} is no place for a token; known are bearer and cookie:NAME")
    return text


def _settable(name: str) -> str:
    if name in ("authorization", "cookie"):
        raise ValueError(f"{name} is where tokens come from; choose a field of your own, like x-user")
    return name


class Jwt(Middleware):
    """Demand a JSON Web Token (RFC 7519, RFC 8725) signed with a secret, with keys in a file, or with an issuer's key
    set, which is fetched, refreshed and kept while the issuer is away.

    Keys are bound to their own family of algorithms, so a token cannot choose how it is verified. A token is verified
    once and remembered until it expires. 401 and 403 say why (RFC 6750); 503 means that no key set could be had yet.
    """

    name = "jwt"

    class Config(KeySettings):
        issuer: Annotated[tuple[str, ...], Many] = ()
        """Accepted `iss`; not given: any."""

        audience: Annotated[tuple[str, ...], Many] = ()
        """Accepted `aud`; not given: any. Give it where the issuer serves other services too."""

        leeway: Duration = Field(default=30, ge=0, le=300)
        """How far the issuer's clock may be off, for `exp` and `nbf`: 0s to 5m."""

        expiry_required: bool = True
        """Refuse tokens without `exp`."""

        token: Annotated[tuple[Annotated[str, AfterValidator(_source)], ...], Many] = ("bearer",)
        """Where the token is looked for, in order: `bearer` (the Authorization field), `cookie:NAME`."""

        optional: bool = False
        """Let requests without a token pass, as nobody. A bad token is refused all the same."""

        require: dict[str, Annotated[tuple[str | int | bool, ...], Many]] = Field(default={})
        """Claims that must have (or, being lists, contain) one of these values, else 403: `role: [admin]`.
        `realm_access.roles` reaches into objects; `scope` is taken as a list of words."""

        pass_: dict[str, Annotated[EditableField, AfterValidator(_settable)]] = Field(default={}, alias="pass")
        """Claims handed to the origin, and in which field: `sub: x-user`. What clients send under these names is
        removed. Text, numbers, booleans and lists of text (joined by commas); what cannot stand in a field unchanged
        is left out."""

        realm: str = Field(default="edge", pattern=r"^[A-Za-z0-9 ._:/-]{1,64}$")
        """The realm told in WWW-Authenticate."""

        failures: Rate = RateValue(60, 60)
        """How many bad tokens one client network (an address, an IPv6 /64) may show, before its unseen tokens are
        answered 429 without a look: `60/m`. A signature costs far more to check than to invent."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        from edgeproxy.jose.token import Expectations, TokenError, UnknownKeyError
        from edgeproxy.jose.verifier import NoKeysError, Verifier

        self._no_keys, self._token_error, self._unknown_key = NoKeysError, TokenError, UnknownKeyError
        expected = Expectations(
            algorithms=config.accepted(),
            issuers=frozenset(config.issuer),
            audiences=frozenset(config.audience),
            leeway=config.leeway,
            expiry_required=config.expiry_required,
        )
        source = config.source(services)
        self._verifier = Verifier(source, expected, config.require, config.pass_, services.clock.wall)
        self._cookies = [None if one == "bearer" else one.partition(":")[2].encode() for one in config.token]
        self._owned = frozenset(name.encode() for name in config.pass_.values())
        self._bad = Limiter(config.failures.period / config.failures.count, max(1, config.failures.count), 50_000)
        self._refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))

    async def start(self) -> None:
        await self._verifier.source.start(patience=1.0)

    async def stop(self) -> None:
        await self._verifier.source.stop()

    def request(self, x: Exchange) -> Response | None:
        headers = x.request.headers
        if self._owned:
            self._disown(headers)
        token = self._find(headers)
        if token is None:
            return None if self.config.optional else self._refuse(401, "A token is needed.", self._challenge())
        if not self._verifier.remembers(token) and (wait := self._bad.wait(_network(x.client), x.started)):
            return self._refuse(429, "Too many bad tokens.", (b"retry-after", b"%d" % ceil(wait)))
        try:
            accepted = self._verifier.accept(token)
        except self._no_keys:
            return self._refuse(503, "The keys to check tokens with are not here yet.", (b"retry-after", b"5"))
        except self._token_error as error:
            return self._invalid(x, error)
        if accepted.lacking is not None:
            return self._insufficient(accepted.lacking)
        x.claims = accepted.claims
        for name, value in accepted.fields:
            headers[name] = value
        return None

    def _find(self, headers: Headers) -> bytes | None:
        for name in self._cookies:
            if name is None:
                field = headers.get(b"authorization", b"")
                if field[:7].lower() == b"bearer ":  # RFC 9110 §11.1: schemes are case-insensitive
                    return field[7:].strip(b" ")
            elif (value := cookie(headers.get(b"cookie", b""), name)) is not None:
                return value
        return None

    def _disown(self, headers: Headers) -> None:
        """Remove what only we may say, also spelled with underscores: CGI and WSGI read both as one name."""
        for name in [name for name in headers if name.replace(b"_", b"-") in self._owned]:
            del headers[name]

    def _invalid(self, x: Exchange, error: TokenError) -> Response:
        if not isinstance(error, self._unknown_key):  # that took no signature check, and may be ours to mend
            self._bad.take(_network(x.client), x.started)
        return self._refuse(401, f"{error}.", self._challenge(f', error="invalid_token", error_description="{error}"'))

    def _insufficient(self, name: str) -> Response:
        scope = ""
        if name in ("scope", "scp"):
            scope = ', scope="' + " ".join(map(str, self.config.require[name])) + '"'
        return self._refuse(
            403, "The token does not allow this.", self._challenge(f', error="insufficient_scope"{scope}')
        )

    def _challenge(self, parameters: str = "") -> tuple[bytes, bytes]:
        return b"www-authenticate", f'Bearer realm="{self.config.realm}"{parameters}'.encode()

    def _refuse(self, status: int, text: str, field: tuple[bytes, bytes]) -> Response:
        self._refused.inc(self.name)
        headers = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store", field[0]: field[1]}
        return Response(status, headers, f"{status} {text}\n".encode())


def _network(client: str) -> str:
    return network(client, 32, 64)
