"""Who may have an answer that is a dictionary or was compressed with one (RFC 9842 §8, §9.3)."""

from __future__ import annotations

from typing import Final

from edgeproxy.compression.shelf import Dictionary
from edgeproxy.http.headers import Headers, members, tokens
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange

_FOR_ONE: Final = frozenset((b"private", b"no-store", b"no-cache"))
_TOLD_APART: Final = frozenset((b"*", b"authorization", b"cookie"))
_LOOPBACK: Final = frozenset((b"localhost", b"127.0.0.1", b"[::1]"))
_INCOMPRESSIBLE: Final = frozenset((b"audio", b"font", b"image", b"video"))
_OWN: Final = frozenset((b"navigate", b"same-origin"))


def origin_of(request: Request) -> bytes:
    """RFC 9110 §4.3.1, the port left out where it is the scheme's own."""
    return b"%b://%b" % (request.scheme, request.authority)


def is_secure(request: Request) -> bool:
    """Whether nobody on the way sees the answer (§8); a loopback address is as good (W3C Secure Contexts §3.1)."""
    host = request.host
    return request.scheme == b"https" or host in _LOOPBACK or host.endswith(b".localhost")


def is_personal(x: Exchange) -> bool:
    """Whether somebody has proved who they are."""
    return x.claims is not None or x.identity != "" or b"authorization" in x.request.headers


def is_public(x: Exchange, response: Response) -> bool:
    """Whether an answer that is to be kept is one and the same for everybody: what is compressed together, or with each
    other's help, tells of each other by its length (§9.2)."""
    if is_personal(x) or response.get(b"set-cookie") is not None:
        return False
    directives = [member.partition(b"=")[0].strip() for member in members(response.get(b"cache-control", b"") or b"")]
    if not _FOR_ONE.isdisjoint([directive.lower() for directive in directives]):
        return False
    return _TOLD_APART.isdisjoint(tokens(response.get(b"vary")))


def is_readable(response: Response) -> bool:
    """Whether scripts of any origin may read it."""
    return response.get(b"access-control-allow-origin") == b"*"


def is_for(headers: Headers, dictionary: Dictionary) -> bool:
    """Whether a request with these fields is of a destination that the dictionary is for, and may see what is made with
    it: a page of another origin only what all may read (§9.3.3)."""
    destination = headers.get(b"sec-fetch-dest")
    if destination in _INCOMPRESSIBLE:
        return False  # a `match` for all of a site is for these too, and would have a copy of each kept
    if destination == b"empty":  # how the field spells that there is none
        destination = b""
    if dictionary.destinations and destination is not None and destination not in dictionary.destinations:
        return False
    site, mode = headers.get(b"sec-fetch-site"), headers.get(b"sec-fetch-mode")
    if site is None or site == b"same-origin" or mode is None or mode in _OWN:
        return True
    return mode == b"cors" and b"origin" in headers and dictionary.readable
