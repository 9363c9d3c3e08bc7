"""What is judged a flood, and what is not."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.floods.judge import NODE, Change, Counts, Judge, Settings
from edgeproxy.floods.state import ATTACK, ELEVATED, NORMAL

TICK = 0.5
QUICK = Settings(warm_up=10, calm=5)


class Node:
    """A judge with a clock; rates are a second."""

    def __init__(self, told: Settings = QUICK) -> None:
        self.judge = Judge(told)
        self.now = 1000.0
        self.changes: list[Change] = []

    def seconds(self, seconds: float, requests: float = 0.0, **more: float) -> int:
        """Go on for so long with these rates a second on the node and one route; the node's state then."""
        for _ in range(round(seconds / TICK)):
            self.tick(Counts(round(requests * TICK), *(round(more.get(name, 0) * TICK) for name in FIGURES)))
        return self.level

    def tick(self, counts: Counts) -> None:
        self.now += TICK
        self.changes += self.judge.tick({NODE: counts, "route:a": counts}, TICK, self.now)

    @property
    def level(self) -> int:
        return self.judge.levels[NODE]


FIGURES = ("clients", "errors", "misses")


def test_a_flood_on_a_quiet_site_is_recognised_within_two_seconds_and_is_over_by_itself() -> None:
    node = Node()
    assert node.seconds(60, 4) == NORMAL
    assert node.seconds(2, 2000) == ATTACK
    assert node.seconds(60, 2000) == ATTACK
    assert node.seconds(30, 4) == NORMAL
    assert [(one.scope, one.before, one.after) for one in node.changes if one.scope == NODE] == [
        (NODE, NORMAL, ATTACK),
        (NODE, ATTACK, ELEVATED),
        (NODE, ELEVATED, NORMAL),
    ]


def test_the_change_says_which_figures_decided() -> None:
    node = Node()
    node.seconds(60, 4)
    node.seconds(2, 2000, clients=1000)
    name, value, usual, score = node.changes[0].figures[0]
    assert name == "requests"
    assert value > 100 > usual
    assert score > 16


def test_three_times_the_usual_is_elevated_and_five_times_an_attack() -> None:
    node = Node()
    node.seconds(600, 400)
    assert node.seconds(20, 1000) == NORMAL
    assert node.seconds(20, 1300) == ELEVATED
    assert node.seconds(20, 2400) == ATTACK


def test_a_site_that_varies_by_itself_is_given_more_room() -> None:
    steady, lively = Node(), Node()
    for number in range(120):
        steady.seconds(5, 400)
        lively.seconds(5, 100 if number % 2 else 700)
    assert steady.seconds(20, 1400) == ELEVATED
    assert lively.seconds(20, 1400) == NORMAL


def test_nothing_is_judged_at_first_and_a_busy_start_is_no_flood() -> None:
    node = Node(Settings(warm_up=30))
    assert node.seconds(120, 2000) == NORMAL


def test_a_flood_soon_after_the_start_is_recognised() -> None:
    node = Node(Settings(warm_up=30))
    node.seconds(31, 40)
    assert node.seconds(4, 2000) == ATTACK


def test_an_attack_teaches_nothing() -> None:
    node = Node()
    node.seconds(600, 40)
    usual = node.judge.scopes[NODE].baselines[0].mean
    assert node.seconds(6 * 3600, 4000) == ATTACK
    assert node.judge.scopes[NODE].baselines[0].mean == pytest.approx(usual, rel=0.05)


def test_what_is_only_elevated_becomes_usual_in_time() -> None:
    node = Node()
    node.seconds(600, 400)
    assert node.seconds(60, 1400) == ELEVATED
    assert node.seconds(2 * 3600, 1400) == NORMAL


def test_a_surge_of_new_clients_is_noticed_where_requests_alone_would_not() -> None:
    node = Node()
    node.seconds(300, 1000, clients=4)
    assert node.seconds(10, 1500, clients=200) == ATTACK


@pytest.mark.parametrize("figure", ["errors", "misses"])
def test_a_share_alone_is_at_most_elevated(figure: str) -> None:
    node = Node()
    node.seconds(300, 400, **{figure: 8})
    assert node.seconds(60, 400, **{figure: 400}) == ELEVATED


def test_the_first_misses_of_a_new_route_are_no_alarm() -> None:
    node = Node()
    node.seconds(60, 4)
    for _ in range(100):
        node.now += TICK
        node.judge.tick({NODE: Counts(2), "route:new": Counts(22, 0, 0, 22)}, TICK, node.now)
    assert node.judge.levels == {NODE: NORMAL, "route:a": NORMAL, "route:new": NORMAL}


def test_a_flood_on_a_route_nobody_used_is_one() -> None:
    node = Node()
    node.seconds(60, 100)
    for _ in range(6):
        node.now += TICK
        node.judge.tick({NODE: Counts(50), "route:b": Counts(200)}, TICK, node.now)
    assert node.judge.levels["route:b"] == ATTACK
    assert node.judge.levels["route:a"] == NORMAL


def test_scopes_without_a_past_are_forgotten() -> None:
    node = Node(Settings(warm_up=1, calm=1, memory=10))
    for number in range(50):
        node.now += TICK
        node.judge.tick({NODE: Counts(1), f"country:{number}": Counts(1)}, TICK, node.now)
    node.seconds(300, 2)
    assert set(node.judge.scopes) == {NODE, "route:a"}


def test_another_worker_goes_on_where_one_has_stopped() -> None:
    node, heir = Node(), Node()
    node.seconds(300, 40)
    node.seconds(5, 4000)
    heir.judge.restore(json.loads(json.dumps(node.judge.to_json())), node.now)
    heir.now = node.now
    assert heir.level == ATTACK
    for one in (node, heir):
        one.seconds(20, 40)
    assert heir.judge.to_json() == node.judge.to_json()
    assert heir.level == NORMAL


@pytest.mark.parametrize("told", [{}, {"scopes": {"node": {}}}, {"scopes": {"node": {"level": "x"}}}])
def test_what_is_no_verdict_is_not_taken_over(told: dict[str, object]) -> None:
    judge = Judge(QUICK)
    with pytest.raises((KeyError, TypeError, ValueError)):
        judge.restore(told, 0.0)
    assert judge.scopes == {}


# Whatever comes.

ticks = st.lists(
    st.builds(Counts, st.integers(0, 3000), st.integers(0, 300), st.integers(0, 3000), st.integers(0, 3000)),
    max_size=120,
)


def play(node: Node, counted: Iterable[Counts]) -> list[int]:
    levels = []
    for counts in counted:
        node.tick(counts)
        levels.append(node.level)
    return levels


@settings(max_examples=50, deadline=None)
@given(st.lists(st.builds(Counts, *[st.integers(0, 24)] * 4), max_size=200))
def test_nothing_below_the_floor_is_an_alarm(counted: list[Counts]) -> None:
    node = Node(Settings(warm_up=1, calm=1))
    play(node, counted)
    assert node.changes == []


@settings(max_examples=50, deadline=None)
@given(ticks)
def test_it_is_normal_again_when_traffic_is(counted: list[Counts]) -> None:
    node = Node(Settings(warm_up=1, calm=2))
    play(node, counted)
    assert node.seconds(60) == NORMAL


@settings(max_examples=50, deadline=None)
@given(ticks, st.integers(1, 8), st.integers(0, 300))
def test_more_of_the_same_never_is_less_of_a_flood(past: list[Counts], times: int, requests: int) -> None:
    less, more = Node(Settings(warm_up=1)), Node(Settings(warm_up=1))
    for node in (less, more):
        play(node, past)
    share = requests // 3
    for _ in range(6):
        less.tick(Counts(requests, share, share, share))
        more.tick(Counts(requests * times, share * times, share * times, share * times))
        if less.level == more.level == NORMAL:
            continue
        break
    assert more.level >= less.level
