"""Takes a sub-exchange that no client waits for through its route, so that the cache has its answer."""

from __future__ import annotations

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import fetch, store


async def is_missing(x: Exchange) -> bool:
    """Whether there is something to :func:`bring`: no stage answered, the cache among them, nor does the cache pass it
    by. So the stages that guard the route guard it here too. Raises EdgeError, and what a stage raises."""
    x.aside = True
    for step in x.route.chain.request:
        verdict = step.hook(x)
        response = verdict if verdict is None or isinstance(verdict, Response) else await verdict
        if response is not None:
            _close(response)
            return False
    return x.lookup is not None and x.lookup.keeps


async def bring(x: Exchange) -> bool:
    """Fetch what is missing, and wait until it is whole; False if it is not for the cache. Raises like it."""
    if x.lookup is None:
        return False
    response = await x.lookup.fetch(x, fetch, store)
    kept = b"stored" in x.verdict.split(b"; ")
    if kept and not isinstance(response.body, bytes):
        while await response.body.read():
            pass
    _close(response)
    return kept


def _close(response: Response) -> None:
    if not isinstance(response.body, bytes):
        response.body.close()
