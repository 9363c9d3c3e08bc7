"""Request targets and authorities, normalised once so that routing, cache key and origin see the same thing.

What a rule on ``/admin`` guards must not be reachable as ``/x/../admin`` or ``/%61dmin``: equivalent targets (RFC 3986
§6.2.2) become one. Targets that cannot be read in one way only are refused.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from edgeproxy.errors import EdgeError, Kind

_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE: Final = re.compile(rb"%(..?)?", re.DOTALL)
_SLASHES: Final = re.compile(rb"//+")
_HOST: Final = re.compile(rb"(?P<name>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{0,5}))?")
_DEFAULT_PORT: Final = {b"http": b"80", b"https": b"443"}
_MEMO_LIMIT: Final = 4096


def parse_target(target: bytes) -> tuple[bytes, bytes, bytes]:
    """An origin-form target (RFC 9112 §3.2.1), as target, path and query. Raises EdgeError(BAD_REQUEST).

    The target is what goes to the origin; the path is for matching, percent-decoded but for %2F, its slashes merged.
    """
    path, mark, query = target.partition(b"?")
    # By number and by find(): `bytes in bytes` first fails to make a number of its left side, at four times the cost.
    if 0x25 not in path and 0x23 not in target and path.find(b"/.") < 0 and path.find(b"//") < 0:
        return target, path, query
    if 0x23 in target:
        raise _bad("a fragment in the request target")
    path = _remove_dot_segments(_ESCAPE.sub(_decode_unreserved, path))
    return path + mark + query, _SLASHES.sub(b"/", _ESCAPE.sub(_decode_all, path)), query


def _decode_unreserved(match: re.Match[bytes]) -> bytes:
    code = _code(match)
    return bytes((code,)) if code in _UNRESERVED else b"%%%02X" % code


def _decode_all(match: re.Match[bytes]) -> bytes:
    code = _code(match)
    return b"%2F" if code == 0x2F else bytes((code,))


def _code(match: re.Match[bytes]) -> int:
    try:
        digits = match[1]
        code = int(digits, 16) if digits.isalnum() and len(digits) == 2 else -1
    except (ValueError, AttributeError):
        code = -1
    if code <= 0:
        raise _bad("a broken percent-encoding in the request target")
    return code


def _remove_dot_segments(path: bytes) -> bytes:
    """RFC 3986 §5.2.4; a path that climbs above the root is refused."""
    out: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not out:
                raise _bad("a path above the root")
            out.pop()
        elif segment != b".":
            out.append(segment)
    if segments[-1] in {b".", b".."}:
        out.append(b"")
    return b"/" + b"/".join(out)


class Authority:
    """``host`` in lower case without its port; ``authority`` with it, unless it is the scheme's own."""

    __slots__ = ("authority", "host")

    def __init__(self, host: bytes, authority: bytes) -> None:
        self.host = host
        self.authority = authority


_clear: Final[dict[bytes, Authority]] = {}
_secure: Final[dict[bytes, Authority]] = {}


def parse_authority(value: bytes, scheme: bytes) -> Authority:
    """A Host field's value (RFC 9110 §7.2). Raises EdgeError(BAD_REQUEST)."""
    memo = _secure if scheme == b"https" else _clear
    known = memo.get(value)
    if known is not None:
        return known
    match = _HOST.fullmatch(value.rstrip(b" \t").lower())
    if match is None or len(value) > 261 or b".." in value:
        raise _bad("an invalid Host")
    name, port = match["name"], match["port"]
    if name.startswith(b"["):
        try:
            ipaddress.IPv6Address(name[1:-1].decode())
        except ValueError:
            raise _bad("an invalid Host") from None
    if port and int(port) > 65535:
        raise _bad("an invalid port in Host")
    host = name.rstrip(b".") if name != b"." else name
    authority = host + b":" + port if port and port != _DEFAULT_PORT.get(scheme) else host
    if len(memo) >= _MEMO_LIMIT:
        memo.clear()
    parsed = memo[value] = Authority(host, authority)
    return parsed


def _bad(detail: str) -> EdgeError:
    return EdgeError(Kind.BAD_REQUEST, "client", detail)
