"""Copies of requests, sent to another pool while nobody waits, and whether its answers are like those clients got."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from xxhash import xxh3_128

from edgeproxy.errors import EdgeError
from edgeproxy.http.body import Body, Pipe
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import report
from edgeproxy.routing.pools import Pools

_MARKED: Final = b"1"
_NOT_MODIFIED: Final = 304


class Terms(NamedTuple):
    """What is copied, and how far. ``share`` of requests, 0 to 1; ``mark``: the field a copy bears; ``removed``: fields
    it does not get; ``largest``: bytes of a request's body; ``read``: bytes of an answer's; ``copies`` at a time;
    ``patience`` in seconds; ``bodies``: whether answers' bodies are compared, not their status alone."""

    pool: str
    share: float
    methods: frozenset[bytes]
    mark: bytes
    removed: frozenset[bytes]
    largest: int
    read: int
    copies: int
    patience: float
    bodies: bool


class Seen(NamedTuple):
    """An answer: its status, and the digest of its body's beginning, b"" where that is not compared."""

    status: int
    digest: bytes = b""


class Original:
    """What clients get in place of a copy's answer, once it is known; None if that will never be."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: asyncio.Future[Seen | None] = asyncio.get_running_loop().create_future()

    def tell(self, seen: Seen | None) -> None:
        """Say it; only the first word counts."""
        if not self._seen.done():
            self._seen.set_result(seen)

    async def seen(self) -> Seen | None:
        return await self._seen


class Beginning:
    """A digest of the first bytes of a body."""

    __slots__ = ("_digest", "_left")

    def __init__(self, size: int) -> None:
        self._left = size
        self._digest = xxh3_128()

    def take(self, data: bytes) -> bool:
        """Take a chunk in; whether more of them count."""
        if self._left > 0:
            self._digest.update(data[: self._left])
            self._left -= len(data)
        return self._left > 0

    def digest(self) -> bytes:
        value: bytes = self._digest.digest()
        return value


class Watched(Body):
    """A body whose beginning is told once it has been read."""

    __slots__ = ("_beginning", "_body", "_original", "_status", "length", "trailers")

    def __init__(self, body: Body, status: int, size: int, original: Original) -> None:
        self.length = body.length
        self.trailers = None
        self._body = body
        self._status = status
        self._beginning = Beginning(size)
        self._original = original

    @property
    def arriving(self) -> Body:
        return self._body.arriving

    async def read(self) -> bytes:
        try:
            data = await self._body.read()
        except BaseException:
            self._original.tell(None)
            raise
        self._note(data, ended=not data)
        return data

    def take(self) -> bytes | None:
        data = self._body.take()
        if data is not None:
            self._note(data, ended=True)
        return data

    def close(self) -> None:
        self._original.tell(None)
        self._body.close()

    def _note(self, data: bytes, *, ended: bool) -> None:
        if not self._beginning.take(data) or ended:
            self._original.tell(Seen(self._status, self._beginning.digest()))
        if ended:
            self.trailers = self._body.trailers


class Mirror:
    """One stage's copies. ``count`` is told what became of each."""

    def __init__(self, terms: Terms, count: Callable[[str], None]) -> None:
        self._terms = terms
        self._count = count
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: dict[Exchange, Original] = {}

    def fetch(self, x: Exchange) -> Awaitable[Response] | None:
        """Copy what the origin is asked: the fetch hook. It is the last of them, and so asks the origin itself."""
        original = self._copy(x)
        return None if original is None else self._beside(x, original)

    def request(self, x: Exchange) -> None:
        """Copy what a client asks: the request hook."""
        if not x.aside:
            original = self._copy(x)
            if original is not None:
                self._open[x] = original

    def log(self, x: Exchange) -> None:
        """Its end: what the client was told."""
        original = self._open.pop(x, None)
        if original is not None:
            original.tell(Seen(x.status) if x.status else None)

    async def stop(self) -> None:
        """Give up the copies under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def under_way(self) -> int:
        """How many copies are on their way now."""
        return len(self._tasks)

    async def _beside(self, x: Exchange, original: Original) -> Response:
        terms = self._terms
        try:
            response = await x.route.origin.fetch(x)
        except BaseException:
            original.tell(None)
            raise
        if not terms.bodies:
            original.tell(Seen(response.status))
        elif isinstance(response.body, bytes):
            beginning = Beginning(terms.read)
            beginning.take(response.body)
            original.tell(Seen(response.status, beginning.digest()))
        else:
            response.body = Watched(response.body, response.status, terms.read, original)
        return response

    def _copy(self, x: Exchange) -> Original | None:
        """Send a copy of the exchange's request on its way; None if there is to be none."""
        terms, request, origin = self._terms, x.request, x.route.origin
        if (
            request.method not in terms.methods
            or terms.mark in request.headers  # a copy itself
            or b"upgrade" in request.headers
            or not isinstance(origin, Pools)
            or (terms.share < 1 and random.random() >= terms.share)
        ):
            return None
        if len(self._tasks) >= terms.copies:
            self._count("dropped")
            return None
        body: Body | None = None
        if request.body is not None:
            whole = _whole(request, terms.largest)
            if whole is None:
                self._count("body")
                return None
            body = whole
        own = Exchange(_copied(request, terms, body), x.peer, x.started)
        own.route, own.id, own.client, own.place, own.aside = x.route, x.id, x.client, x.place, True
        original = Original()
        task = asyncio.get_running_loop().create_task(self._send(own, origin.instead(terms.pool), original))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return original

    async def _send(self, x: Exchange, pool: Pools, original: Original) -> None:
        outcome = "given_up"
        try:
            async with asyncio.timeout(self._terms.patience):
                copied = await self._ask(x, pool)
                seen = await original.seen()
            outcome = _compared(seen, copied)
        except TimeoutError:
            outcome = "timeout"
        except EdgeError:
            outcome = "failed"
        except Exception as error:  # noqa: BLE001 -- nobody waits for it, and it is a fault of our own
            report(error)
            outcome = "failed"
        finally:
            self._count(outcome)

    async def _ask(self, x: Exchange, pool: Pools) -> Seen:
        """The copy's answer; no more of its body is read than what counts."""
        response = await pool.fetch(x)
        beginning = Beginning(self._terms.read)
        if isinstance(response.body, bytes):
            beginning.take(response.body)
        else:
            try:
                while (data := await response.body.read()) and beginning.take(data):
                    pass
            finally:
                response.body.close()
        return Seen(response.status, beginning.digest() if self._terms.bodies else b"")

    def __repr__(self) -> str:
        return f"<Mirror to {self._terms.pool}, {len(self._tasks)} under way>"


def _compared(seen: Seen | None, copied: Seen) -> str:
    if seen is None or (seen.status != copied.status and _NOT_MODIFIED in (seen.status, copied.status)):
        return "unknown"  # a validator that one of the two knows says nothing of what the other would have answered
    if seen.status // 100 != copied.status // 100:
        return "status"
    return "same" if seen.digest == copied.digest else "differs"


def _whole(request: Request, largest: int) -> Pipe | None:
    """A body of its own for a copy, if all of it is here and it is small enough; the request then has one of its own
    too."""
    body = request.body
    if body is None or (body.length or 0) > largest:
        return None
    data = body.take()
    if data is None:
        return None
    request.body = _filled(data, body)
    return None if len(data) > largest else _filled(data, body)


def _filled(data: bytes, like: Body) -> Pipe:
    pipe = Pipe(like.length)
    if data:
        pipe.feed(data)
    pipe.finish(like.trailers)
    return pipe


def _copied(request: Request, terms: Terms, body: Body | None) -> Request:
    headers = {name: value for name, value in request.headers.items() if name not in terms.removed}
    headers[terms.mark] = _MARKED
    own = request.with_headers(headers)
    own.length, own.body = request.length, body
    return own
