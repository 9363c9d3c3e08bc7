"""Lets in who has a URL that was signed and has not expired."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edgeproxy.config.units import Duration
from edgeproxy.config.values import Many, Method, Name
from edgeproxy.http.headers import members
from edgeproxy.http.message import Response
from edgeproxy.identity.refusals import Refusals
from edgeproxy.identity.urls import SHORTEST, Names, UrlCheck
from edgeproxy.pipeline.callers import Networks
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

Parameter = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]{1,64}$")]
Pattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]{1,64}\*?$")]


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < SHORTEST:
        raise ValueError(f"a secret has at least {SHORTEST} bytes: `openssl rand -hex 32` makes one")
    return value


class SignedUrl(Middleware):
    """Let in who has a URL with a valid signature (HMAC-SHA256), until it expires: 403 with the reason otherwise.
    `edgeproxy sign URL --expires 1h` makes one; `docs/signed-urls.md` says how any language does.

    A signature is for one URL, or for a folder and all below it, where players ask for many files. It is taken out
    before the cache and the origin see the request, so what is kept is one copy for all who hold a link. The answer's
    own Cache-Control goes on to the client: a shared cache behind the edge may hold what a link shows for so long
    after it expired, as with other makers' signed URLs; `downstream: private` prevents that.
    """

    name = "signed_url"

    class Config(MiddlewareConfig):
        secrets: dict[Name, Annotated[SecretStr, AfterValidator(_long)]] = Field(min_length=1)
        """Secrets by their ids, of 32 bytes or more: `2027a: ${URL_KEY}`. To change one, add the new one, sign with it,
        and take the old one out when its last link has expired."""

        expires_parameter: Parameter = "expires"
        """Name of the parameter with the moment it expires, in Unix seconds."""

        key_parameter: Parameter = "keyid"
        """Name of the parameter with the id of the key it was signed with."""

        signature_parameter: Parameter = "signature"
        """Name of the parameter with the signature."""

        folder_parameter: Parameter = "folder"
        """Name of the parameter with the folder a signature is for, if it is for one: `/video/42/`."""

        cookie: Parameter | None = None
        """Cookie that may hold these parameters instead of the query, written as there."""

        unsigned: Annotated[tuple[Pattern, ...], Many] = ()
        """Parameters that clients may add or change, `*` at the end for any rest: `[utm_*]`. All others are signed."""

        methods: Annotated[tuple[Method, ...], Many] = ("GET", "HEAD")
        """Methods a signed URL is good for."""

        client: bool = False
        """Whether a URL is for one client network, which is signed with it."""

        ipv4_prefix: int = Field(default=32, ge=8, le=32)
        """Bits of an IPv4 address that make up the client's network."""

        ipv6_prefix: int = Field(default=64, ge=16, le=128)
        """Bits of an IPv6 address that make up the client's network."""

        leeway: Duration = Field(default=5, ge=0, le=300)
        """How far the signer's clock may be behind: 0s to 5m."""

        downstream: Literal["keep", "private"] = "keep"
        """`private` marks answers so that no shared cache behind the edge keeps them: at some cost for each hit."""

        @model_validator(mode="after")
        def _told_apart(self) -> Self:
            names = self.names().all
            if len(set(names)) < len(names):
                raise ValueError("the four parameters have four names")
            return self

        def names(self) -> Names:
            """The parameters' names."""
            return Names(self.expires_parameter, self.key_parameter, self.signature_parameter, self.folder_parameter)

    request: Callable[[Exchange], Response | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self.request = UrlCheck(
            {key_id: secret.get_secret_value().encode() for key_id, secret in config.secrets.items()},
            config.names(),
            config.unsigned,
            (config.cookie or "").encode(),
            frozenset(method.encode() for method in config.methods),
            Networks(config.ipv4_prefix, config.ipv6_prefix) if config.client else None,
            config.leeway,
            Refusals(partial(refused.inc, self.name)),
            services.clock.wall,
            hide=config.mode == "enforce",
        ).check
        self._private = config.downstream == "private"

    def uses(self, phase: str) -> bool:
        return phase != "response" or self._private

    def response(self, x: Exchange, response: Response) -> None:
        response.set(b"cache-control", private(response.get(b"cache-control") or b""))
        response.drop(b"cdn-cache-control")


def private(told: bytes) -> bytes:
    """Cache-Control that lets the client alone keep an answer (RFC 9111 §5.2.2.7)."""
    shared = (b"public", b"private", b"s-maxage", b"proxy-revalidate")
    kept = [one for one in members(told) if one.partition(b"=")[0].strip().lower() not in shared]
    return b", ".join([b"private", *kept])
