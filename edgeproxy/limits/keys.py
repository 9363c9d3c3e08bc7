"""What is counted by: expressions over the exchange, like ``client.net+path``, made into functions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from edgeproxy.http.cookies import cookie
from edgeproxy.pipeline.callers import Networks
from edgeproxy.pipeline.exchange import Exchange

KeyOf = Callable[[Exchange], bytes]

LONGEST: Final = 64  # bytes of a key that are kept as they are; a longer one is kept as its hash
PARTS: Final = 8  # of one key


def _route(x: Exchange) -> bytes:
    return x.route.name.encode()


def _ja4(x: Exchange) -> bytes:
    tls = x.peer.tls
    return b"" if tls is None else tls.ja4.encode()


_PLAIN: Final[dict[str, KeyOf]] = {
    "client.ip": lambda x: x.client.encode(),
    "host": lambda x: x.request.host,
    "path": lambda x: x.request.path,
    "route": _route,
    "method": lambda x: x.request.method,
    "country": lambda x: x.place.country.encode(),
    "asn": lambda x: b"%d" % x.place.asn,
    "ja4": _ja4,
    "shape": lambda x: x.shape.encode(),
    "identity": lambda x: _encoded(x.identity),
    "bot": lambda x: x.bot.encode(),
    "agent": lambda x: _encoded(x.agent),
}


class _Header:
    def __init__(self, name: str) -> None:
        self._name = name.lower().encode()

    def of(self, x: Exchange) -> bytes:
        return x.request.headers.get(self._name, b"")


class _Cookie:
    def __init__(self, name: str) -> None:
        self._name = name.encode()

    def of(self, x: Exchange) -> bytes:
        field = x.request.headers.get(b"cookie")
        return b"" if field is None else cookie(field, self._name) or b""


class _Query:
    """The first parameter of that name, however name and value are percent-encoded: what the origin reads alike must
    count alike."""

    def __init__(self, name: str) -> None:
        spelled = b"".join(b"(?:%b|(?i:%%%02x))" % (re.escape(bytes((code,))), code) for code in name.encode())
        self._pattern = re.compile(rb"(?:^|&)%b=([^&]*)" % spelled)

    def of(self, x: Exchange) -> bytes:
        found = self._pattern.search(x.request.query)
        if found is None:
            return b""
        value: bytes = found[1]
        return unquote_to_bytes(value.replace(b"+", b" ")) if b"%" in value or b"+" in value else value


class _Claim:
    """The claim of that name, or what ``realm_access.roles`` leads to."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._path = name.split(".")

    def of(self, x: Exchange) -> bytes:
        claims = x.claims
        if claims is None:
            return b""
        value: Any = claims.get(self._name)
        if value is None:
            value = claims
            for part in self._path:
                value = value.get(part) if isinstance(value, dict) else None
        return b"" if value is None else _encoded(str(value))


_NAMED: Final[dict[str, Callable[[str], KeyOf]]] = {
    "header": lambda name: _Header(name).of,
    "cookie": lambda name: _Cookie(name).of,
    "query": lambda name: _Query(name).of,
    "claim": lambda name: _Claim(name).of,
}
KNOWN: Final = ("client.net", *_PLAIN, *(f"{kind}:NAME" for kind in _NAMED))
_NAME: Final = re.compile(r"[!#$%&'*.^_`|~0-9A-Za-z:/-]{1,128}")


class _Joined:
    def __init__(self, parts: list[KeyOf]) -> None:
        self._parts = parts

    def of(self, x: Exchange) -> bytes:
        return short(b"\0".join([part(x) for part in self._parts]))


class _Short:
    def __init__(self, part: KeyOf) -> None:
        self._part = part

    def of(self, x: Exchange) -> bytes:
        return short(self._part(x))


def parse_key(text: str) -> str:
    """The expression, checked. Raises ValueError, which names the nearest thing there is to count by."""
    parts = [part.strip() for part in text.split("+")]
    if len(parts) > PARTS:
        raise ValueError(f"{text!r} has {len(parts)} parts; a key has {PARTS} at most")
    for part in parts:
        kind, colon, name = part.partition(":")
        if part == "client.net" or part in _PLAIN or (kind in _NAMED and _NAME.fullmatch(name)):
            continue
        if kind in _NAMED:
            raise ValueError(f"{part!r} is not something to count by; write {kind}:NAME, the name without spaces")
        near = difflib.get_close_matches(f"{kind}:NAME" if colon else part, KNOWN, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KNOWN)}, joined by +"
        raise ValueError(f"{part!r} is not something to count by; {hint}")
    return text


def compile_key(expression: str, ipv4_prefix: int, ipv6_prefix: int) -> KeyOf:
    """The function that gives an exchange's key, at most 64 bytes long. ``expression`` has passed ``parse_key``; the
    prefixes are the bits of an address that make up ``client.net``."""
    names = [part.strip() for part in expression.split("+")]
    parts = [_compile(name, ipv4_prefix, ipv6_prefix) for name in names]
    if len(parts) > 1:
        return _Joined(parts).of
    return parts[0] if names[0] in ("client.ip", "client.net") else _Short(parts[0]).of


def _compile(part: str, ipv4_prefix: int, ipv6_prefix: int) -> KeyOf:
    if part == "client.net":
        return Networks(ipv4_prefix, ipv6_prefix).key
    if part in _PLAIN:
        return _PLAIN[part]
    kind, _, name = part.partition(":")
    return _NAMED[kind](name)


def short(key: bytes) -> bytes:
    """The key, or the hash that stands for a long one: what is remembered of it has a bound."""
    return key if len(key) <= LONGEST else blake2b(key, digest_size=16).digest()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # JSON can say half a surrogate pair
