"""Whose turn it is among priorities and regions."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.levels import MOST_ORDERS, Levels
from edgeproxy.balance.round_robin import RoundRobin
from tests.support.members import Member

TRIES = 4_000
EU_FIRST, US_FIRST = Ask(0.0, regions=("eu", "us")), Ask(0.0, regions=("us", "eu"))


@dataclass(eq=False)
class Placed(Member):
    priority: int = 0
    region: str = ""


def group(prefix: str, count: int, region: str = "", priority: int = 0) -> list[Placed]:
    return [Placed(f"{prefix}{number}", region=region, priority=priority) for number in range(count)]


def levels(members: Sequence[Placed], fit: Sequence[Placed] | None = None) -> Levels[Placed]:
    return Levels(members, members if fit is None else fit, RoundRobin, random.Random(7).random)


def shares(choose: Levels[Placed], ask: Ask = EU_FIRST) -> dict[str, float]:
    """The part of the requests that each member gets."""
    picked = Counter(choose.pick(ask).name for _ in range(TRIES))
    return {name: count / TRIES for name, count in sorted(picked.items())}


def about(**expected: float) -> dict[str, float]:
    return pytest.approx(expected, abs=0.03)  # type: ignore[no-any-return]


def test_a_region_that_comes_first_takes_all() -> None:
    members = group("e", 2, "eu") + group("u", 2, "us")
    assert shares(levels(members)) == about(e0=0.5, e1=0.5)
    assert shares(levels(members), US_FIRST) == about(u0=0.5, u1=0.5)


def test_without_an_order_all_regions_are_one_level() -> None:
    members = group("e", 1, "eu") + group("u", 1, "us") + group("n", 2)
    assert shares(levels(members), Ask(0.0)) == about(e0=0.25, u0=0.25, n0=0.25, n1=0.25)


def test_a_priority_comes_before_a_region() -> None:
    members = group("backup", 1, "eu", priority=1) + group("main", 1, "us")
    assert shares(levels(members)) == about(main0=1.0)


def test_what_is_in_no_region_comes_after_those_that_are() -> None:
    members = group("n", 1) + group("u", 1, "us")
    choose = levels(members)
    assert shares(choose) == about(u0=1.0)
    assert [[each.name for each in level] for level in choose.ranked(EU_FIRST)] == [["u0"], ["n0"]]


@pytest.mark.parametrize(
    ("fit", "kept"),
    [(10, 1.0), (8, 1.0), (7, 0.98), (5, 0.7), (1, 0.14), (0, 0.0)],
)
def test_what_too_few_cannot_take_goes_to_the_next_level(fit: int, kept: float) -> None:
    here, there = group("e", 10, "eu"), group("u", 10, "us")
    got = shares(levels(here + there, here[:fit] + there))
    assert sum(share for name, share in got.items() if name.startswith("e")) == pytest.approx(kept, abs=0.02)


def test_it_goes_on_to_the_third_when_the_second_cannot_take_it_either() -> None:
    members = group("e", 2, "eu") + group("u", 2, "us") + group("n", 2)
    fit = [members[0], members[2], *members[4:]]
    assert shares(levels(members, fit)) == about(e0=0.7, u0=0.3)
    assert shares(levels(members, members[4:])) == about(n0=0.5, n1=0.5)


def test_where_all_levels_together_have_too_few_they_share_by_what_they_have() -> None:
    here, there = group("e", 10, "eu"), group("u", 10, "us")
    got = shares(levels(here + there, here[:3] + there[:1]))  # 0.42 and 0.14 of the requests
    assert sum(share for name, share in got.items() if name.startswith("e")) == pytest.approx(0.75, abs=0.03)


def test_weights_count_and_not_heads() -> None:
    strong, weak = Placed("strong", 9, region="eu"), Placed("weak", 1, region="eu")
    spare = group("u", 1, "us")
    assert shares(levels([strong, weak, *spare], [strong, *spare])) == about(strong=1.0)
    assert shares(levels([strong, weak, *spare], [weak, *spare])) == about(weak=0.14, u0=0.86)


def test_a_region_that_comes_back_slowly_gets_its_requests_back_slowly() -> None:
    back, spare = Placed("e0", region="eu", share=0.1), Placed("u0", region="us")
    assert shares(levels([back, spare])) == about(e0=0.14, u0=0.86)
    back.share = 0.75
    assert shares(levels([back, spare])) == about(e0=1.0)


def test_when_none_is_fit_all_of_the_first_level_are_used() -> None:
    members = group("e", 2, "eu") + group("u", 2, "us")
    choose = levels(members, [])
    assert shares(choose) == about(e0=0.5, e1=0.5)
    assert shares(choose, US_FIRST) == about(u0=0.5, u1=0.5)
    assert choose.ranked(EU_FIRST) == [[], []]


def test_the_same_balancer_serves_a_region_wherever_it_stands_in_an_order() -> None:
    members = group("e", 2, "eu")
    choose = levels(members)
    assert [choose.pick(ask).name for ask in (EU_FIRST, US_FIRST, EU_FIRST, US_FIRST)] == ["e0", "e1", "e0", "e1"]


def test_orders_that_are_remembered_have_a_bound() -> None:
    choose = levels(group("e", 2, "eu"))
    for number in range(3 * MOST_ORDERS):
        choose.pick(Ask(0.0, regions=(f"r{number}", "eu")))
    assert len(choose._orders) <= MOST_ORDERS


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["", "a", "b", "c"]), st.integers(1, 1000), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    st.permutations(["a", "b", "c"]),
    st.floats(0, 1, exclude_max=True),
)
def test_whoever_is_picked_is_fit_if_any_is(
    drawn: list[tuple[int, str, int, bool]], order: list[str], number: float
) -> None:
    members = [Placed(str(at), weight, priority=p, region=r) for at, (p, r, weight, _) in enumerate(drawn)]
    fit = [member for member, (*_, good) in zip(members, drawn, strict=True) if good]
    choose = Levels(members, fit, RoundRobin, lambda: number)
    picked = choose.pick(Ask(0.0, regions=tuple(order)))
    if fit:
        assert picked in fit
        assert list(chain(*choose.ranked(Ask(0.0, regions=tuple(order))))) == sorted(
            fit, key=lambda each: (each.priority, order.index(each.region) if each.region else 9)
        )
    else:
        assert picked.priority == min(member.priority for member in members)
