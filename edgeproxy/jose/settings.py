"""Which keys a stage verifies with, as configuration says it, and the source they then come from.

``edgeproxy.jose`` imports cryptography, which takes a tenth of a second: here only where keys are read.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edgeproxy.config.units import Duration
from edgeproxy.config.values import File, Many
from edgeproxy.pipeline.middleware import MiddlewareConfig, Services

if TYPE_CHECKING:
    from edgeproxy.jose.keys import KeySet
    from edgeproxy.jose.refresh import KeySource

Shared = Literal["HS256", "HS384", "HS512"]
Public = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_SHARED: tuple[Shared, ...] = get_args(Shared)
_PUBLIC: tuple[Public, ...] = get_args(Public)


def _key_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in ("https", "http") or not url.hostname or "@" in url.netloc:
        raise ValueError(f"{text!r} is not a URL like https://issuer.example/.well-known/jwks.json")
    return text


class KeySettings(MiddlewareConfig):
    """Settings of a stage that verifies signatures: one of a secret, a file and an issuer's key set."""

    secret: SecretStr | None = None
    """Shared secret for HS256 (from 32 bytes), HS384 (48) or HS512 (64). Write it as `${NAME}`."""

    keys_file: File | None = None
    """File with public keys or certificates (PEM) or a JWK Set; read again every `refresh`."""

    jwks_url: Annotated[str, AfterValidator(_key_url)] | None = None
    """Where the issuer publishes its JWK Set. https, except on loopback."""

    allow_http: bool = False
    """Accept an http `jwks_url` elsewhere. Whoever is on that path can then sign tokens."""

    algorithms: Annotated[tuple[Shared | Public, ...], Many] = ()
    """Accepted algorithms. Not given: HS256 with `secret`, else all of RS, PS, ES and EdDSA."""

    refresh: Duration = Field(default=600, ge=1, le=86400)
    """How often the key set is fetched or the file read anew: 1s to 1d."""

    refresh_min: Duration = Field(default=30, ge=1, le=3600)
    """Unknown key ids bring a fetch forward, at most once in this time: 1s to 1h."""

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if sum(source is not None for source in (self.secret, self.keys_file, self.jwks_url)) != 1:
            raise ValueError("give exactly one of secret, keys_file and jwks_url")
        wrong = [one for one in self.algorithms if (one in _SHARED) is (self.secret is None)]
        if wrong:
            needs = "public keys" if self.secret else "a secret, which has no place beside public keys"
            raise ValueError(f"{wrong[0]} works with {needs}; with both, a public key could pass for a secret")
        if self.jwks_url is not None and not self.allow_http and not _protected(self.jwks_url):
            raise ValueError("jwks_url must be https, or allow_http true if the way there is trusted")
        self.keys()
        return self

    def accepted(self) -> frozenset[str]:
        """The accepted algorithms, defaults filled in."""
        return frozenset(self.algorithms or (_SHARED[:1] if self.secret else _PUBLIC))

    def keys(self) -> KeySet | None:
        """The keys that are here already. Raises ValueError if they cannot be used."""
        from edgeproxy.jose.keys import from_document, from_secret
        from edgeproxy.jose.refresh import read_file

        if self.secret is not None:
            return from_secret(self.secret.get_secret_value().encode(), self.accepted())
        if self.keys_file is None:
            return None
        try:
            return from_document(read_file(self.keys_file))
        except (OSError, ValueError) as error:
            raise ValueError(f"keys_file {self.keys_file} cannot be used: {error}") from None

    def source(self, services: Services) -> KeySource:
        """Where the keys come from while the stage runs; not started. Raises ValueError as :meth:`keys` does."""
        from edgeproxy.jose.refresh import FreshKeys, KeySource, from_file, from_url

        keys = self.keys()
        place = self.jwks_url or self.keys_file
        if place is None:
            return KeySource(keys)
        outcomes = services.metrics.counter(
            "edgeproxy_key_refresh_total", "Attempts to refresh key sets.", ("outcome",)
        )
        return FreshKeys(
            from_url(place, services.http) if self.jwks_url else from_file(place),
            place,
            services.clock,
            keys=keys,
            every=self.refresh,
            at_most=self.refresh_min,
            count=outcomes.inc,
        )


def _protected(url: str) -> bool:
    """Nobody on the way can change what this URL answers: https, or it does not leave the machine."""
    parts = urlsplit(url)
    try:
        return parts.scheme == "https" or parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
