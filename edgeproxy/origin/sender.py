"""Takes a request to an endpoint and brings the head of the answer. It waits for nobody longer than need be: while a
connection hangs, another endpoint is connected to; where an answer is late, another endpoint is asked beside.
"""

from __future__ import annotations

import asyncio
from typing import Final

from edgeproxy.balance.kinds import Kinds
from edgeproxy.clock import Clock
from edgeproxy.config.pools import PoolConfig
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.hedge import Hedge
from edgeproxy.origin.members import Members
from edgeproxy.origin.outlier import PATIENT
from edgeproxy.origin.retry import Budget, failures, retry_after
from edgeproxy.origin.tries import Tries
from edgeproxy.origin.way import Waiter, Way

# Seconds a connection may hang before another endpoint is connected to (RFC 8305 §5), and how many at most where they
# take that long as a rule.
CONNECT_PATIENCE, LONGEST_PATIENCE = 0.25, 1.0
TRIAL_PATIENCE: Final = 0.25  # seconds an endpoint on trial may take before another one is asked beside it
FAR_BEHIND: Final = 3  # times what the other try took: who is so late has as good as failed


class Sender:
    """One for each pool, with its ``members`` and the ``budget`` of its retries and hedges. ``kinds``: what requests
    take, as far as it is known."""

    def __init__(
        self, name: str, config: PoolConfig, clock: Clock, metrics: Metrics, members: Members, budget: Budget
    ) -> None:
        self._name = name
        self._clock = clock
        self._members = members
        self._budget = budget
        self.kinds = Kinds()
        self._hedge = None if config.hedge is None else Hedge(config.hedge)
        self._tries = config.retry.tries
        self._try_timeout = config.retry.try_timeout
        _, self._statuses = failures(config.retry.causes)
        self._literal = b"" if config.host in {"preserve", "endpoint"} else config.host.encode()
        self._preserve = config.host == "preserve"
        self._hedges = metrics.counter(
            "edgeproxy_origin_hedges_total", "Second tries beside a late one, by which was first.", ("pool", "first")
        )
        self._detours = metrics.counter(
            "edgeproxy_origin_detours_total",
            "Requests for which another endpoint was connected to while a connection hung.",
            ("pool",),
        )

    async def send(self, tries: Tries, endpoint: Endpoint) -> Response:
        """The head of the answer to one try, begun at ``endpoint``; ``tries.endpoint`` gave it. Raises EdgeError."""
        call = tries.call
        head = endpoint.head(call, self._host(tries, endpoint))
        tries.sent = False
        tries.connection = None
        tries.begin(endpoint)
        connection = None if tries.fresh else endpoint.take()
        if connection is None:
            endpoint, connection = await self._connect(tries, endpoint)
            head = endpoint.head(call, self._host(tries, endpoint))
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._put(tries, endpoint, connection, head, answer)
        late = 0.0 if self._hedge is None and endpoint.state == "in" else self._late(tries, endpoint)
        try:
            if late:
                response = await self._hedged(tries, endpoint, connection, answer, late, tries.began)
                if tries.endpoint is not endpoint:
                    return response
            else:
                response = await answer
        except asyncio.CancelledError:
            connection.give_up(answer)
            raise
        except EdgeError:
            tries.sent = call.begun or not connection.refused
            raise
        finally:
            endpoint.awaited.discard(connection)
        self._answered(tries, endpoint, response, tries.began)
        return response

    def send_at_once(self, tries: Tries, endpoint: Endpoint, waiter: Waiter) -> bool:
        """The same for one who does not wait, over a connection that is there, with no other try beside this one; False
        where that cannot be, and nothing was done. :meth:`over` is to be told how it ends. Raises EdgeError."""
        if self._hedge is not None or endpoint.state != "in":
            return False
        head = endpoint.head(tries.call, self._host(tries, endpoint))
        connection = endpoint.take()
        if connection is None:
            return False
        tries.begin(endpoint)
        self._put(tries, endpoint, connection, head, waiter)
        return True

    def over(self, tries: Tries, endpoint: Endpoint, response: Response | None) -> None:
        """What was sent at once has the head of its answer, or none will come."""
        connection = tries.connection
        if connection is not None:
            endpoint.awaited.discard(connection)
            tries.sent = tries.call.begun or not connection.refused
        if response is not None:
            self._answered(tries, endpoint, response, tries.began)

    def _put(self, tries: Tries, endpoint: Endpoint, connection: Way, head: bytes, waiter: Waiter) -> None:
        """Send a try; ``waiter`` gets the answer."""
        call = tries.call
        tries.connection = connection
        tries.sent = True
        tries.began = self._clock.monotonic()
        more = call.repeatable and tries.times + 1 < self._tries and self._members.several
        tries.times += 1
        if more:
            endpoint.awaited.add(connection)
        connection.begin(call, head, waiter, self._try_timeout if more else None)

    def reroute(self, endpoint: Endpoint) -> None:
        """It has fallen silent: what waits for its answers, and can be made again, does not wait to the end. As many
        requests as the budget has room for, and none if no other endpoint is fit."""
        members = self._members
        if members.panicking or not members.several:
            return
        for connection in list(endpoint.awaited)[: self._budget.left(self._clock.monotonic())]:
            connection.fail(EdgeError(Kind.RESPONSE_TIMEOUT, "origin", f"{endpoint.address} has fallen silent"))

    async def _connect(self, tries: Tries, endpoint: Endpoint) -> tuple[Endpoint, Way]:
        """A connection to ``endpoint``, or to another if that one takes its time. What comes too late is kept."""
        members, until = self._members, tries.call.until
        if not members.several:
            return endpoint, await endpoint.open(until)
        loop = asyncio.get_running_loop()
        first = loop.create_task(endpoint.open(until))
        openings: dict[asyncio.Task[Way], Endpoint] = {first: endpoint}
        try:
            patience = min(max(CONNECT_PATIENCE, 2 * endpoint.connect_seconds), LONGEST_PATIENCE)
            await asyncio.wait(openings, timeout=patience)
            other = None if first.done() else members.another(tries.ask, (*tries.tried, endpoint))
            if other is None:
                connection = await first
                del openings[first]
                return endpoint, connection
            self._detours.inc(self._name)
            tries.tried += (endpoint,)
            tries.begin(other)
            kept = other.take()
            if kept is not None:
                return other, kept
            openings[loop.create_task(other.open(until))] = other
            opened, connection = await _first_open(openings)
            other = openings.pop(opened)
            tries.settle(other)
            return other, connection
        except asyncio.CancelledError:
            for opening in openings:
                opening.cancel()
            raise
        finally:
            for opening, at in openings.items():
                opening.add_done_callback(at.shelve)

    async def _hedged(
        self,
        tries: Tries,
        endpoint: Endpoint,
        connection: Way,
        answer: asyncio.Future[Response],
        late: float,
        began: float,
    ) -> Response:
        """``answer``, or if it is late that of another endpoint, whichever begins first and is good."""
        beside: asyncio.Task[Response] | None = None
        try:
            await asyncio.wait((answer,), timeout=late)
            other = None if answer.done() else self._members.another(tries.ask, (*tries.tried, endpoint))
            now = self._clock.monotonic()
            if other is None or not self._budget.spend(now):
                return await answer
            tries.tried += (endpoint, other)
            tries.x.tries += 1
            tries.times += 1
            beside = asyncio.get_running_loop().create_task(self._beside(tries, other))
            await asyncio.wait((answer, beside), return_when=asyncio.FIRST_COMPLETED)
            if not self._good(answer) and not self._good(beside):
                await asyncio.wait((answer, beside))
        except asyncio.CancelledError:
            if beside is not None:
                _drop(beside)
            raise
        if self._good(answer) or not self._good(beside):
            self._hedges.inc(self._name, "first")
            _drop(beside)
            return answer.result()
        self._hedges.inc(self._name, "second")
        if not answer.done():
            self._outrun(tries, endpoint, began, now)
        connection.give_up(answer)
        tries.settle(other)
        return beside.result()

    async def _beside(self, tries: Tries, endpoint: Endpoint) -> Response:
        """The second try."""
        call = tries.call
        head = endpoint.head(call, self._host(tries, endpoint))
        endpoint.begin()
        connection = endpoint.take() or await endpoint.open(call.until)
        began = self._clock.monotonic()
        answer = connection.send(call, head)
        try:
            response = await answer
        except asyncio.CancelledError:
            connection.give_up(answer)
            raise
        except EdgeError:
            endpoint.pace.failed(tries.shape.kind, self._clock.monotonic())
            raise
        self._answered(tries, endpoint, response, began)
        return response

    def _outrun(self, tries: Tries, endpoint: Endpoint, began: float, beside: float) -> None:
        """The try at ``endpoint``, begun then, is given up for the one ``beside``: it took that long at least."""
        now = self._clock.monotonic()
        endpoint.pace.took(tries.shape.kind, now - began, now)
        if now - began >= FAR_BEHIND * (now - beside) or endpoint.state == "trial":
            self._members.standing.failed(endpoint, None)

    def _answered(self, tries: Tries, endpoint: Endpoint, response: Response, began: float) -> None:
        """An answer's head came: what balancers and judgements go by. A refusal, however soon, is no sign of speed."""
        now = self._clock.monotonic()
        seconds = now - began
        kind, status = tries.shape.kind, response.status
        standing = self._members.standing
        if status >= 500 or status == 429:
            endpoint.pace.failed(kind, now)
            in_a_row = endpoint.record.failures >= PATIENT  # one may be about what was asked for
            if endpoint.gradient is not None and status in self._statuses and in_a_row:
                endpoint.limit = endpoint.gradient.refused()
            if status == 503:
                standing.wants_rest(endpoint, retry_after(response.get(b"retry-after"), self._clock.wall()))
            return
        endpoint.pace.took(kind, seconds, now)
        self.kinds.took(tries.shape, seconds)
        if self._members.learning is not None:
            self._members.learning.took(tries.x, tries.ask, endpoint, seconds)
        standing.took(endpoint, seconds, now)
        if self._hedge is not None:
            self._hedge.took(kind, seconds)
        if endpoint.gradient is not None:
            endpoint.limit = endpoint.gradient.took(seconds, endpoint.in_flight + 1)

    def _late(self, tries: Tries, endpoint: Endpoint) -> float:
        """Seconds after which another try is made beside this one; 0.0: none is."""
        call = tries.call
        if not call.repeatable or call.body is not None or call.tunnel or not self._members.several:
            return 0.0
        after = 0.0 if self._hedge is None else self._hedge.after(tries.shape.kind)
        return min(after or TRIAL_PATIENCE, TRIAL_PATIENCE) if endpoint.state == "trial" else after

    def _good(self, answer: asyncio.Future[Response]) -> bool:
        """Whether it is there, and none that would be asked for again."""
        return answer.done() and answer.exception() is None and answer.result().status not in self._statuses

    def _host(self, tries: Tries, endpoint: Endpoint) -> bytes:
        if self._preserve:
            return tries.x.request.authority or endpoint.authority
        return self._literal or endpoint.authority


async def _first_open(
    openings: dict[asyncio.Task[Way], Endpoint],
) -> tuple[asyncio.Task[Way], Way]:
    """The first of these that stands. Raises EdgeError, the last one's, if none does."""
    left = set(openings)
    while True:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        for opening in sorted(done, key=_failed):
            if not _failed(opening) or not left:
                return opening, opening.result()


def _failed(opening: asyncio.Task[Way]) -> bool:
    return opening.exception() is not None


def _drop(beside: asyncio.Task[Response]) -> None:
    """Nobody waits for it any more."""
    if not beside.done():
        beside.cancel()
    elif beside.exception() is None:
        discard(beside.result())


def discard(response: Response) -> None:
    """Nobody reads it."""
    if not isinstance(response.body, bytes):
        response.body.close()
