"""Cache-Control, parsed (RFC 9111 §5.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from edgeproxy.http.headers import Headers, members, tokens

Directives = Mapping[bytes, bytes]

FOREVER: Final = 2**31  # RFC 9111 §1.2.2: what a larger number of seconds is taken for
_MEMO_LONGEST: Final = 256  # longer values are parsed, but not remembered
NONE: Final[Directives] = MappingProxyType({})

# Directives whose argument is a number of seconds.
SECONDS: Final = frozenset(
    (b"max-age", b"max-stale", b"min-fresh", b"s-maxage", b"stale-if-error", b"stale-while-revalidate")
)

# Directives that may be limited to some fields (RFC 9111 §5.2.2.4, §5.2.2.7).
_LIMITED: Final = frozenset((b"no-cache", b"private"))

_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_INVALID: Final = b" "  # an argument that is none


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
        name, equals, argument = member.partition(b"=")
        quoted = argument[:1] == b'"'
        if equals and (name != name.rstrip() or argument != argument.lstrip()):
            argument = _INVALID  # no blank may stand there; what is forbidden stays forbidden all the same
        elif quoted:
            argument = _ESCAPED.sub(rb"\1", argument[1:].removesuffix(b'"'))
        name = name.strip().lower()
        if name in _LIMITED:  # RFC 9111 §5.2.2.7: field names stand in quotes; ``private=true`` is private
            limits = argument if quoted and tokens(argument) else b""
            before = directives.get(name)
            directives[name] = limits if before is None else b"%b,%b" % (before, limits) if before and limits else b""
        else:
            directives.setdefault(name, argument)
    return MappingProxyType(directives)


def of_request(headers: Headers) -> Directives:
    """A request's directives; Pragma: no-cache speaks only where Cache-Control does not (RFC 9111 §5.4)."""
    value = headers.get(b"cache-control")
    if value is None and b"pragma" in headers and b"no-cache" in members(headers[b"pragma"].lower()):
        return _parse(b"no-cache")
    return parse(value)


def fields(directives: Directives, name: bytes) -> frozenset[bytes]:
    """The field names, in lower case, that ``no-cache`` or ``private`` is limited to; none if it is not limited."""
    return tokens(directives.get(name))


def seconds(directives: Directives, name: bytes) -> int | None:
    """A delta-seconds argument; None if the directive is not there, 0 if its argument is none (RFC 9111 §4.2.1)."""
    argument = directives.get(name)
    if argument is None:
        return None
    return min(int(argument), FOREVER) if argument.isdigit() and len(argument) < 32 else 0
