"""Which keys a stage verifies with, as configuration says it, and the source they then come from.

``edgeproxy.jose`` imports cryptography, which takes a tenth of a second: here only where keys are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from edgeproxy.config.units import Duration
from edgeproxy.config.values import File, Many, is_protected
from edgeproxy.jose.rules import Rule, parse_rule
from edgeproxy.pipeline.middleware import Services

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


KeyUrl = Annotated[str, AfterValidator(_key_url)]


def _rules(value: Any) -> Any:
    if isinstance(value, Mapping):
        name, wanted = next(iter(value.items()), ("role", "admin"))
        wanted = json.dumps(wanted if isinstance(wanted, list) else [wanted], default=str)
        raise ValueError(f"this is a list of rules, not a map; write {name}: {wanted} as claims.{name} in {wanted}")
    return [value] if isinstance(value, str) else value


def _rule(text: str) -> str:
    parse_rule(text)
    return text


class PublicKeySettings(BaseModel):
    """Where the public keys come from that signatures are verified with: the configuration, a file or a URL."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True, hide_input_in_errors=True
    )

    keys: Annotated[str, Field(min_length=1)] | None = None
    """Public keys or certificates (PEM) or a JWK Set, from the environment: `${NAME}`."""

    keys_file: File | None = None
    """File with public keys or certificates (PEM) or a JWK Set; read again every `refresh`."""

    allow_http: bool = False
    """Accept an http URL elsewhere than on loopback. Whoever is on that path can then sign as they like."""

    refresh: Duration = Field(default=600, ge=1, le=86400)
    """How often the key set is fetched or the file read anew: 1s to 1d."""

    refresh_min: Duration = Field(default=5, ge=1, le=3600)
    """Unknown key ids bring a fetch forward, at most once in this time: 1s to 1h."""

    _url_named: ClassVar[str]
    _accept: ClassVar[str | None] = None

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        self._check()
        return self

    def url(self) -> str | None:
        """Where the keys are published, if that is where they come from."""
        raise NotImplementedError

    def key_set(self) -> KeySet | None:
        """The keys that are here already. Raises ValueError if they cannot be used."""
        from edgeproxy.jose.keys import from_document
        from edgeproxy.jose.refresh import read_file

        try:
            if self.keys is not None:
                return from_document(self.keys.encode())
            return None if self.keys_file is None else from_document(read_file(self.keys_file))
        except (OSError, ValueError) as error:
            place = "keys" if self.keys_file is None else f"keys_file {self.keys_file}"
            raise ValueError(f"{place} cannot be used: {error}") from None

    def source(self, services: Services) -> KeySource:
        """Where the keys come from while the stage runs; not started. Raises ValueError as :meth:`key_set` does."""
        from edgeproxy.jose.refresh import JWK_SET, FreshKeys, KeySource, from_file, from_url

        keys, url = self.key_set(), self.url()
        place = url or self.keys_file
        if place is None:
            return KeySource(keys)
        outcomes = services.metrics.counter(
            "edgeproxy_key_refresh_total", "Attempts to refresh key sets.", ("outcome",)
        )
        return FreshKeys(
            from_url(place, services.http, self._accept or JWK_SET) if url else from_file(place),
            place,
            services.clock,
            keys=keys,
            every=self.refresh,
            at_most=self.refresh_min,
            count=outcomes.inc,
        )

    def _check(self) -> None:
        """Raises ValueError if these settings do not give keys to verify with."""
        given = self._given()
        if sum(value is not None for value in given.values()) != 1:
            *names, last = given
            raise ValueError(f"give exactly one of {', '.join(names)} and {last}")
        url = self.url()
        if url is not None and not self.allow_http and not is_protected(url):
            raise ValueError(f"{self._url_named} must be https, or allow_http true if the way there is trusted")
        self.key_set()

    def _given(self) -> dict[str, object]:
        return {"keys": self.keys, "keys_file": self.keys_file, self._url_named: self.url()}


class KeySettings(PublicKeySettings):
    """The keys of an issuer of tokens: public ones, or a secret."""

    secret: SecretStr | None = None
    """Shared secret for HS256 (from 32 bytes), HS384 (48) or HS512 (64). Write it as `${NAME}`."""

    jwks_url: KeyUrl | None = None
    """Where the issuer publishes its JWK Set. https, except on loopback. Tokens with an unknown key id wait for a
    fetch; keep `refresh_min` below `wait`, then a new key's first token is as good as any."""

    algorithms: Annotated[tuple[Shared | Public, ...], Many] = ()
    """Accepted algorithms. Not given: HS256 with `secret`, else all of RS, PS, ES and EdDSA."""

    _url_named = "jwks_url"

    def url(self) -> str | None:
        return self.jwks_url

    def accepted(self) -> frozenset[str]:
        """The accepted algorithms, defaults filled in."""
        return frozenset(self.algorithms or (_SHARED[:1] if self.secret else _PUBLIC))

    def key_set(self) -> KeySet | None:
        if self.secret is None:
            return super().key_set()
        from edgeproxy.jose.keys import from_secret

        return from_secret(self.secret.get_secret_value().encode(), self.accepted())

    def _check(self) -> None:
        wrong = [one for one in self.algorithms if (one in _SHARED) is (self.secret is None)]
        if wrong:
            needs = "public keys" if self.secret else "a secret, which has no place beside public keys"
            raise ValueError(f"{wrong[0]} works with {needs}; with both, a public key could pass for a secret")
        super()._check()

    def _given(self) -> dict[str, object]:
        return {"secret": self.secret, **super()._given()}


class IssuerSettings(KeySettings):
    """Whose tokens are taken, verified with which keys."""

    issuer: Annotated[tuple[str, ...], Many] = ()
    """Accepted `iss`; not given: any. Each entry of `issuers` must give it."""

    audience: Annotated[tuple[str, ...], Many] = ()
    """Accepted `aud`; not given: any. Give it where the issuer serves other services too."""

    require: Annotated[tuple[Annotated[str, AfterValidator(_rule)], ...], BeforeValidator(_rules)] = ()
    """Rules the claims must all fulfil, else 403: `claims.role in ["admin", "root"]`, `claims.verified == true`,
    `claims.realm_access.roles contains "admin"`, `claims["https://a.example/plan"] == "gold"`. Values are JSON.
    `contains` asks a list, or the words of a `scope`, for a value or for one of a list of them. What is not there
    fulfils nothing."""

    def rules(self) -> tuple[Rule, ...]:
        return tuple(map(parse_rule, self.require))
