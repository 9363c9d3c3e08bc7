"""Signed URLs: whoever has one may ask for it, or for what lies below a folder, until it expires.

What is signed is this text, its lines ended by one line feed each (so the last one too), in UTF-8::

    KIND        edge1-url, or edge1-folder
    PATH        the URL's path as it is sent, or the folder that is signed, with a slash at its end
    QUERY       the URL's query as it is sent, without the signature's own parameters; empty for a folder
    EXPIRES     Unix seconds, in decimal
    CLIENT      the client's network, as 192.0.2.7/32 or 2001:db8:0:1::/64; empty if the URL is for any client

The signature is the HMAC-SHA256 (RFC 2104) of that text in lower-case hexadecimal. It stands with the rest in the query
(``expires=…&keyid=…&signature=…``, and ``folder=…`` if it is for one), or, written in the same way, in a cookie.

``docs/signed-urls.md`` has the whole of it, with an example and vectors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Final
from urllib.parse import quote

from edgeproxy.http.cookies import cookie
from edgeproxy.http.message import Request, Response
from edgeproxy.identity.parameters import Parameters, ask_for
from edgeproxy.identity.places import without_cookie
from edgeproxy.identity.refusals import Refusals
from edgeproxy.pipeline.callers import Networks
from edgeproxy.pipeline.exchange import Exchange

URL: Final = b"edge1-url"
FOLDER: Final = b"edge1-folder"
SHORTEST: Final = 32  # bytes of a secret: as long as what SHA-256 gives (RFC 2104 §3)

_SECONDS: Final = re.compile(rb"[0-9]{1,12}")
# What some origins read as a way out of a folder: an escaped separator, a backslash, a segment that begins with dots.
_CLIMBS: Final = re.compile(rb"(?i)%2f|%5c|\\|/\.\.")


class Names:
    """What the parameters are called."""

    def __init__(self, expires: str, key_id: str, signature: str, folder: str) -> None:
        self.expires = expires.encode()
        self.key_id = key_id.encode()
        self.signature = signature.encode()
        self.folder = folder.encode()
        self.all: tuple[str, ...] = (expires, key_id, signature, folder)


def signature(secret: bytes, kind: bytes, path: bytes, query: bytes, expires: bytes, client: bytes) -> bytes:
    """64 hexadecimal digits. The kind is signed too: a link to ``/`` is none to all that is below it."""
    text = b"%b\n%b\n%b\n%b\n%b\n" % (kind, path, query, expires, client)
    return hmac_digest(secret, text, "sha256").hex().encode()


def grant(
    secret: bytes, names: Names, key_id: str, path: bytes, query: bytes, expires: int, client: bytes, *, folder: bool
) -> str:
    """The parameters that let somebody in: for a URL's path and query (without those that are not signed), or for the
    ``folder`` that ``path`` is, where ``query`` is of no account."""
    moment = b"%d" % expires
    if folder:
        query = b""
    signed = signature(secret, FOLDER if folder else URL, path, query, moment, client)
    pairs = [(names.folder, path)] if folder else []
    pairs += [(names.expires, moment), (names.key_id, key_id.encode()), (names.signature, signed)]
    return "&".join([f"{name.decode()}={quote(value, safe='')}" for name, value in pairs])


class UrlCheck:
    """Lets in who has a URL that was signed with one of the ``secrets`` (by their ids) and has not expired.

    ``unsigned``: parameters that may be added to a URL; ``cookie``: one that may hold the signature, b"" for none;
    ``networks``: in which a client is told from others, None if URLs are for any client; ``leeway`` in seconds.
    """

    def __init__(
        self,
        secrets: Mapping[str, bytes],
        names: Names,
        unsigned: tuple[str, ...],
        cookie_name: bytes,
        methods: frozenset[bytes],
        networks: Networks | None,
        leeway: float,
        refusals: Refusals,
        wall: Callable[[], float],
        *,
        hide: bool,
    ) -> None:
        self._secrets = {key_id.encode(): secret for key_id, secret in secrets.items()}
        self._names = names
        self._own = Parameters(names.all)
        self._unsigned = Parameters(unsigned) if unsigned else None
        self._cookie = cookie_name
        self._methods = methods
        self._networks = networks
        self._leeway = leeway
        self._refusals = refusals
        self._wall = wall
        self._hide = hide

    def check(self, x: Exchange) -> Response | None:
        """Let the exchange pass, or say why not; the signature is gone from its query and cookies in either case."""
        request = x.request
        found, query = self._own.split(request.query)
        if self._hide:
            ask_for(request, query)
        path = request.target.partition(b"?")[0]
        if x.asked:  # what was signed is what was asked for, whatever it was made into
            path, _, whole = x.asked.partition(b"?")
            query = self._own.split(whole)[1]
        if self._cookie:
            kept = self._take_cookie(request)
            if not found and kept is not None:
                found, _ = self._own.split(kept)
        why = self._wrong(x, found, path, query)
        return None if why is None else self._refusals.refuse(403, why)

    def _take_cookie(self, request: Request) -> bytes | None:
        field = request.headers.get(b"cookie", b"")
        value = cookie(field, self._cookie)
        if value is not None and self._hide:
            left = without_cookie(field, self._cookie)
            if left:
                request.headers[b"cookie"] = left
            else:
                del request.headers[b"cookie"]
        return value

    def _wrong(self, x: Exchange, found: list[tuple[bytes, bytes]], path: bytes, query: bytes) -> str | None:
        """Why these parameters do not let the exchange in, None if they do."""
        names = self._names
        given = dict(found)
        if names.signature not in given:
            return "This link is not signed."
        if len(given) < len(found):
            return "This link has a part of its signature twice."
        secret = self._secrets.get(given.get(names.key_id, b""))
        expires = given.get(names.expires, b"")
        if secret is None or _SECONDS.fullmatch(expires) is None:
            return "The signature of this link is not complete, or its key is not in use any more."
        kind, folder = URL, given.get(names.folder)
        if folder is not None:
            if not folder.endswith(b"/") or not path.startswith(folder) or _CLIMBS.search(path, len(folder) - 1):
                return "This link is for another folder."
            kind, path, query = FOLDER, folder, b""
        elif self._unsigned is not None:
            query = self._unsigned.split(query)[1]
        client = b"" if self._networks is None else self._networks.key(x)
        if not compare_digest(signature(secret, kind, path, query, expires, client), given[names.signature]):
            return "The signature does not fit this link."
        if int(expires) + self._leeway <= self._wall():
            return "This link has expired."
        if x.request.method not in self._methods:
            return "This link is not for such a request."
        return None

    def __repr__(self) -> str:
        return f"<UrlCheck {len(self._secrets)} keys>"
