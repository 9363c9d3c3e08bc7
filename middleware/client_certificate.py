"""Lets in by the certificate a client showed (mutual TLS)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edgeproxy.config.units import Cidr
from edgeproxy.config.values import Many
from edgeproxy.http.message import Response
from edgeproxy.identity.certificate_gate import CertificateGate
from edgeproxy.identity.refusals import Refusals
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

if TYPE_CHECKING:  # it imports cryptography, which takes a tenth of a second: only where the stage is used
    from edgeproxy.identity.certificates import Rule

Attribute = Literal["CN", "O", "OU", "C", "ST", "L", "DC", "UID", "serialNumber"]


def _pattern(text: str) -> str:
    from edgeproxy.identity.certificates import Pattern

    Pattern(text)
    return text


def _fingerprint(text: str) -> str:
    plain = text.removeprefix("sha256:").replace(":", "").lower()
    if len(plain) != 64 or not set(plain) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is no SHA-256 fingerprint of 64 hexadecimal digits")
    return plain


Patterns = Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], Many]
Lowered = Annotated[tuple[Annotated[str, BeforeValidator(str.lower), AfterValidator(_pattern)], ...], Many]


class RuleSettings(BaseModel):
    """Certificates that are let in: all that is given here must fit; of several values, one."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    subject: dict[Attribute, Patterns] = Field(default={})
    """Of the subject: `{O: Example, OU: [web, edge]}`. Attributes: CN, O, OU, C, ST, L, DC, UID, serialNumber."""

    issuer: dict[Attribute, Patterns] = Field(default={})
    """Of the authority that signed it, likewise."""

    dns: Lowered = ()
    """A DNS name among its alternatives: `api.example.com`, `*.example.com` for one label before it."""

    uri: Patterns = ()
    """A URI among its alternatives, like a SPIFFE id: `spiffe://example.org/ns/web`, `spiffe://example.org/ns/*`."""

    email: Lowered = ()
    """An address among its alternatives: `a@example.com`, `*@example.com`."""

    ip: Annotated[tuple[Cidr, ...], Many] = ()
    """An IP address among its alternatives: an address or a block."""

    fingerprint: Annotated[tuple[Annotated[str, AfterValidator(_fingerprint)], ...], Many] = ()
    """SHA-256 of the whole certificate (DER), in hex, with or without colons."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("a rule that asks for nothing lets every certificate in; leave `allow` out for that")
        return self

    def rule(self) -> Rule:
        from edgeproxy.identity.certificates import Pattern, Rule

        def made(patterns: tuple[str, ...]) -> tuple[Pattern, ...]:
            return tuple(map(Pattern, patterns))

        return Rule(
            {name: made(patterns) for name, patterns in self.subject.items()},
            {name: made(patterns) for name, patterns in self.issuer.items()},
            made(self.dns),
            made(self.uri),
            made(self.email),
            self.ip,
            frozenset(self.fingerprint),
        )


class ClientCertificate(Middleware):
    """Demand a client certificate (mutual TLS) and choose by what it says. The listener asks for it and verifies it
    against its `client_ca` (`tls: {client_certificate: request, client_ca: …}`); this decides who of those may pass.

    403 without one, or with one that does not fit. Who it is becomes the exchange's identity, so answers are not
    shared unless they say they may be, as with Authorization. `Client-Cert` and `Client-Cert-Chain` that clients send
    are always removed.
    """

    name = "client_certificate"

    class Config(MiddlewareConfig):
        allow: tuple[RuleSettings, ...] = Field(default=(), max_length=256)
        """Rules one of which must fit: `[{uri: "spiffe://example.org/ns/*"}, {subject: {O: Example}}]`. Not given: any
        certificate that the listener's authorities signed will do."""

        optional: bool = False
        """Let in who shows none, as nobody. One that does not fit is refused all the same."""

        identity: Literal["subject", "common_name", "dns", "uri", "email", "fingerprint"] = "subject"
        """What of the certificate is its holder's name for logs and limits; `subject` as in RFC 4514, `CN=a,O=b`. Of
        several the first; where there is none, the fingerprint: `sha256:…`."""

        forward: bool = False
        """Hand the certificate to the origin in `Client-Cert` (RFC 9440). Only the client's own: those between it and
        the authority (`Client-Cert-Chain`) are not told here."""

    request: Callable[[Exchange], Response | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        from edgeproxy.identity.certificates import judge

        refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._refusals = Refusals(lambda: refused.inc(self.name))
        rules = tuple(one.rule() for one in config.allow)
        judging = partial(judge, rules=rules, identity=config.identity)
        self.request = CertificateGate(judging, self._refuse, config.optional, config.forward).check

    def _refuse(self, shown: bool) -> Response:
        return self._refusals.refuse(
            403, "This certificate does not let you in." if shown else "A client certificate is needed."
        )
