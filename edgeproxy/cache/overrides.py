"""What a route says of lifetimes, over or beside what the origin says: pure functions over values.

A rule is put into the words an origin would have used. Policy then goes by those fields in place of the answer's own,
which the client still gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from edgeproxy.cache import static
from edgeproxy.cache.directives import Directives, parse
from edgeproxy.cache.policy import Terms
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request

YEAR = 31_536_000

# What says when a stored answer may be used, and not whether it may be stored: an override takes its place.
_FRESHNESS = frozenset((b"s-maxage", b"max-age", b"no-cache", b"must-revalidate", b"proxy-revalidate"))
# What speaks of shared caches in words, where max-age may only have meant the browser.
_SHARED = (b"public", b"s-maxage")


class Lifetimes(NamedTuple):
    """Seconds by status, then by media type (the answer's Content-Type, of successes only), then by a status's
    hundreds. 0 keeps such an answer out."""

    status: dict[int, float] = {}  # noqa: RUF012 -- never written to
    media: tuple[tuple[Callable[[bytes], bool], float], ...] = ()
    hundreds: dict[int, float] = {}  # noqa: RUF012

    def of(self, status: int, fields: Headers) -> float | None:
        """None where nothing is said."""
        if status in self.status:
            return self.status[status]
        if 200 <= status < 300:
            content_type = fields.get(b"content-type", b"")
            for fits, seconds in self.media:
                if fits(content_type):
                    return seconds
        return self.hundreds.get(status // 100)


class Overrides(NamedTuple):
    """One route's rules. Times in seconds.

    ``override``: the lifetimes count in place of what the origin says, not only where it says nothing. ``hashed``
    finds paths whose name has a digest of the content in it. ``while_revalidate`` and ``if_error`` are granted where
    the origin says nothing of them. ``shortest`` and ``longest`` bound every lifetime above 0, ``longest_error`` those
    of statuses from 400. ``guard`` keeps out what is not what its path's extension says. ``guess_for_cookies``: a
    request's cookies are no reason to guess nothing about its answer.
    """

    lifetimes: Lifetimes = Lifetimes()
    override: bool = False
    hashed: re.Pattern[bytes] | None = None
    while_revalidate: float = 0
    if_error: float = 0
    shortest: float = 0
    longest: float = YEAR
    longest_error: float = YEAR
    guard: bool = True
    guess_for_cookies: bool = False

    def fields(self, request: Request, status: int, told: Headers, *, made: bool = False) -> Headers | None:
        """The fields policy goes by, for an answer with the fields ``told``; None if it is not to be stored. ``made``:
        it is a form of the resource that a stage has made, and need not be of the type that the path speaks of."""
        directives = parse(told.get(b"cache-control"))
        shared = any(name in directives for name in _SHARED)
        if self.guard and not (shared or made) and 200 <= status < 300 and static.agrees(request.path, told) is False:
            return None
        stated = _is_stated(told, directives)
        # What sets cookies is for the origin alone to hand to everybody.
        ours = (self.override or not stated) and b"set-cookie" not in told
        seconds = self._lifetime(request, status, told) if ours else None
        if seconds is None:
            guessed = not stated and b"public" not in directives
            return None if guessed and self._personal(request.headers) else told
        if seconds == 0:
            return None
        kept = {name: argument for name, argument in directives.items() if not _is_freshness(name, argument)}
        fields = told | {b"cache-control": _written(kept | {b"max-age": b"%d" % seconds})}
        fields.pop(b"expires", None)
        return fields

    def terms(self, status: int, fields: Headers, terms: Terms) -> Terms:
        """The terms that policy gave an answer by ``fields``, within this route's bounds and with its windows."""
        if terms.lifetime <= 0:
            return terms
        longest = min(self.longest, self.longest_error) if status >= 400 else self.longest
        terms = terms._replace(lifetime=min(max(terms.lifetime, self.shortest), longest))
        if terms.strict or terms.validate:  # nothing grants what the origin forbids (RFC 9111 §4.2.4)
            return terms
        directives = parse(fields.get(b"cache-control"))
        if b"stale-while-revalidate" not in directives:
            terms = terms._replace(while_revalidate=self.while_revalidate)
        if b"stale-if-error" not in directives:
            terms = terms._replace(if_error=self.if_error)
        return terms

    def immutable(self, request: Request, status: int, told: Headers) -> bool:
        """Whether this route's rules say that an answer never changes: its name has a digest of its content."""
        ours = self.override or not _is_stated(told, parse(told.get(b"cache-control")))
        return ours and self._hashed(request, status, told) and not static.reads_two_ways(request.target)

    def _lifetime(self, request: Request, status: int, told: Headers) -> float | None:
        if static.reads_two_ways(request.target):  # the rule may be meant for another resource than the origin's
            return None
        return YEAR if self._hashed(request, status, told) else self.lifetimes.of(status, told)

    def _hashed(self, request: Request, status: int, told: Headers) -> bool:
        return (
            self.hashed is not None
            and status in {200, 206}
            and self.hashed.search(request.path) is not None
            and static.agrees(request.path, told) is True
        )

    def _personal(self, request: Headers) -> bool:
        return b"authorization" in request or (b"cookie" in request and not self.guess_for_cookies)


def _is_stated(told: Headers, directives: Directives) -> bool:
    """Whether the origin says for how long an answer is fresh."""
    if b"expires" in told or b"s-maxage" in directives or b"max-age" in directives:
        return True
    return directives.get(b"no-cache") == b""


def _is_freshness(name: bytes, argument: bytes) -> bool:
    """A no-cache that is limited to fields says what is not stored (RFC 9111 §5.2.2.4), and not when."""
    return name in _FRESHNESS and not (name == b"no-cache" and argument)


def _written(directives: Directives) -> bytes:
    """Directives as a field value; an argument that is no number is quoted (RFC 9110 §5.6.4)."""
    return b", ".join([_directive(name, argument) for name, argument in directives.items()])


def _directive(name: bytes, argument: bytes) -> bytes:
    if not argument or argument.isdigit():
        return b"%b=%b" % (name, argument) if argument else name
    return b'%b="%b"' % (name, argument.replace(b"\\", b"\\\\").replace(b'"', b'\\"'))
