"""A stage's sub-exchange: another resource as the source of an answer, through that resource's own cache and origin.

It is asked for as nobody: no client, no cookies, no credentials. So what it brings is what anybody may have, and it is
kept, collapsed and bounded like anything else. Whoever asks has to see to it that its client may have it: the stages
that judge clients are not passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import fetch, store

if TYPE_CHECKING:
    from edgeproxy.config.snapshot import Route

# What may go along of the client's fields: none that says who it is.
_SENT: Final = (b"host", b"cache-control", b"pragma", b"cdn-loop", b"via")


def source_fields(request: Request) -> Headers:
    """The fields a source is asked for with, on behalf of a request to the same host."""
    return {name: request.headers[name] for name in _SENT if name in request.headers} | {b"accept": b"*/*"}


async def obtain(x: Exchange, request: Request, route: Route) -> Response:
    """The answer to a GET on a route, asked for on behalf of an exchange; whoever asks reads its body or closes it.

    Raises EdgeError, and what a stage raises.
    """
    own = Exchange(request, x.peer, x.started)
    own.route, own.id, own.place, own.arms, own.aside = route, x.id, x.place, x.arms, True
    for hook in route.chain.shaping:
        verdict = hook(own)
        response = verdict if verdict is None or isinstance(verdict, Response) else await verdict
        if response is not None:
            return response
    return await (fetch(own) if own.lookup is None else own.lookup.fetch(own, fetch, store))
