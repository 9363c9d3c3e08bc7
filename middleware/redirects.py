"""Sends clients to another address."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgeproxy.config.values import Host, Many, Path, Regex
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.location import Match, Source, compile_location, escape, with_query
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

Status = Literal[301, 302, 303, 307, 308]


class Rule(BaseModel):
    """One rule: `path`, `prefix` or `regex`, and where `to`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    path: Path | None = None
    """The whole path, as it reads when decoded."""

    prefix: Path | None = None
    """The beginning of the path. What follows it is `{rest}`."""

    regex: Regex | None = None
    """A pattern for the whole of the path. Its groups are `{1}`, `{2}` or, if they have names, `{name}`."""

    host: Annotated[tuple[Host, ...], Many] = ()
    """Hosts the rule is for, `*.example.com` too; all, if it names none."""

    to: Annotated[str, Field(min_length=1)]
    """A path (`/new/{1}`) or a URL (`https://example.org/{rest}`). May hold `{host}`, `{path}`, `{scheme}`, `{rest}`
    and groups; a URL's host may be `{host}`, and nothing else of the request gets into it."""

    status: Status = 308
    """301, 302, 303, 307 or 308. 307 and 308 keep the method, 301 and 308 are for good."""

    query: Literal["keep", "drop"] = "keep"
    """What becomes of the request's query."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if sum(form is not None for form in (self.path, self.prefix, self.regex)) != 1:
            raise ValueError("a rule has exactly one of path, prefix and regex")
        if self.path is not None and self.to == self.path and not self.host:
            raise ValueError(f"{self.path} would be redirected to itself")
        _compile(self)
        return self


class Redirects(Middleware):
    """Redirect by rules, to https, and to one host name; whatever applies is one redirect, not a chain of them.

    The first rule that matches counts. Nothing of the request gets into the host redirected to but its own Host, so
    no rule can be made to send clients to a stranger.
    """

    name = "redirects"

    class Config(MiddlewareConfig):
        https: bool = False
        """Redirect http to https, port 443 or `https_port`."""

        https_port: Annotated[int, Field(ge=1, le=65535)] = 443
        """The port clients reach https at."""

        canonical_host: Host | None = None
        """The one name of this site, `www.example.com` or `example.com`: other hosts of the route are sent there."""

        status: Status = 308
        """For `https` and `canonical_host`."""

        rules: tuple[Rule, ...] = ()
        """The first one that matches counts."""

        @model_validator(mode="after")
        def _one_host(self) -> Self:
            if self.canonical_host is not None and self.canonical_host.startswith("*"):
                raise ValueError("canonical_host is one name, not a pattern")
            return self

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._status = config.status
        self._https = config.https
        self._port = b"" if config.https_port == 443 else b":%d" % config.https_port
        self._host = config.canonical_host.encode() if config.canonical_host else None
        compiled = [(rule, _compile(rule, place)) for place, rule in enumerate(config.rules)]
        self._patterns = [ready for rule, ready in compiled if rule.path is None]
        self._exact: dict[bytes, list[_Compiled]] = {}
        for rule, ready in compiled:
            if rule.path is not None:
                self._exact.setdefault(rule.path.encode(), []).append(ready)

    def request(self, x: Exchange) -> Response | None:
        request = x.request
        upgrade = self._https and request.scheme == b"http"
        host = request.host if self._host is None else self._host
        rule, match = self._find(request)
        if (rule is None and not upgrade and host == request.host) or not request.target.startswith(b"/"):
            return None
        status: int = self._status
        location = escape(request.target)
        if rule is not None:
            status, location = rule.status, rule.location(Source(match, request))
            if rule.keep_query:
                location = with_query(location, escape(request.query))
        if location.startswith(b"/") and (upgrade or host != request.host):
            scheme, port = (b"https", self._port) if upgrade else (request.scheme, _port(request))
            location = b"%b://%b%b%b" % (scheme, host, port, location)
        here = b"%b://%b%b" % (request.scheme, request.authority, request.target)
        return None if location in {request.target, here} else Response(status, {b"location": location})

    def _find(self, request: Request) -> tuple[_Compiled, Match] | tuple[None, None]:
        """The first rule for this request, in the order they were written."""
        path, host = request.path, request.host
        exact = next((rule for rule in self._exact.get(path, ()) if rule.serves(host)), None)
        for rule in self._patterns:
            if exact is not None and exact.place < rule.place:
                break
            match = rule.matches(path)
            if match is not None and rule.serves(host):
                return rule, match
        return (None, None) if exact is None else (exact, None)


class _Compiled(NamedTuple):
    """A rule, ready to run."""

    place: int
    matches: Callable[[bytes], Match]
    serves: Callable[[bytes], bool]
    location: Callable[[Source], bytes]
    status: int
    keep_query: bool


def _compile(rule: Rule, place: int = 0) -> _Compiled:
    groups: list[str] = []
    matches: Callable[[bytes], Match] = _never
    if rule.path is None:
        pattern = _pattern(rule)
        groups = [str(number) for number in range(1, pattern.groups + 1)] + list(pattern.groupindex)
        matches = pattern.fullmatch
    location = compile_location(rule.to, groups)
    return _Compiled(place, matches, _hosts(rule.host), location, rule.status, rule.query == "keep")


def _pattern(rule: Rule) -> re.Pattern[bytes]:
    """A prefix ends where a segment does."""
    if rule.regex is not None:
        return re.compile(rule.regex.encode())
    prefix = re.escape(str(rule.prefix).rstrip("/"))
    slash = "/(?P<rest>.*)" if str(rule.prefix).endswith("/") else "(?:/(?P<rest>.*))?"
    return re.compile(f"{prefix}{slash}".encode(), re.DOTALL)


def _hosts(names: tuple[str, ...]) -> Callable[[bytes], bool]:
    if not names:
        return lambda host: True
    exact = frozenset(name.encode() for name in names)
    endings = tuple(name[1:].encode() for name in names if name.startswith("*"))
    return lambda host: host in exact or host.endswith(endings)


def _port(request: Request) -> bytes:
    """The port the client named, with its colon."""
    match = re.search(rb":\d+$", request.authority)
    return b"" if match is None else match[0]


def _never(path: bytes) -> Match:
    """Rules for one whole path are found by look-up."""
    return None
