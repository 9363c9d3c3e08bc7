"""HEAD requests that the cache could not answer: what they say of the stored answer to a GET (RFC 9111 §4.3.5)."""

from __future__ import annotations

from typing import ClassVar

from edgeproxy.cache import key as cache_key
from edgeproxy.cache.collapse import Flight
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.landing import Landing, Store, answer_of
from edgeproxy.cache.lookup import Fetch
from edgeproxy.cache.purge import Purge
from edgeproxy.cache.rules import Rules
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange


class Confirmation:
    """A HEAD on its way to the origin, while ``entry`` is stored and was not good enough, for the ``reason`` given."""

    keeps: ClassVar[bool] = False

    def __init__(self, rules: Rules, entry: Entry, reason: bytes) -> None:
        self._rules = rules
        self._entry = entry
        self._reason = reason

    async def fetch(self, x: Exchange, fetch: Fetch, store: Store) -> Response:
        """The answer: the stored one's, if the origin's own is about the same. Raises EdgeError."""
        rules, entry = self._rules, self._entry
        x.verdict = b"fwd=" + self._reason
        sent = rules.clock.wall()
        response = await fetch(x)
        told = cache_key.of_request(x.request) == cache_key.url_of(entry.key)  # nothing that the key leaves out
        if response.status != 200 or entry.status != 200 or not told:
            return response
        if not _agrees(entry, response.headers()):
            rules.tiers.purge(Purge("url", cache_key.url_of(entry.key), soft=True, at=rules.clock.wall()))
            return response
        flight = Flight()
        await Landing(rules, entry.key, entry, self._reason, store).freshen(x, flight, entry, response, sent)
        return answer_of(flight, x, rules.clock.wall())


def _agrees(entry: Entry, told: Headers) -> bool:
    """Whether ETag, Last-Modified and Content-Length, as far as they are told, are those of the stored answer."""
    etag = told.get(b"etag")
    if etag is not None and entry.etag is not None:
        return etag.removeprefix(b"W/") == entry.etag.removeprefix(b"W/")
    modified, length = told.get(b"last-modified"), told.get(b"content-length")
    if modified is not None and entry.last_modified is not None and modified != entry.last_modified:
        return False
    if length is None or entry.body is None or told.get(b"content-encoding") != entry.told.get(b"content-encoding"):
        return True
    return length == b"%d" % len(entry.body)
