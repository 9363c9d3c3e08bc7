"""Another route in the place of an exchange's own, because a stage on its way found that it should be.

Nobody gets past a guard by it. What is left of the exchange's own route judges it as well, unless the other route has
that stage itself, with settings of its own; then the other route's stages do, but for those that were passed already.
Cache and origin are the other route's, and its answers are kept apart from those of any URL that others ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.chain import compile_chain, overrides
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import fetch, report, store

if TYPE_CHECKING:
    from edgeproxy.config.snapshot import Route
    from edgeproxy.pipeline.middleware import Middleware, Services

JOINED: Final = 64  # pairs of routes that are remembered; after a reload they are others


class HandOver:
    """What a stage, ``at``, hands exchanges over by."""

    def __init__(self, at: Middleware, services: Services) -> None:
        self._at = at
        self._by_name: Callable[[str], Route | None] = services.route_named
        self._by_request: Callable[[Request], Route | None] = services.route
        self._known: dict[tuple[Route, Route], Route] = {}

    def find(self, x: Exchange, name: str) -> Route | None:
        """The route by which an exchange goes on that is handed over to the one of that name. None if there is no such
        route any more, and for what was handed over before: there are no circles."""
        other, matched = self._by_name(name), self._by_request(x.request)
        if other is None or matched is None or x.route.name != matched.name or x.route.name == other.name:
            return None
        pair = (x.route, other)
        route = self._known.get(pair)
        if route is None:
            if len(self._known) >= JOINED:
                self._known.clear()
            route = self._known[pair] = joined(x.route, other, self._at)
        return route


def joined(own: Route, other: Route, at: Middleware) -> Route:
    """The route of what the stage ``at`` of one hands over to another."""
    stages, others = own.chain.stages, other.chain.stages
    place = stages.index(at) + 1
    theirs = {stage.name for stage in others}
    guards = [stage for stage in stages[place:] if _judges(stage) and stage.name not in theirs]
    left = compile_chain([*guards, *(stage for stage in others if stage not in stages[:place])])
    whole = compile_chain([*guards, *others])  # what was passed still takes part in fetching and storing
    log = tuple(dict.fromkeys((*left.log, *own.chain.log)))
    chain = whole._replace(request=left.request, inline=(), responders=left.responders, log=log)
    return type(other)(other.name, chain, other.origin, other.partition or other.name.encode())


async def go_on(x: Exchange, route: Route) -> Response:
    """The answer to an exchange by a route that :meth:`HandOver.find` gave. Raises EdgeError, and what a stage
    raises."""
    x.route = route
    for step in route.chain.request:
        responders = step.responders
        verdict = step.hook(x)
        response = verdict if verdict is None or isinstance(verdict, Response) else await verdict
        if response is not None:
            break
    else:
        responders = route.chain.responders
        response = await (fetch(x) if x.lookup is None else x.lookup.fetch(x, fetch, store))
    for hook in responders:
        try:
            hook(x, response)
        except Exception as error:  # noqa: BLE001 -- as in the runner: it is left out of this answer
            report(error)
    return response


def _judges(stage: Middleware) -> bool:
    return overrides(stage, "request") and not stage.shapes
