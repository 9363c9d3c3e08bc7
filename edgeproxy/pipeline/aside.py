"""Takes a sub-exchange that no client waits for through its route, so that the cache has its answer."""

from __future__ import annotations

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import fetch, store


async def fill(x: Exchange) -> bool:
    """Whether it was fetched to be kept: not where a stage answered, the cache among them, nor where the cache passes it
    by. The stages that guard the route guard it here too; it is not logged. Raises EdgeError, and what a stage raises.
    """
    chain = x.route.chain
    for hook, _ in chain.inline:
        response = hook(x)
        if response is not None:
            _close(response)
            return False
    for step in chain.rest:
        verdict = step.hook(x)
        response = await verdict if step.awaited else verdict
        if response is not None:
            _close(response)
            return False
    if x.lookup is None:
        return False
    response = await x.lookup.fetch(x, fetch, store)
    kept = b"stored" in x.verdict.split(b"; ")
    if kept and not isinstance(response.body, bytes):
        while await response.body.read():
            pass  # so that it counts as under way for as long as it is
    _close(response)
    return kept


def _close(response: Response) -> None:
    if not isinstance(response.body, bytes):
        response.body.close()
