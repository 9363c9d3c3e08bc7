"""An origin pool: takes an exchange to one of its endpoints, tries again where that is safe, fails over where not here.

What may be repeated follows RFC 9110 §9.2.2 and RFC 9112 §9.3.1; how often, the retry budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from edgeproxy.balance.ask import Ask
from edgeproxy.clock import Clock
from edgeproxy.config.pools import PoolConfig
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http import grpc
from edgeproxy.http.loops import PSEUDONYM
from edgeproxy.http.message import Response
from edgeproxy.limits.keys import KeyOf, compile_key
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.direct import Direct
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.figures import Figures
from edgeproxy.origin.joined import Joiner
from edgeproxy.origin.learning import Learning
from edgeproxy.origin.line import Line, overloaded
from edgeproxy.origin.members import Members
from edgeproxy.origin.retry import Budget, failures, may_repeat
from edgeproxy.origin.sender import Sender, discard
from edgeproxy.origin.tries import Tries
from edgeproxy.origin.wire import Call, hops_left
from edgeproxy.pipeline.errand import Asked, Prompt, Take
from edgeproxy.pipeline.exchange import Exchange

MOST_CONNECTS: Final = 10  # endpoints that one request finds out about that they cannot be connected to
PREFIXES: Final = (32, 64)  # bits of an address that make up client.net

Outcome = Response | EdgeError  # of one try


class Pool(Prompt):
    """Endpoints that serve the same content; ``fallback`` is asked when none of them can answer. ``node`` is what this
    node is called in requests."""

    def __init__(self, name: str, config: PoolConfig, clock: Clock, metrics: Metrics, node: bytes = PSEUDONYM) -> None:
        """Raises ValueError if the configuration names a file that cannot be used."""
        self.name = name
        self.config = config
        self.fallback: Pool | None = None
        self._node = node
        self._now = clock.monotonic
        self._http2 = config.protocol == "http2"
        self._members = Members(name, config, clock, metrics, self._ended, self._more, self._down)
        self._budget = Budget(config.retry.budget)
        self._sender = Sender(name, config, clock, metrics, self._members, self._budget)
        self._joiner: Joiner | None = None
        if config.ranges is not None:
            sender, budget = self._sender, self._budget
            self._joiner = Joiner(name, config.ranges, metrics, self._members, sender, budget, self._now, node)
        queue = config.limits.queue
        self._wait = 0.0 if queue is None else queue.wait
        hashed = config.balance == "hash"
        self._key_of: KeyOf = compile_key(config.hash.key, *PREFIXES) if hashed else _no_key
        self._tries = config.retry.tries
        self._errors, self._statuses = failures(config.retry.causes)
        self._failing = frozenset(() if config.outlier is None else config.outlier.statuses)
        self._total = config.timeouts.total
        self._figures = Figures(name, metrics, self._members, lambda: 0 if self._line is None else len(self._line))
        self._line = None if queue is None else Line(queue.size, self._figures.shed)

    async def start(self) -> None:
        """Look names up, begin health checks."""
        await self._members.start()

    async def stop(self) -> None:
        """End background work and close idle connections; exchanges under way go on."""
        self._figures.end()
        await self._members.stop()

    async def fetch(self, x: Exchange) -> Response:
        """The origin's answer. Sets ``x.endpoint`` and ``x.tries``. Raises EdgeError.

        A body that streams keeps its place at the endpoint until it has ended or is closed.
        """
        if x.request.method == b"OPTIONS" and hops_left(x.request.headers) == 0:
            return Response(204)  # RFC 9110 §7.6.2: not sent on, answered here
        call = self._call(x)
        return self._whole(x, call, await self.ask(x, call))

    def begin(self, x: Exchange, take: Take) -> Asked | Coroutine[Any, Any, Response]:
        tries = self._tries_of(x, self._call(x))
        leave = self._leaves(tries.call)
        endpoint = self._first(tries, leave=leave)
        if endpoint is not None and not leave and not tries.call.tunnel:
            direct = Direct(self, tries, endpoint, take)
            if self._sender.send_at_once(tries, endpoint, direct):
                return direct
        return self._go_on(tries, endpoint, None, leave=leave)

    def came(self, tries: Tries, endpoint: Endpoint, outcome: Outcome) -> Response | Coroutine[Any, Any, Response]:
        """What a direct try brought: the answer, or what is done in its place."""
        if isinstance(outcome, Response):
            self._sender.over(tries, endpoint, outcome)
            if outcome.status not in self._statuses:
                return self._whole(tries.x, tries.call, outcome)
        else:
            self._sender.over(tries, endpoint, None)
        return self._go_on(tries, endpoint, outcome, leave=False)

    def left(self, tries: Tries, endpoint: Endpoint) -> None:
        """Nobody waits for a direct try any more."""
        self._sender.over(tries, endpoint, None)
        if tries.connection is not None:
            tries.connection.abort()

    async def ask(self, x: Exchange, call: Call) -> Response:
        """``fetch`` for a call that other pools may have been asked already."""
        tries = self._tries_of(x, call)
        leave = self._leaves(call)
        return await self._answer(tries, self._first(tries, leave=leave), None, leave=leave)

    async def _go_on(
        self, tries: Tries, endpoint: Endpoint | None, outcome: Outcome | None, *, leave: bool
    ) -> Response:
        """The rest of :meth:`fetch`, from there."""
        return self._whole(tries.x, tries.call, await self._answer(tries, endpoint, outcome, leave=leave))

    async def _answer(
        self, tries: Tries, endpoint: Endpoint | None, outcome: Outcome | None, *, leave: bool
    ) -> Response:
        """The answer to a request that ``endpoint`` is to be asked first, or was asked with that ``outcome``. Where
        there is none with a place, it is waited for. ``leave``: one try, then the fallback. Raises EdgeError."""
        if endpoint is None:
            if self._can_fall_back(tries.call):
                return await self._fall_back(tries)
            endpoint = await self._place(tries)
        while True:
            if outcome is None:
                try:
                    outcome = await self._sender.send(tries, endpoint)
                except EdgeError as error:
                    outcome = error
            failure = outcome if isinstance(outcome, EdgeError) else None
            if isinstance(outcome, Response) and outcome.status not in self._statuses:
                return outcome
            again = None if leave else self._again(tries, failure)
            elsewhere = again is None and self._may_repeat(tries, failure) and self._can_fall_back(tries.call)
            if again is None and not elsewhere:
                if isinstance(outcome, EdgeError):
                    raise outcome
                return outcome
            if isinstance(outcome, Response):
                discard(outcome)
            if again is None:
                return await self._fall_back(tries)
            endpoint, outcome = again, None

    def _call(self, x: Exchange) -> Call:
        """What is sent. Raises EdgeError."""
        until = asyncio.get_running_loop().time() + self._total
        call = Call(x.request, until, x.interim, self._node)
        if self._http2 and grpc.is_grpc(call.fields) and (allowed := grpc.deadline(call.fields)) is not None:
            call.rpc = True
            call.until = min(until, until - self._total + allowed - (self._now() - x.started))
        return call

    def _tries_of(self, x: Exchange, call: Call) -> Tries:
        """A request that comes to this pool."""
        call.asked += (self.name,)
        shape = self._sender.kinds.of(x.request.method, x.request.target)
        ask = Ask(self._now(), shape.kind, self._key_of(x), self._members.regions(x.place), x.wanted)
        self._budget.request(ask.now)
        return Tries(x, call, ask, shape)

    def _whole(self, x: Exchange, call: Call, response: Response) -> Response:
        """The answer with all there is to its body."""
        return response if self._joiner is None else self._joiner.join(x, call, response)

    def _leaves(self, call: Call) -> bool:
        """Whether none of its endpoints is fit, but another pool's are."""
        return self._members.panicking and self._can_fall_back(call, fit=True)

    def _first(self, tries: Tries, *, leave: bool) -> Endpoint | None:
        """Whom to ask first; None if nobody has a place, or others wait for one."""
        if leave:
            return self._on_trial(tries)
        if self._line is not None and len(self._line):
            return None
        return self._members.pick(tries.ask, (), safe=self._safe(tries))

    def _on_trial(self, tries: Tries) -> Endpoint | None:
        """One that may show that it serves again, where requests go to the fallback otherwise."""
        standing = self._members.standing
        return standing.on_trial(tries.ask, safe=self._safe(tries)) if standing.trials else None

    def _safe(self, tries: Tries) -> bool:
        """Whether it may be made again if an endpoint on trial fails it."""
        trials = self._members.standing.trials
        return bool(trials) and tries.call.repeatable and self._budget.left(tries.ask.now) > 0

    async def _place(self, tries: Tries) -> Endpoint:
        """Wait in line for an endpoint. Raises EdgeError if there is none in time."""
        members, line = self._members, self._line
        if not members.full:
            raise members.missing()
        if line is None:
            raise overloaded(f"every endpoint of {self.name} has its hands full")
        until = min(asyncio.get_running_loop().time() + self._wait, tries.call.until)
        ticket = line.ticket(tries.x.score)
        while True:
            await line.wait(ticket, until)
            endpoint = members.pick(tries.ask, ())
            if endpoint is not None:
                return endpoint

    def _again(self, tries: Tries, failure: EdgeError | None) -> Endpoint | None:
        """Whom to ask next, after an error or (None) a status that says as little; None if it has to be enough."""
        members, now, endpoint = self._members, self._now(), tries.endpoint
        tries.fresh = False
        if endpoint is None:
            return None
        if failure is not None and tries.stale(failure) and (not tries.sent or self._budget.spend(now)):
            self._figures.retries.inc(self.name)
            tries.times -= 1
            tries.fresh = True
            return endpoint
        tries.tried += (endpoint,)
        if failure is not None and failure.source == "origin":
            endpoint.pace.failed(tries.shape.kind, now)
        if not self._may_repeat(tries, failure) or (failure is not None and failure.kind not in self._errors):
            return None
        other = members.another(tries.ask, tries.tried)
        if not tries.sent:  # so nothing is repeated
            if other is None or self._tries == 1 or len(tries.tried) >= MOST_CONNECTS:
                return None
            self._figures.reconnects.inc(self.name)
            return other
        if tries.times >= self._tries:
            return None
        if other is None and failure is not None:
            other = members.pick(tries.ask, tries.tried)
        if other is None or not self._budget.spend(now):
            return None
        self._figures.retries.inc(self.name)
        return other

    def _may_repeat(self, tries: Tries, failure: EdgeError | None) -> bool:
        call = tries.call
        if asyncio.get_running_loop().time() >= call.until:
            return False
        if failure is None:
            return call.repeatable
        return may_repeat(failure, sent=tries.sent, repeatable=call.repeatable)

    def _can_fall_back(self, call: Call, *, fit: bool = False) -> bool:
        """Whether there is a pool not yet asked; ``fit`` asks for one that is better off than this."""
        fallback = self.fallback
        return fallback is not None and fallback.name not in call.asked and not (fit and fallback.panicking)

    async def _fall_back(self, tries: Tries) -> Response:
        self._figures.failovers.inc(self.name)
        fallback = self.fallback
        if fallback is None:
            raise EdgeError(Kind.NO_ENDPOINT, "edge")
        return await fallback.ask(tries.x, tries.call)

    def _ended(self, endpoint: Endpoint, error: EdgeError | None, status: int) -> None:
        """What became of a request."""
        self._figures.ended(endpoint, error, status)
        members = self._members
        if error is None and status not in self._failing:
            if status:
                members.standing.succeeded(endpoint, panicking=members.panicking)
        elif error is None or error.source == "origin":
            endpoint.failures += 1
            members.standing.failed(endpoint, error)
        if self._line is not None:
            self._line.call()

    def _more(self) -> None:
        """Endpoints have come to be fit: there may be places for all who wait."""
        if self._line is not None:
            self._line.call(len(self._line))

    def _down(self, endpoint: Endpoint) -> None:
        """It has fallen silent."""
        self._sender.reroute(endpoint)

    # What others look at.

    @property
    def learning(self) -> Learning | None:
        """What a model is asked through, of a pool with ``balance: learned``."""
        return self._members.learning

    @property
    def panicking(self) -> bool:
        """None of its endpoints is fit."""
        return self._members.panicking

    def drain(self, address: str, *, undo: bool = False) -> bool:
        """Give the endpoint no new requests, or some again; whether there is one at that address."""
        return self._members.drain(address, undo=undo)

    def state(self) -> list[dict[str, Any]]:
        """One entry an endpoint, for the admin API."""
        return self._figures.state()

    def __repr__(self) -> str:
        return f"<Pool {self.name} {self._members!r}>"


def _no_key(x: Exchange) -> bytes:
    return b""
