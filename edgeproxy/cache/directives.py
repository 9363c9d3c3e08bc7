"""Cache-Control, parsed (RFC 9111 §5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from edgeproxy.http.headers import Headers, members

Directives = Mapping[bytes, bytes]

FOREVER = 2**31  # RFC 9111 §1.2.2: what a larger number of seconds is taken for
_MEMO_LONGEST = 256  # longer values are parsed, but not remembered
NONE: Directives = MappingProxyType({})


def parse(value: bytes | None) -> Directives:
    """Directive to argument, b"" without one. Of a directive given twice the first counts (RFC 9111 §4.2.1)."""
    if not value:
        return NONE
    return _parse(value) if len(value) <= _MEMO_LONGEST else _read(value)


@lru_cache(maxsize=4096)
def _parse(value: bytes) -> Directives:
    return _read(value)


def _read(value: bytes) -> Directives:
    directives: dict[bytes, bytes] = {}
    for member in members(value):
        name, _, argument = member.partition(b"=")
        directives.setdefault(name.strip().lower(), argument.strip().strip(b'"'))
    return MappingProxyType(directives)


def of_request(headers: Headers) -> Directives:
    """A request's directives; Pragma: no-cache speaks only where Cache-Control does not (RFC 9111 §5.4)."""
    value = headers.get(b"cache-control")
    if value is None and b"no-cache" in members(headers.get(b"pragma", b"").lower()):
        return _parse(b"no-cache")
    return parse(value)


def seconds(directives: Directives, name: bytes) -> int | None:
    """A delta-seconds argument; None if the directive is not there, 0 if its argument is none (RFC 9111 §4.2.1)."""
    argument = directives.get(name)
    if argument is None:
        return None
    return min(int(argument), FOREVER) if argument.isdigit() and len(argument) < 32 else 0
