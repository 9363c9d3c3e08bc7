"""Answers those whom the gate stops: a page for people, a line for programs, and what a page then asks for.

All of it happens at the address that was asked for, with one parameter put before its query: the request takes the
same route, and leads back to where it came from, which nothing in it names.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from html import escape as to_html
from math import ceil
from typing import Final

from edgeproxy.challenge.clearance import Clearances, said_expiry
from edgeproxy.challenge.gate import SAFE
from edgeproxy.challenge.pages import Pages
from edgeproxy.challenge.puzzle import Proof, Puzzles
from edgeproxy.http.headers import Headers, members
from edgeproxy.http.message import Request, Response
from edgeproxy.http.negotiate import normalize_weights
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.location import escape, with_query

_BACK: Final = b"back"  # asked with a fresh clearance, to see that the browser brings it
_FRESH: Final = 60  # seconds; a clearance that young and yet not enough would be earned again without end
_HTML: Final = (b"text/html", b"application/xhtml+xml")
_FOR_PROGRAMS: Final = b"403 This needs a browser: open the address in one, then try again.\n"
_REFUSED: Final = {b"cache-control": b"no-store", b"edge-mitigated": b"challenge"}
_ASSET: Final = {
    b"cache-control": b"public, max-age=31536000, immutable",
    b"content-security-policy": b"default-src 'none'",
    b"x-content-type-options": b"nosniff",
}
_POLICY: Final = (
    b"default-src 'none'; script-src 'nonce-%b'; style-src 'nonce-%b'; worker-src 'self'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Desk:
    """``lifetime``: how many seconds a clearance holds, from when its puzzle was made. ``wait``: how many must pass
    before a puzzle without an answer will do, 0 if none will. ``fail``: counts a failure of a network at a monotonic
    time, and gives minus the seconds to wait if there were too many. ``count``: counts an outcome."""

    def __init__(
        self,
        pages: Pages,
        puzzles: Puzzles,
        clearances: Clearances,
        fail: Callable[[bytes, float], float],
        count: Callable[[str], None],
        wall: Callable[[], float],
        *,
        cookie: bytes,
        parameter: bytes,
        lifetime: int,
        wait: int,
    ) -> None:
        self._pages = pages
        self._puzzles = puzzles
        self._clearances = clearances
        self._fail = fail
        self._count = count
        self._wall = wall
        self._cookie = cookie
        self._marker = parameter + b"="
        self._lifetime = lifetime
        self._wait = wait

    def challenge(self, x: Exchange, bits: int, who: bytes, cookie: bytes | None) -> Response:
        """The page with a puzzle; a line for what shows no page."""
        if not _shows_pages(x.request):
            return self._refuse_program()
        if x.request.method not in SAFE:  # it is not sent again by anybody but who sent it
            self._count("unsent")
            return self._notice("unsent", x)
        young = cookie is not None and said_expiry(cookie) > self._wall() + self._lifetime - _FRESH
        return self._puzzle("held" if young else "first", x, bits, who, x.request.query)

    def reply(self, x: Exchange, bits: int, who: bytes, cookie: bytes | None) -> Response:
        """A file, the clearance for an answer, or the way back with one that was brought."""
        word, _, rest = x.request.query[len(self._marker) :].partition(b"&")
        asset = self._pages.assets.get(word)
        if asset is not None:
            return Response(200, {**_ASSET, b"content-type": asset.content_type}, asset.body)
        if not bits:
            return self._way_back(x, rest)
        if word == _BACK:
            return self._welcome(x, bits, who, cookie, rest)
        now = self._wall()
        proof = self._puzzles.check(word, who, now)
        if proof is not None and (proof.solved or (self._wait and now - proof.issued >= self._wait)):
            return self._clear(x, proof, who, now, rest)
        return self._disappoint(x, bits, who, rest)

    def _clear(self, x: Exchange, proof: Proof, who: bytes, now: float, rest: bytes) -> Response:
        """The clearance, the same one however often this answer is shown."""
        self._count("solved" if proof.solved else "waited")
        expires = proof.issued + self._lifetime
        value = self._clearances.make(expires, proof.bits, who)
        secure = b"; Secure" if x.request.scheme == b"https" else b""
        crumb = b"%b=%b; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%b"
        fields = {b"set-cookie": crumb % (self._cookie, value, expires - now, secure)}
        return _redirect(with_query(b"?" + self._marker + _BACK, escape(rest)), fields)

    def _welcome(self, x: Exchange, bits: int, who: bytes, cookie: bytes | None, rest: bytes) -> Response:
        """Back to where it was asked for, unless that would begin it all again."""
        if cookie is None:
            self._count("no_cookies")
            return self._notice("cookies", x, rest)
        if self._clearances.level(cookie, who, self._wall()) < 0:
            return self._puzzle("held", x, bits, who, rest)
        return self._way_back(x, rest)

    def _disappoint(self, x: Exchange, bits: int, who: bytes, rest: bytes) -> Response:
        self._count("failed")
        wait = -self._fail(who.partition(b"\0")[0], x.started)
        if wait > 0:
            self._count("limited")
            answer = self._notice("slow", x, rest)
            answer.status = 429
            answer.set(b"retry-after", b"%d" % ceil(wait))
            return answer
        return self._puzzle("failed", x, bits, who, rest) if _shows_pages(x.request) else self._refuse_program()

    def _way_back(self, x: Exchange, rest: bytes) -> Response:
        return _redirect(_address(x.request, rest), {})

    def _puzzle(self, name: str, x: Exchange, bits: int, who: bytes, query: bytes) -> Response:
        self._count("served")
        rest = b"&amp;" + _html(query) if query else b""
        return self._page(name, x, puzzle=self._puzzles.make(bits, who, self._wall()), rest=rest)

    def _notice(self, name: str, x: Exchange, query: bytes = b"") -> Response:
        return self._page(name, x, location=_html(_address(x.request, query)))

    def _page(self, name: str, x: Exchange, **values: bytes) -> Response:
        language = self._pages.language(x.request.headers.get(b"accept-language", b""))
        nonce = secrets.token_urlsafe(16).encode()
        body = self._pages.page(name, language, host=x.request.host, reference=x.id, nonce=nonce, **values)
        fields = {
            **_REFUSED,
            b"content-type": b"text/html; charset=utf-8",
            b"content-language": self._pages.tag(language),
            b"content-security-policy": _POLICY % (nonce, nonce),
        }
        return Response(403, fields, body)

    def _refuse_program(self) -> Response:
        self._count("refused")
        return Response(403, {**_REFUSED, b"content-type": b"text/plain; charset=utf-8"}, _FOR_PROGRAMS)


def _shows_pages(request: Request) -> bool:
    """Whether the answer will be seen as a page: a navigation (Fetch Metadata, W3C) that asks for HTML by name."""
    headers = request.headers
    if headers.get(b"sec-fetch-dest", b"document") != b"document":
        return False
    ranges = (member.partition(b";q=") for member in members(normalize_weights(headers.get(b"accept", b""))))
    return any(name in _HTML and weight != b"0" for name, _, weight in ranges)


def _address(request: Request, query: bytes) -> bytes:
    """Where the request was for, with this query in place of its own; never another host (RFC 3986 §4.2)."""
    path = escape(request.target.partition(b"?")[0])
    return with_query(b"/." + path if path.startswith(b"//") else path, escape(query))


def _redirect(location: bytes, fields: Headers) -> Response:
    return Response(303, {b"location": location, b"cache-control": b"no-store", **fields})


def _html(uri: bytes) -> bytes:
    return to_html(escape(uri).decode()).encode()
