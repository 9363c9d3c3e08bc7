"""Better copies of variants that were made in a hurry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeproxy.http.headers import Headers
from edgeproxy.images.originals import close, original_request, read, unfit
from edgeproxy.images.plan import ImageError, Plan
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.improvement import Better, Improvement
from edgeproxy.pipeline.sources import obtain

if TYPE_CHECKING:
    from edgeproxy.images.variants import Variants

_NOBODY: Final = Peer("", 0, "", "", None)


class Unhurried(Improvement):
    """A variant that was made in a hurry, made well."""

    def __init__(self, variants: Variants, x: Exchange, plan: Plan) -> None:
        self._variants = variants
        self._request = original_request(x.request)
        self._route = x.route
        self._facet = x.facet
        self._plan = plan

    async def prepare(self, body: bytes, headers: Headers) -> Better | None:
        variants = self._variants
        x = Exchange(self._request, _NOBODY, variants.now())
        x.route = self._route
        route = variants.ways.route(x, self._request)
        if route is None:
            return None
        source = await obtain(x, original_request(self._request), route)
        if source.status != 200 or unfit(source, variants.ways.largest):
            close(source)
            return None
        whole = await read(source.body, variants.ways.largest)
        if not isinstance(whole, bytes):
            whole.close()
            return None
        if variants.tag(source, self._facet, whole) != headers.get(b"etag"):
            return None  # the picture is another by now, and its variant out of date
        plan = variants.full(self._plan, unhurried=True)
        try:
            picture = await variants.studio.make(whole, plan, background=True)
        except ImageError:
            return None
        if len(picture.body) >= len(body):
            variants.ways.tell("as-good")
            return None
        variants.ways.tell("improved")
        return Better(picture.body, {b"content-type": picture.content_type})
