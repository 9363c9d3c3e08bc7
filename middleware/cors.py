"""Cross-origin resource sharing, as the Fetch standard has it (fetch.spec.whatwg.org, "CORS protocol")."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from edgeproxy.config.units import Duration
from edgeproxy.config.values import FieldName, Many, Method, Regex
from edgeproxy.http.headers import tokens
from edgeproxy.http.message import Response
from edgeproxy.http.negotiate import vary_on
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

_LABEL = r"[a-z0-9_-]+"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
_ORIGIN = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:\*\.(?={_LABEL}\.))?(?:{_NAME}|\[[0-9a-f:.]+\])(?::(?P<port>\d{{1,5}}))?"
)
_DEFAULT_PORTS = {("http", "80"), ("https", "443"), ("ws", "80"), ("wss", "443")}
_STRANGERS = (b"https://stranger.invalid", b"null")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_ALLOW_ORIGIN = b"access-control-allow-origin"
_ANSWERS = (
    _ALLOW_ORIGIN,
    b"access-control-allow-credentials",
    b"access-control-allow-headers",
    b"access-control-allow-methods",
    b"access-control-expose-headers",
    b"access-control-max-age",
)
_PREFLIGHT_VARY = b"origin, access-control-request-method, access-control-request-headers"


def _origin(value: Any) -> str:
    text = str(value).strip().lower()
    match = _ORIGIN.fullmatch(text)
    if text not in {"*", "null"} and match is None:
        raise ValueError(f"{value!r} is not an origin; write https://example.com, https://*.example.com, or * for all")
    if match is not None and (match["scheme"], match["port"]) in _DEFAULT_PORTS:
        raise ValueError(f"{value!r} names its scheme's own port, which browsers leave out; take :{match['port']} away")
    return text


class Cors(Middleware):
    """Answer preflights, and say on every answer which origins' scripts may read it.

    What the origin server says of this itself is replaced. A preflight that asks for more than is allowed gets 403
    without any CORS field. Other requests always go on: who may *send* them is not for CORS to say.
    """

    name = "cors"

    class Config(MiddlewareConfig):
        origins: Annotated[tuple[Annotated[str, BeforeValidator(_origin)], ...], Many] = ()
        """Who may read: `https://app.example.com`, `https://*.example.com` (any depth, not example.com itself),
        `null`, or `*` for everybody."""

        origin_regex: Annotated[tuple[Regex, ...], Many] = ()
        """Patterns for more origins; one must match the whole of it, `https://` included."""

        methods: Annotated[tuple[Method, ...], Many] = ("GET", "HEAD", "POST")
        """Methods a preflight may ask for, or `*`."""

        headers: Annotated[tuple[FieldName, ...], Many] = ()
        """Request fields a preflight may ask for, or `*`. `Content-Type` is needed for JSON."""

        expose: Annotated[tuple[FieldName, ...], Many] = ()
        """Response fields scripts may read beside the few they always may."""

        credentials: bool = False
        """Whether scripts may read answers to requests with cookies. Never together with origins that anybody has."""

        max_age: Annotated[Duration, Field(ge=0, le=86400)] = 600
        """How long a browser may remember a preflight's answer. Chromium takes two hours at most."""

        private_network: bool = False
        """Whether pages of the public internet may reach this server in a private network."""

        @model_validator(mode="after")
        def _consistent(self) -> Self:
            if not self.origins and not self.origin_regex:
                raise ValueError("origins is empty: nobody could read anything; name some, or take cors out")
            if self.credentials and ("*" in self.origins or any(map(_matcher(self), _STRANGERS))):
                raise ValueError("credentials with origins that anybody has would give every site your users' data")
            if self.credentials and "*" in self.expose:
                raise ValueError("browsers do not take expose: * for requests with credentials; name the fields")
            return self

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._everybody = "*" in config.origins
        self._allows: Memo[bytes, bool] = Memo(_matcher(config), 1024, longest=256)
        self._methods = frozenset(method.encode() for method in config.methods)
        self._headers = frozenset(name.encode() for name in config.headers)
        self._private_network = config.private_network
        common = {b"access-control-allow-credentials": b"true"} if config.credentials else {}
        expose = {b"access-control-expose-headers": ", ".join(config.expose).encode()} if config.expose else {}
        self._answer = tuple((common | expose).items())
        self._preflight = common | {b"access-control-max-age": b"%d" % config.max_age, b"vary": _PREFLIGHT_VARY}

    def request(self, x: Exchange) -> Response | None:
        request = x.request
        if request.method != b"OPTIONS":
            return None
        origin = request.headers.get(b"origin")
        method = request.headers.get(b"access-control-request-method")
        if origin is None or method is None:
            return None
        asked = tokens(request.headers.get(b"access-control-request-headers"))
        if not (self._allows[origin] and self._may_ask(method, asked)):
            return Response(403, {b"vary": _PREFLIGHT_VARY})
        headers = self._preflight | {
            _ALLOW_ORIGIN: b"*" if self._everybody else origin,
            b"access-control-allow-methods": method,
        }
        if asked:
            headers[b"access-control-allow-headers"] = b", ".join(sorted(asked))
        if self._private_network and b"access-control-request-private-network" in request.headers:
            headers[b"access-control-allow-private-network"] = b"true"
        return Response(204, headers)

    def response(self, x: Exchange, response: Response) -> None:
        headers = x.request.headers
        origin = headers.get(b"origin")
        if x.request.method == b"OPTIONS" and origin is not None and b"access-control-request-method" in headers:
            return  # a preflight, answered above
        for name in _ANSWERS:
            if response.get(name) is not None:
                response.drop(name)
        if self._everybody:
            allowed: bytes | None = b"*"
        else:
            # Also without Origin: what a cache keeps of this answer must not be given to scripts of another origin.
            vary_on(response, b"origin")
            allowed = origin if origin is not None and self._allows[origin] else None
        if allowed is not None:
            response.set(_ALLOW_ORIGIN, allowed)
            for name, value in self._answer:
                response.set(name, value)

    def _may_ask(self, method: bytes, headers: frozenset[bytes]) -> bool:
        return (
            (method in self._methods or (b"*" in self._methods and _TOKEN.fullmatch(method) is not None))
            and (headers <= self._headers or b"*" in self._headers)
            and all(map(_TOKEN.fullmatch, headers))
        )


def _matcher(config: Cors.Config) -> Callable[[bytes], bool]:
    """Whether an origin, as a browser serialises it, is one of the configured."""
    if "*" in config.origins:
        return lambda origin: True
    exact = frozenset(origin.encode() for origin in config.origins)
    patterns = [
        re.escape(origin).replace(r"\*\.", rf"(?:{_LABEL}\.)+").encode() for origin in config.origins if "*" in origin
    ]
    patterns += [pattern.encode() for pattern in config.origin_regex]
    compiled = [re.compile(pattern).fullmatch for pattern in patterns]
    return lambda origin: origin in exact or any(match(origin) for match in compiled)
