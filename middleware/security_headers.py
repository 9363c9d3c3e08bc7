"""Tells browsers to be careful."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgeproxy.config.fields import EditableField, FieldValue
from edgeproxy.config.units import Duration
from edgeproxy.config.values import Many, Off
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from edgeproxy.pipeline.seal import Seal

_CSP = b"content-security-policy"
_ISOLATION = Literal["same-origin", "same-site", "cross-origin"]


class Hsts(BaseModel):
    """HTTP Strict Transport Security (RFC 6797)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    max_age: Annotated[Duration, Field(ge=0)] = 365 * 86400
    """How long browsers use https alone. 0 takes it back."""

    include_subdomains: bool = False
    """Whether that goes for every subdomain as well."""

    preload: bool = False
    """Consent to be built into browsers. Hard to undo."""

    @model_validator(mode="after")
    def _preloadable(self) -> Self:
        if self.preload and not (self.include_subdomains and self.max_age >= 365 * 86400):
            raise ValueError("preload needs include_subdomains: true and a max_age of at least 365d (hstspreload.org)")
        return self


class SecurityHeaders(Middleware):
    """Add the fields that make browsers careful, and take out those that tell what the origin runs on.

    What the origin itself says wins, unless `override` is true. Values are put into the kept copy, so a hit pays for
    one look-up; Strict-Transport-Security is added to each answer over https, and to no other (RFC 6797 §7.2).
    """

    name = "security_headers"

    class Config(MiddlewareConfig):
        hsts: Annotated[Hsts | None, Off] = Hsts()
        """Strict-Transport-Security; `off` for none."""

        content_type_options: bool = True
        """`X-Content-Type-Options: nosniff`."""

        referrer_policy: Annotated[FieldValue | None, Field(min_length=1)] = "strict-origin-when-cross-origin"
        """`Referrer-Policy`; null for none."""

        frame_options: Literal["DENY", "SAMEORIGIN"] | None = "SAMEORIGIN"
        """`X-Frame-Options`; null for none."""

        frame_ancestors: Annotated[tuple[FieldValue, ...], Many] = ()
        """Who may frame these pages, as a CSP directive: `["'self'", "https://partner.example"]`."""

        permissions_policy: FieldValue | None = None
        """`Permissions-Policy`, such as `camera=(), microphone=()`."""

        cross_origin_opener_policy: Literal["same-origin", "same-origin-allow-popups", "unsafe-none"] | None = None
        """`Cross-Origin-Opener-Policy`."""

        cross_origin_embedder_policy: Literal["require-corp", "credentialless", "unsafe-none"] | None = None
        """`Cross-Origin-Embedder-Policy`."""

        cross_origin_resource_policy: _ISOLATION | None = None
        """`Cross-Origin-Resource-Policy`."""

        csp: FieldValue | None = None
        """`Content-Security-Policy`."""

        csp_report_only: FieldValue | None = None
        """`Content-Security-Policy-Report-Only`: a policy that browsers report on and do not enforce."""

        remove: Annotated[tuple[EditableField, ...], Many] = ("server", "x-powered-by")
        """Fields of the origin that are taken out."""

        override: bool = False
        """Whether these values replace the origin's own."""

    response: Callable[[Exchange, Response], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        remove = tuple(name.encode() for name in config.remove)
        values = tuple((name, _Ours(value.encode()) if value else None) for name, value in _values(config).items())
        self._seal = Seal(remove, values, _Ours, _hsts(config.hsts), override=config.override)
        self.response = self._seal.check

    def store(self, x: Exchange, response: Response) -> None:
        self._seal.apply(response, keep=True)


class _Ours(bytes):
    """A value this stage has put into a kept copy: no origin's own, so the next configuration may replace it."""

    __slots__ = ()


def _values(config: SecurityHeaders.Config) -> dict[bytes, str | None]:
    csp = config.csp
    if config.frame_ancestors:
        ancestors = "frame-ancestors " + " ".join(config.frame_ancestors)
        csp = f"{csp.rstrip('; ')}; {ancestors}" if csp else ancestors
    return {
        b"x-content-type-options": "nosniff" if config.content_type_options else None,
        b"referrer-policy": config.referrer_policy,
        b"x-frame-options": config.frame_options,
        b"permissions-policy": config.permissions_policy,
        b"cross-origin-opener-policy": config.cross_origin_opener_policy,
        b"cross-origin-embedder-policy": config.cross_origin_embedder_policy,
        b"cross-origin-resource-policy": config.cross_origin_resource_policy,
        _CSP: csp,
        b"content-security-policy-report-only": config.csp_report_only,
    }


def _hsts(hsts: Hsts | None) -> bytes | None:
    if hsts is None:
        return None
    directives = [f"max-age={hsts.max_age:.0f}"]
    directives += ["includeSubDomains"] * hsts.include_subdomains + ["preload"] * hsts.preload
    return "; ".join(directives).encode()
