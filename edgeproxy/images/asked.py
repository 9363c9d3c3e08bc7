"""What stands behind the prefix of a picture's URL: options, and the picture they are for.

That is a path on the host that was asked, or an absolute URL. No name in it is ever resolved: it becomes the request's
own, which takes a route of this node or none. Written in more than one way it could be read in more than one, so what
is not plainly one or the other is refused.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from edgeproxy.errors import EdgeError
from edgeproxy.http.target import parse_authority, parse_target

_SCHEME: Final = re.compile(rb"(?i)([a-z][a-z0-9+.-]*):(.*)", re.DOTALL)


class Picture(NamedTuple):
    """Where it lies: the parts of a request that asks for it. ``authority`` and ``host`` are b"" for the one asked."""

    target: bytes
    path: bytes
    query: bytes
    authority: bytes = b""
    host: bytes = b""


class UrlError(ValueError):
    """The URL cannot be followed; its text is a sentence that repeats nothing of it."""


def split(rest: bytes) -> tuple[bytes, bytes]:
    """Options and URL of what stands behind the prefix. Raises UrlError."""
    path, mark, query = rest.partition(b"?")
    options, slash, url = path.partition(b"/")
    if not slash or not options or not url:
        raise UrlError("Options and a picture are missing.")
    return options, url + mark + query


def locate(url: bytes, prefix: bytes) -> Picture:
    """The picture that a URL names: a path, with or without a slash at its beginning, or http and https URLs; which of
    the two is of no account, since the picture is asked for as the request came. Raises UrlError."""
    if b"\\" in url:
        raise UrlError("The picture's URL has a backslash.")
    absolute = _SCHEME.match(url)
    authority = host = b""
    try:
        if absolute is not None:
            scheme = absolute[1].lower()
            if scheme not in {b"http", b"https"} or not absolute[2].startswith(b"//"):
                raise UrlError("The picture's URL is neither a path nor an http or https URL.")
            site, slash, path = absolute[2][2:].partition(b"/")
            if not slash:
                raise UrlError("The picture's URL has no path.")
            parsed = parse_authority(site, scheme)
            authority, host = parsed.authority, parsed.host
            url = b"/" + path
        elif not url.startswith(b"/"):
            url = b"/" + url
        target, path, query = parse_target(url)
    except EdgeError as error:
        raise UrlError(f"The picture's URL has {error.detail}.") from None
    if path.startswith(prefix) or target.startswith(prefix):
        raise UrlError("The picture's URL is one with options itself.")
    if target.startswith(b"//"):
        raise UrlError("The picture's path begins with two slashes.")
    return Picture(target, path, query, authority, host)
