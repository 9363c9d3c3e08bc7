"""The simulation: what a request takes, and what is logged of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from edgeproxy.balance.class_ewma import ClassEwma
from edgeproxy.balance.learned import Trust
from edgeproxy.balance.member import Balancer
from edgeproxy.balance.round_robin import RoundRobin
from edgeproxy.balance.rows import NAMES
from edgeproxy.training.queueing import Exploring, Run, Seen, logged
from edgeproxy.training.world import ANTAGONIST, CLASSES, SPEEDS, WORKERS, Arrival, World, world

IN_HAND = NAMES.index("in hand")


def default(members: Sequence[Seen], draw: Callable[[], float], _: Trust, /) -> Balancer[Seen]:
    return ClassEwma(members, draw)


def turns(members: Sequence[Seen], draw: Callable[[], float], _: Trust, /) -> Balancer[Seen]:
    return RoundRobin(members)


def exploring(members: Sequence[Seen], draw: Callable[[], float], _: Trust, /) -> Balancer[Seen]:
    return Exploring(members, draw)


def arrive(*at: float, work: float = 0.1) -> tuple[Arrival, ...]:
    return tuple(Arrival(moment, 0, b"/x/y", work) for moment in at)


def test_a_request_takes_its_way_its_work_and_its_wait() -> None:
    one = World((0.01,) * len(SPEEDS), ((),) * len(SPEEDS), arrive(*[0.0] * (WORKERS * len(SPEEDS))))
    times = sorted(taken for _, taken in Run(one, turns, 1).run())
    assert times[0] == pytest.approx(0.01 + 0.1)
    assert times[-1] == pytest.approx(0.01 + 0.1 / min(SPEEDS))  # all workers are busy, nobody waits
    waits = World(one.rtt, one.slow, arrive(*[0.0] * (2 * WORKERS * len(SPEEDS))))
    assert max(taken for _, taken in Run(waits, turns, 1).run()) == pytest.approx(0.01 + 2 * 0.1 / min(SPEEDS))


def test_slow_moments_are_slow() -> None:
    calm = World((0.0,) * len(SPEEDS), ((),) * len(SPEEDS), arrive(1.0))
    slow = World(calm.rtt, ((0.5, 1.5),) * len(SPEEDS), calm.arrivals)
    (_, quick), (_, late) = Run(calm, default, 1).run()[0], Run(slow, default, 1).run()[0]
    assert late == pytest.approx(ANTAGONIST * quick)


def test_the_same_seed_gives_the_same_times() -> None:
    given = world(5, 1.0)
    assert Run(given, default, 5).run() == Run(given, default, 5).run()


def test_balancers_find_the_kinds_by_themselves() -> None:
    run = Run(world(5, 3.0), default, 5)
    run.run()
    kinds = run._nodes[0].kinds
    found = [kinds.of(b"GET", target).kind for target in (b"/page/1", b"/api/cart", b"/search/q")]
    assert found == sorted(set(found))
    assert len(found) == len(CLASSES)


def test_notes_are_kept_with_their_times() -> None:
    run = Run(world(5, 0.5), exploring, 5, lambda member, ask, members: [float(member.server.number)])
    times = run.run()
    assert sorted(seconds for _, seconds in run.notes) == sorted(taken for _, taken in times)
    assert {int(note[0]) for note, _ in run.notes} == set(range(len(SPEEDS)))


def test_rows_are_logged_as_balancers_make_them() -> None:
    rows, seconds = logged((5,), 0.5)
    assert len(rows) == len(seconds) > 100
    assert {len(row) for row in rows} == {len(NAMES)}
    assert all(row[IN_HAND] >= 0 for row in rows)
    assert min(seconds) > 0
    assert (rows, seconds) == logged((5,), 0.5)
