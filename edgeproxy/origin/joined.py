"""A large body from several endpoints: parts are fetched ahead of their reader and joined in order.

The first answer streams from its first byte. While parts come from elsewhere it is held back, not given up: if a part
cannot be had, or is of another representation, its own rest follows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final

from edgeproxy.balance.ask import Ask
from edgeproxy.config.connections import RangesConfig
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body
from edgeproxy.http.message import Response
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.members import Members
from edgeproxy.origin.ranges import Plan, plan
from edgeproxy.origin.retry import Budget
from edgeproxy.origin.sender import Sender, discard
from edgeproxy.origin.tries import Tries
from edgeproxy.origin.wire import Call
from edgeproxy.pipeline.exchange import Exchange

TIMES: Final = 2  # a part is asked for, each time elsewhere
NUDGE: Final = 15.0  # seconds after which some of the first answer is read, or its origin might take us for gone
NUDGE_WAIT: Final = 0.05  # seconds that may take


class Joiner:
    """Takes large answers of one pool apart; ``node`` is what this node is called in requests."""

    def __init__(
        self,
        pool: str,
        config: RangesConfig,
        metrics: Metrics,
        members: Members,
        sender: Sender,
        budget: Budget,
        now: Callable[[], float],
        node: bytes,
    ) -> None:
        self.parts = config.parts
        self._pool = pool
        self._config = config
        self._members = members
        self._sender = sender
        self._budget = budget
        self._now = now
        self._node = node
        self._results = metrics.counter(
            "edgeproxy_origin_parts_total", "Parts of large answers, by what became of them.", ("pool", "result")
        )

    def join(self, x: Exchange, call: Call, response: Response) -> Response:
        """The same answer, its body fetched in parts if it is one for that."""
        found = plan(self._config, x.request, response)
        if found is not None and not isinstance(response.body, bytes):
            response.body = Joined(self, found, x, call.until, response.body)
        return response

    async def fill(self, part: Part, layout: Plan, x: Exchange, until: float) -> None:
        """Fetch a part, elsewhere again what did not come; it is settled in any case."""
        result = "lost"
        try:
            result = await self._fetch(part, layout, x, until)
        finally:
            self._results.inc(self._pool, result)
            part.settle(lost=result != "whole")

    async def _fetch(self, part: Part, layout: Plan, x: Exchange, until: float) -> str:
        tried: tuple[Endpoint, ...] = ()
        for time in range(TIMES):
            if time and not self._budget.spend(self._now()):
                break
            tries = self._tries(part, layout, x, until)
            tries.tried = tried
            endpoint = self._members.another(tries.ask, tried) or self._members.pick(tries.ask, ())
            if endpoint is None:
                break
            with contextlib.suppress(EdgeError):
                result = await self._ask(part, layout, tries, endpoint)
                if result != "lost":
                    return result
            tried = tries.tried if tries.endpoint is None else (*tries.tried, tries.endpoint)
        return "lost"

    async def _ask(self, part: Part, layout: Plan, tries: Tries, endpoint: Endpoint) -> str:
        response = await self._sender.send(tries, endpoint)
        judgement = layout.judge(response, part.at, part.end)
        if judgement != "part":
            discard(response)
            return "changed" if judgement == "changed" else "lost"
        body = response.body
        if isinstance(body, bytes):
            part.feed(body)
        else:
            try:
                while part.at < part.end and (data := await body.read()):
                    part.feed(data)
            finally:
                body.close()
        return "whole" if part.at == part.end else "lost"

    def _tries(self, part: Part, layout: Plan, x: Exchange, until: float) -> Tries:
        """The request for what is missing of a part, as if nothing had been tried."""
        request = x.request.with_headers(layout.headers(part.at, part.end))
        shape = self._sender.kinds.of(request.method, request.target)
        asking = Exchange(request, x.peer, x.started)
        asking.place, asking.score = x.place, x.score
        ask = Ask(self._now(), shape.kind, regions=self._members.regions(x.place))
        return Tries(asking, Call(request, until, None, self._node), ask, shape)

    def __repr__(self) -> str:
        return f"<Joiner {self._pool}>"


class Part:
    """Bytes from ``at`` on are yet to come, up to ``end``. Holds what nobody has read yet: at most a part's length."""

    __slots__ = ("_chunks", "_lost", "_settled", "_waiter", "at", "end", "task")

    def __init__(self, start: int, end: int) -> None:
        self.at = start
        self.end = end
        self.task: asyncio.Task[None] | None = None
        self._chunks: list[bytes] = []
        self._lost = False
        self._settled = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes; more than were asked for are left."""
        data = data[: self.end - self.at]
        self.at += len(data)
        self._chunks.append(data)
        self._wake()

    def settle(self, *, lost: bool) -> None:
        """No more will come: it is whole, or ``lost``."""
        self._lost = lost
        self._settled = True
        self._wake()

    async def read(self) -> bytes:
        """The next bytes; b"" when there are no more, because it is whole or lost."""
        while not self._chunks and not self._settled:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)

    @property
    def lost(self) -> bool:
        return self._lost

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __repr__(self) -> str:
        state = "lost" if self._lost else "settled" if self._settled else "coming"
        return f"<Part up to {self.end}, {state} at {self.at}>"


class Joined(Body):
    """The body, in order. Nothing is asked for before somebody reads."""

    __slots__ = (
        "_at",
        "_first",
        "_first_at",
        "_held",
        "_joiner",
        "_next",
        "_nudged",
        "_parts",
        "_plan",
        "_straight",
        "_until",
        "_x",
        "length",
    )

    def __init__(self, joiner: Joiner, layout: Plan, x: Exchange, until: float, first: Body) -> None:
        self.length = layout.length
        self._joiner = joiner
        self._plan = layout
        self._x = x
        self._until = until
        self._first = first
        self._held = b""  # of the first answer, read already
        self._first_at = 0  # where that begins
        self._at = 0  # what the reader has had
        self._next = layout.size  # where the next part begins
        self._parts: deque[Part] = deque()
        self._straight = False  # the rest comes from the first answer
        self._nudged = 0.0

    async def read(self) -> bytes:
        if self._at == self._plan.length:
            return b""
        if not self._straight:
            self._ask_ahead()
        if self._straight or self._at < self._plan.size:
            data = await self._from_first()
        else:
            data = await self._from_parts()
        self._at += len(data)
        if self._at == self._plan.length:
            self.close()
        return data

    def close(self) -> None:
        self._drop_parts()
        self._first.close()

    def _ask_ahead(self) -> None:
        """Have as many parts under way, or here and unread, as there may be beside the first answer."""
        layout = self._plan
        while len(self._parts) < self._joiner.parts - 1 and self._next < layout.length:
            part = Part(self._next, layout.end(self._next))
            self._next = part.end
            part.task = asyncio.get_running_loop().create_task(self._joiner.fill(part, layout, self._x, self._until))
            self._parts.append(part)

    async def _from_first(self) -> bytes:
        """What the reader wants next, from the first answer. Raises EdgeError if that has broken off."""
        end = self._plan.length if self._straight else self._plan.size
        while True:
            data = self._held or await self._first.read()
            self._held = b""
            if not data:
                raise EdgeError(Kind.RESPONSE_INCOMPLETE, "origin")
            skipped = self._at - self._first_at
            if skipped < len(data):
                wanted = data[skipped : skipped + end - self._at]
                self._first_at = self._at + len(wanted)
                self._held = data[skipped + len(wanted) :]
                return wanted
            self._first_at += len(data)

    async def _from_parts(self) -> bytes:
        part = self._parts[0]
        data = await part.read()
        if not data and part.lost:
            self._straight = True
            self._drop_parts()
            return await self._from_first()
        if self._at + len(data) == part.end:
            self._parts.popleft()
        await self._nudge()
        return data

    async def _nudge(self) -> None:
        """Read some of the first answer, which is behind, so that its origin sees that somebody is there."""
        now = asyncio.get_running_loop().time()
        if not self._nudged:
            self._nudged = now
        if now - self._nudged < NUDGE or self._first_at + len(self._held) >= self._at:
            return
        self._nudged = now
        try:
            async with asyncio.timeout(NUDGE_WAIT):
                data = self._held + await self._first.read()
        except (TimeoutError, EdgeError):
            return  # if it has broken off, that matters only when it is needed
        passed = min(len(data), self._at - self._first_at)
        self._first_at += passed
        self._held = data[passed:]

    def _drop_parts(self) -> None:
        for part in self._parts:
            if part.task is not None:
                part.task.cancel()
        self._parts.clear()

    def __repr__(self) -> str:
        return f"<Joined {self._at} of {self._plan.length}, {'straight' if self._straight else list(self._parts)}>"
