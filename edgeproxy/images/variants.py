"""Makes what a facet says of the picture a request asks for: obtains the original, has it made, passes it on if not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

import xxhash

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.conditional import evaluate
from edgeproxy.http.message import Request, Response
from edgeproxy.images import answer, options
from edgeproxy.images.failures import Failures
from edgeproxy.images.front import FIELD
from edgeproxy.images.originals import close, is_personal, original_request, read, unfit
from edgeproxy.images.plan import TYPES, ImageError, Picture, Plan
from edgeproxy.images.probe import probe
from edgeproxy.images.unhurried import Unhurried
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo
from edgeproxy.pipeline.sources import obtain

if TYPE_CHECKING:
    from edgeproxy.config.snapshot import Route

# Conditions that guard a change are the origin's to judge (RFC 9111 §4.3.2).
_FOR_THE_ORIGIN: Final = (b"if-match", b"if-unmodified-since")
_EXIF: Final = (b"Exif\0\0", b"eXIf", b"EXIF")  # as JPEG and AVIF, PNG, and WebP mark it

R = TypeVar("R", bound=Response | None)


class Maker(Protocol):
    """What makes pictures: :class:`edgeproxy.images.studio.Studio`."""

    async def make(self, source: bytes, plan: Plan, *, background: bool = False) -> Picture:
        """The variant. Raises ImageError."""


class Ways(NamedTuple):
    """How one stage goes about it. ``most`` exchanges may hold an original at a time, of ``largest`` bytes each.
    ``likeness``: the SSIM aimed at where no quality was asked for, 0 for none. ``hurry``: what takes long is made
    quickly first. ``craft``: what else makes one variant differ from another made of the same. ``route``: the one a
    request for a picture may take on behalf of an exchange, None if it may not. ``tell`` is told each outcome,
    ``weigh`` the bytes of original and variant."""

    most: int
    largest: int
    likeness: float
    hurry: bool
    craft: bytes
    route: Callable[[Exchange, Request], Route | None]
    tell: Callable[[str], None]
    weigh: Callable[[int, int], None]


class Variants:
    """One stage's variants; ``now`` gives monotonic seconds."""

    def __init__(self, studio: Maker, ways: Ways, now: Callable[[], float]) -> None:
        self.studio = studio
        self.ways = ways
        self.now = now
        self._failures = Failures(now)
        self._plans: Memo[bytes, Plan] = Memo(_plan, 1024)
        self._making: dict[bytes, asyncio.Task[Picture]] = {}
        self._holding = 0

    async def fetch(self, x: Exchange) -> Response | None:
        """The variant, or the original in its place; None if the client's own request is to go to the origin. Raises
        EdgeError, and what a stage raises."""
        request = x.request
        route = self.ways.route(x, request)
        if route is None:  # no longer: the configuration has changed since
            raise EdgeError(Kind.NO_ROUTE, "edge")
        own = route.name == x.route.name
        if own and any(name in request.headers for name in _FOR_THE_ORIGIN):
            x.keep = False
            return None
        source = await obtain(x, original_request(request), route)
        if own and is_personal(source, request.headers):
            close(source)
            x.keep = False
            return self._outcome("personal", None)
        if source.status != 200:
            return self._outcome("no-source", answer.passed_on(source))
        reason = unfit(source, self.ways.largest)
        if reason or self._holding >= self.ways.most:
            return self._instead(x, source, reason or "queue")
        self._holding += 1
        try:
            return await self._variant(x, source, self._plans[x.facet])
        finally:
            self._holding -= 1

    async def _variant(self, x: Exchange, source: Response, plan: Plan) -> Response:
        etag = self.tag(source, x.facet)
        settled = etag and self._without_making(x, source, plan, etag)
        if settled:
            close(source)
            return settled
        source.body = body = await read(source.body, self.ways.largest)
        if not isinstance(body, bytes):
            return self._instead(x, source, "bytes")
        if not etag:
            etag = self.tag(source, x.facet, body)
            settled = self._without_making(x, source, plan, etag)
            if settled:
                return settled
        known = xxhash.xxh3_128_digest(body) + x.facet
        reason = self._failures.reason(known)
        if reason:
            return self._instead(x, source, reason, etag)
        try:
            picture = await self._make(known, body, plan)
            if _is_no_gain(picture, body, plan):
                raise ImageError("larger")
        except ImageError as error:
            self._failures.note(known, error.reason)
            return self._instead(x, source, error.reason, etag)
        self.ways.weigh(len(body), len(picture.body))
        if picture.unhurried and not plan.hurry:
            x.improvement = Unhurried(self, x, plan)
        fields = answer.variant_fields(source, etag, picture.content_type, x.settled)
        return self._outcome("made", Response(200, fields, picture.body))

    async def _make(self, known: bytes, body: bytes, plan: Plan) -> Picture:
        """The variant, made once for all who want it now: the cache cannot have those wait for each other who say who
        they are. Raises ImageError."""
        making = self._making.get(known)
        if making is None:
            making = asyncio.get_running_loop().create_task(self.studio.make(body, self.full(plan)))
            self._making[known] = making
            making.add_done_callback(partial(self._made, known))
        return await asyncio.shield(making)

    def _made(self, known: bytes, making: asyncio.Task[Picture]) -> None:
        del self._making[known]
        if not making.cancelled():
            making.exception()  # whoever still waits for it is told; nobody else has to be

    def tag(self, source: Response, facet: bytes, body: bytes = b"") -> bytes:
        """The entity tag of a source's variant, by the fields alone or by the ``body`` too; b"" if it takes that."""
        validator = answer.validator(source) or (body and xxhash.xxh3_128_digest(body))
        return answer.tag(validator, facet, self.ways.craft) if validator else b""

    def full(self, plan: Plan, *, unhurried: bool = False) -> Plan:
        """The plan with what this stage adds to what was asked for."""
        if self.ways.likeness and not plan.quality:
            plan = plan._replace(ssim=self.ways.likeness)
        return plan._replace(hurry=not unhurried and (plan.hurry or self.ways.hurry))

    def _without_making(self, x: Exchange, source: Response, plan: Plan, etag: bytes) -> Response | None:
        """What can be said without the picture: that it is the same as ever, or what a HEAD is answered with."""
        kind = TYPES.get(plan.format) or source.get(b"content-type", b"") or b""
        fields = answer.variant_fields(source, etag, kind, x.settled)
        if evaluate(x.request.method, x.request.headers, 200, etag, None) == "not_modified":
            return self._outcome("unchanged", Response(304, fields))
        return self._outcome("told", Response(200, fields)) if x.request.method == b"HEAD" else None

    def _instead(self, x: Exchange, source: Response, reason: str, etag: bytes = b"") -> Response:
        """The original in place of a variant. Where it is the best there is, it is kept as a variant is."""
        passed = answer.passed_on(source, reason)
        if reason == "larger":
            fields = answer.variant_fields(source, etag, source.get(b"content-type", b"") or b"", x.settled)
            passed.replace(fields | {FIELD: passed.own[FIELD]})
        else:
            x.keep = False
        return self._outcome(reason, passed)

    def _outcome(self, word: str, response: R) -> R:
        self.ways.tell(word)
        return response


def _plan(facet: bytes) -> Plan:
    return options.parse(facet).plan


def _is_no_gain(picture: Picture, source: bytes, plan: Plan) -> bool:
    """Whether the original, no smaller in pixels, is no larger in bytes, and nothing about it was to change."""
    if len(picture.body) < len(source) or picture.content_type == TYPES["json"]:
        return False
    changes = plan._replace(width=0, height=0, format="", quality=0, hurry=False, metadata="copyright")
    told = plan.metadata != "keep" and any(mark in source for mark in _EXIF)
    found = probe(source)
    return changes == Plan() and not told and {found.width, found.height} == {picture.width, picture.height}
