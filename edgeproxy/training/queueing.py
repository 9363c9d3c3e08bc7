"""A discrete-event simulation: requests in, their times out. The balancers, kinds and paces are the proxy's own."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Final, Protocol

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.class_ewma import ClassEwma
from edgeproxy.balance.kinds import Kinds, Shape
from edgeproxy.balance.learned import Trust
from edgeproxy.balance.member import Balancer, M
from edgeproxy.balance.pace import Pace, Usual
from edgeproxy.balance.rows import row
from edgeproxy.training.world import ANTAGONIST, NODES, SPEEDS, WORKERS, Arrival, World, world

EXPLORED: Final = 0.2  # of the requests that are logged for training go to a member drawn at random


class Seen:
    """What one node sees of one endpoint: a member of its balancer."""

    def __init__(self, server: Server, usual: Usual) -> None:
        self.server = server
        self.weight = 1
        self.share = 1.0
        self.in_flight = 0
        self.pace = Pace(usual)
        self.key = b"%d" % server.number


class Node:
    """One proxy: its own members, its own kinds, its own balancer; nobody tells it what the others do."""

    def __init__(self, servers: Sequence[Server], make: Make, draw: random.Random) -> None:
        self.kinds = Kinds()
        usual = Usual()
        self.members = [Seen(server, usual) for server in servers]
        self.trust = Trust()
        self.balancer = make(self.members, draw.random, self.trust)


class Server:
    """One endpoint: so many workers, a queue, a speed that has slow moments."""

    def __init__(self, number: int, rtt: float, slow: tuple[float, ...]) -> None:
        self.number = number
        self.rtt = rtt
        self.busy = 0
        self.queue: deque[Job] = deque()
        self._slow = slow

    def takes(self, work: float, at: float) -> float:
        """Seconds for ``work`` begun ``at``."""
        slowed = bisect_right(self._slow, at) % 2
        return work / SPEEDS[self.number] * (ANTAGONIST if slowed else 1.0)


class Make(Protocol):
    """Makes a policy's balancer."""

    def __call__(self, members: Sequence[Seen], draw: Callable[[], float], trust: Trust, /) -> Balancer[Seen]: ...


class Job:
    """One request under way."""

    __slots__ = ("arrival", "ask", "member", "note", "shape")

    def __init__(self, arrival: Arrival, ask: Ask, member: Seen, shape: Shape, note: list[float]) -> None:
        self.arrival = arrival
        self.ask = ask
        self.member = member
        self.shape = shape
        self.note = note


Noting = Callable[[Seen, Ask, Sequence[Seen]], list[float]]


class Run:
    """One policy in one world. ``note`` is asked at each choice; its answers are in ``notes`` with the seconds that
    each request took. Without ``kinds``, all requests are of one."""

    def __init__(self, world: World, make: Make, seed: int, note: Noting | None = None, *, kinds: bool = True) -> None:
        self._world = world
        self._kinds = kinds
        self._note = note
        servers = [Server(i, rtt, slow) for i, (rtt, slow) in enumerate(zip(world.rtt, world.slow, strict=True))]
        draw = random.Random(seed * 7919 + 1)
        self._nodes = [Node(servers, make, draw) for _ in range(NODES)]
        self._events: list[tuple[float, int, int, Job]] = []
        self._order = 0
        self._times: list[tuple[float, float]] = []
        self.notes: list[tuple[list[float], float]] = []

    def run(self) -> list[tuple[float, float]]:
        """When each request came and the seconds it took, in the order they ended."""
        events = self._events
        for arrival in self._world.arrivals:
            while events and events[0][0] <= arrival.at:
                self._step()
            self._arrive(arrival)
        while events:
            self._step()
        return self._times

    def _arrive(self, arrival: Arrival) -> None:
        node = self._nodes[arrival.node]
        shape = node.kinds.of(b"GET", arrival.target)
        ask = Ask(arrival.at, shape.kind if self._kinds else 0)
        member = node.balancer.pick(ask)
        note = [] if self._note is None else self._note(member, ask, node.members)
        member.in_flight += 1
        self._push(arrival.at + member.server.rtt / 2, _REACHES, Job(arrival, ask, member, shape, note))

    def _step(self) -> None:
        at, _, what, job = heappop(self._events)
        server = job.member.server
        if what == _REACHES:
            if server.busy < WORKERS:
                server.busy += 1
                self._push(at + server.takes(job.arrival.work, at), _DONE, job)
            else:
                server.queue.append(job)
        elif what == _DONE:
            self._push(at + server.rtt / 2, _BACK, job)
            if server.queue:
                following = server.queue.popleft()
                self._push(at + server.takes(following.arrival.work, at), _DONE, following)
            else:
                server.busy -= 1
        else:
            self._back(job, at)

    def _back(self, job: Job, at: float) -> None:
        taken = at - job.arrival.at
        node = self._nodes[job.arrival.node]
        job.member.in_flight -= 1
        job.member.pace.took(job.ask.kind, taken, at)
        node.kinds.took(job.shape, taken)
        if job.ask.choice is not None:
            node.trust.took(job.ask.choice, taken)
        self._times.append((job.arrival.at, taken))
        if self._note is not None:
            self.notes.append((job.note, taken))

    def _push(self, at: float, what: int, job: Job) -> None:
        self._order += 1
        heappush(self._events, (at, self._order, what, job))


_REACHES, _DONE, _BACK = range(3)


class Exploring(ClassEwma[M]):
    """The default, but for a share that goes anywhere: what a model is trained on."""

    def pick(self, ask: Ask) -> M:
        if self._draw() < EXPLORED:
            return self._members[int(self._draw() * len(self._members))]
        return super().pick(ask)


def logged(seeds: Sequence[int], seconds: float) -> tuple[list[list[float]], list[float]]:
    """The rows of the members chosen, by balance.rows, and the seconds that each request took, in worlds of that length
    in which a fifth of the requests go anywhere."""
    rows: list[list[float]] = []
    times: list[float] = []
    for seed in seeds:
        run = Run(world(seed, seconds), _exploring, seed, _row)
        run.run()
        rows += [note for note, _ in run.notes]
        times += [taken for _, taken in run.notes]
    return rows, times


def _exploring(members: Sequence[Seen], draw: Callable[[], float], _: Trust, /) -> Balancer[Seen]:
    return Exploring(members, draw)


def _row(member: Seen, ask: Ask, members: Sequence[Seen]) -> list[float]:
    return row(member, ask, sum(each.in_flight for each in members) / len(members))
