"""Dictionaries on their way to the shelf: which answers are some, and their bytes as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgeproxy.compression.audience import is_readable, origin_of
from edgeproxy.compression.offers import Offer, parse_offer
from edgeproxy.compression.patterns import Pattern, PatternError
from edgeproxy.compression.shelf import Shelf
from edgeproxy.errors import EdgeError
from edgeproxy.http.body import Body
from edgeproxy.http.message import Response
from edgeproxy.http.negotiate import IDENTITY
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import report
from edgeproxy.pipeline.sources import obtain, source_fields

if TYPE_CHECKING:
    from edgeproxy.pipeline.middleware import Services

ACCEPT: Final = b"accept-encoding"
_USE_AS: Final = b"use-as-dictionary"
_AT_ONCE: Final = 8  # arrivals in work; each holds a body


class _Slip(NamedTuple):
    """What is known of an arrival before its bytes."""

    origin: bytes
    target: str
    offer: Offer
    readable: bool


class Arrivals:
    """Brings answers to a shelf. ``offers`` are made of answers whose URL they match, the first that does; ``largest``
    is a dictionary's length in bytes at most."""

    def __init__(self, shelf: Shelf, offers: Sequence[Offer], largest: int, services: Services) -> None:
        self._shelf = shelf
        self._offers = [(Pattern(offer.match), offer, offer.field()) for offer in offers]
        self._largest = largest
        self._wall = services.clock.wall
        self._spawn = services.cache.spawn
        self._busy = 0
        self._outcomes = services.metrics.counter(
            "edgeproxy_dictionaries_total", "Answers that are dictionaries, by what became of them.", ("outcome",)
        )

    def take(self, x: Exchange, response: Response) -> None:
        """Bring a public answer with status 200 to the shelf if it says that it is a dictionary, or by the
        configuration is to say so."""
        body = response.body
        length = len(body) if isinstance(body, bytes) else body.length
        request = x.request
        target = request.target
        told = response.get(_USE_AS)
        if told is None:
            ruled = self._ruled(target)
            if ruled is None:
                return
            offer, told = ruled
        else:
            understood = _understood(told, origin_of(request), target)
            if understood is None:
                self._outcomes.inc("not_understood")
                return
            offer = understood
        if length is not None and length > self._largest:
            self._outcomes.inc("too_long")
            return
        response.set(_USE_AS, told)
        slip = _Slip(origin_of(request), target.decode("latin-1"), offer, is_readable(response))
        if response.get(b"content-encoding") is not None:
            if request.headers.get(ACCEPT, IDENTITY) != IDENTITY:
                self._work(self._bring_plain(x, slip))
        elif isinstance(body, bytes):
            self.arrived(body, slip)
        else:
            response.filter(_Collector(self, slip, self._largest).feed)
            response.drop(b"content-length")

    def arrived(self, body: bytes, slip: _Slip) -> None:
        """All of a dictionary is here."""
        self._work(self._put(body, slip))

    def too_long(self) -> None:
        """One was longer than it said, or than it could say."""
        self._outcomes.inc("too_long")

    def _ruled(self, target: bytes) -> tuple[Offer, bytes] | None:
        for pattern, offer, field in self._offers:
            if pattern.covers(target):
                return offer, field
        return None

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        if self._busy >= _AT_ONCE:
            work.close()
            self._outcomes.inc("busy")
            return
        self._busy += 1
        self._spawn(self._counted(work))

    async def _counted(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except EdgeError:
            self._outcomes.inc("failed")
        except Exception as error:  # noqa: BLE001 -- a stage's fault ends this arrival alone
            self._outcomes.inc("failed")
            report(error)
        finally:
            self._busy -= 1

    async def _put(self, body: bytes, slip: _Slip) -> None:
        try:
            new = await asyncio.to_thread(self._shelf.put, body, *slip, self._wall())
        except OSError:  # /dev/shm is small in containers
            self._outcomes.inc("failed")
        else:
            self._outcomes.inc("kept" if new else "present")

    async def _bring_plain(self, x: Exchange, slip: _Slip) -> None:
        """Ask for what the origin has compressed as nobody who reads any coding would."""
        fields = source_fields(x.request) | {ACCEPT: IDENTITY}
        response = await obtain(x, x.request.with_headers(fields), x.route)
        body = await _whole(response.body, self._largest)
        if body is None:
            self._outcomes.inc("too_long")
        elif response.status == 200 and response.get(b"content-encoding") is None:
            await self._put(body, slip)
        else:
            self._outcomes.inc("failed")


class _Collector:
    """A body filter that changes nothing, and hands on what has passed when all of it has."""

    __slots__ = ("_arrivals", "_chunks", "_left", "_slip")

    def __init__(self, arrivals: Arrivals, slip: _Slip, largest: int) -> None:
        self._arrivals = arrivals
        self._slip = slip
        self._chunks: list[bytes] = []
        self._left = largest

    def feed(self, chunk: bytes) -> bytes:
        if self._left < 0:
            return chunk
        if chunk:
            self._chunks.append(chunk)
            self._left -= len(chunk)
            if self._left < 0:
                self._chunks.clear()
                self._arrivals.too_long()
        else:
            self._arrivals.arrived(b"".join(self._chunks), self._slip)
        return chunk


def _understood(told: bytes, origin: bytes, target: bytes) -> Offer | None:
    """What Use-As-Dictionary says of the answer at a URL, if it is something that can be gone by."""
    offer = parse_offer(told)
    if offer is None:
        return None
    try:
        Pattern(offer.match, origin.decode("latin-1"), target.decode("latin-1"))
    except PatternError:
        return None
    return offer


async def _whole(body: bytes | Body, longest: int) -> bytes | None:
    """A body in one piece; None if it has more than ``longest`` bytes. Raises EdgeError if it breaks off."""
    if isinstance(body, bytes):
        return body if len(body) <= longest else None
    chunks: list[bytes] = []
    try:
        while chunk := await body.read():
            chunks.append(chunk)
            longest -= len(chunk)
            if longest < 0:
                return None
    finally:
        body.close()
    return b"".join(chunks)
