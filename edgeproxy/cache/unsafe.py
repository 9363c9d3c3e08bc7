"""Requests that change something, and what that means for what is stored (RFC 9111 §4.4)."""

from __future__ import annotations

from typing import ClassVar

from edgeproxy.cache import groups
from edgeproxy.cache import key as cache_key
from edgeproxy.cache.bypass import OTHER_METHOD
from edgeproxy.cache.collapse import Flight
from edgeproxy.cache.directives import parse, seconds
from edgeproxy.cache.landing import Landing, Store, answer_of
from edgeproxy.cache.lookup import Fetch
from edgeproxy.cache.purge import Purge
from edgeproxy.cache.rules import Rules
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange


class Invalidation:
    """An unsafe request on its way: once it has succeeded, what is stored for its target is out of date."""

    keeps: ClassVar[bool] = False

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    async def fetch(self, x: Exchange, fetch: Fetch, store: Store) -> Response:
        """The origin's answer. Raises EdgeError."""
        response = await fetch(x)
        if not 200 <= response.status < 400:
            return response
        request, tiers = x.request, self._rules.tiers
        done = [tiers.invalidate(cache_key.of_request(request))]
        for name in (b"location", b"content-location"):
            url = _same_site(response.get(name), request)
            if url is not None:
                done.append(tiers.invalidate(url))
        for tag in groups.invalidated(response.headers(), request):
            done.append(Purge("tag", tag, soft=False, at=self._rules.clock.wall()))
            tiers.purge(done[-1])
        if tiers.spread is not None:
            await tiers.spread(done)
        return await self._keep(x, response, store) if self._answers_get(x, response) else response

    def _answers_get(self, x: Exchange, response: Response) -> bool:
        """Whether the answer is what a GET would bring (RFC 9110 §9.3.3): to a POST, about its own target, with a
        lifetime of its own."""
        request, rules = x.request, self._rules
        if request.method != b"POST" or response.status != 200 or not OTHER_METHOD.isdisjoint(request.headers):
            return False
        if rules.bypass is not None and rules.bypass(request):
            return False
        target = cache_key.of_request(request)  # what the origin was asked, which is not all that the key may say
        if cache_key.url_of(rules.recipe.of(x)) != target:
            return False
        if _same_site(response.get(b"content-location"), request) != target:
            return False
        told = rules.told(x, 200, response.headers()) or {}
        directives = parse(told.get(b"cache-control"))
        lifetime = seconds(directives, b"s-maxage") or seconds(directives, b"max-age")
        explicit = bool(lifetime) or b"expires" in told
        return explicit and rules.fits(response) and rules.storable(x, 200, response.headers())

    async def _keep(self, x: Exchange, response: Response, store: Store) -> Response:
        """Store it under the key that a GET has, later than what the request has invalidated."""
        flight = Flight()
        began = self._rules.clock.wall() + 1e-3
        landing = Landing(self._rules, self._rules.recipe.of(x), None, b"method", store)
        get = x.fork(x.request.with_headers(x.request.headers))
        self._rules.tiers.spawn(_bring(landing, get, flight, response, began))
        await flight.head()
        return answer_of(flight, get, began)


async def _bring(landing: Landing, x: Exchange, flight: Flight, response: Response, began: float) -> None:
    """Keep the answer in a task of its own, which the client's leaving does not end."""
    try:
        await landing.keep(x, flight, response, began)
    except Exception as error:  # noqa: BLE001 -- handed to whoever waits, which reports it
        flight.fail(error)


def _same_site(location: bytes | None, request: Request) -> bytes | None:
    """The key of a URL that Location or Content-Location told; None if it is of another authority, which is not this
    origin's to invalidate."""
    if location is None or not request.authority:
        return None
    base = b"%b://%b" % (request.scheme, request.authority)
    if location.startswith(b"/") and not location.startswith(b"//"):
        location = base + location
    if not location.startswith(base + b"/"):
        return None
    try:
        return cache_key.of_url(location.decode("ascii"))
    except ValueError:
        return None
