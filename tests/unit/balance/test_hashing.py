"""The same key to the same member, within its part of the load."""

from __future__ import annotations

from collections import Counter

import pytest

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.hashing import POINTS, Hashing, points
from edgeproxy.balance.least_request import LeastRequest
from tests.support.members import Member

KEYS = [b"%d" % number for number in range(2_000)]


def ring(members: list[Member], load: float = 1.25) -> Hashing[Member]:
    return Hashing(members, load, LeastRequest(members))


def owners(hashing: Hashing[Member]) -> dict[bytes, str]:
    return {key: hashing.pick(Ask(0.0, key=key)).name for key in KEYS}


def named(count: int) -> list[Member]:
    return [Member(f"192.0.2.{number}:80") for number in range(count)]


def test_a_key_goes_to_the_same_member_on_every_node_in_whatever_order_they_stand() -> None:
    members = named(10)
    assert owners(ring(members)) == owners(ring(members[::-1]))


def test_where_keys_go_stays_from_one_release_to_the_next() -> None:
    found = owners(ring(named(10)))
    assert [found[key][8:-3] for key in KEYS[:5]] == ["1", "2", "9", "2", "6"]


def test_keys_of_a_member_that_left_move_and_no_others() -> None:
    members = named(10)
    before, after = owners(ring(members)), owners(ring(members[1:]))
    moved = {key for key in KEYS if before[key] != after[key]}
    assert moved == {key for key in KEYS if before[key] == members[0].name}


def test_each_member_gets_its_part() -> None:
    counts = Counter(owners(ring(named(10))).values())
    assert len(counts) == 10
    assert max(counts.values()) < 2.2 * len(KEYS) / 10


def test_weight_counts() -> None:
    members = [Member("light"), Member("heavy", 9)]
    assert Counter(owners(ring(members)).values())["heavy"] / len(KEYS) == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize("load", [1.1, 1.25, 2.0])
def test_no_member_has_more_than_its_part_of_the_load(load: float) -> None:
    members = [Member(f"{number}", 1 + number % 3) for number in range(12)]
    choose = ring(members, load)
    weight = sum(member.weight for member in members)
    for count in range(1, 600):
        member = choose.pick(Ask(0.0, key=b"the one everybody wants"))
        member.in_flight += 1
        assert member.in_flight <= max(1, load * count * member.weight / weight + 1)
    assert min(member.in_flight for member in members) >= 0


def test_what_is_too_much_for_one_goes_to_the_same_next_one() -> None:
    members = named(5)
    choose = ring(members)
    ask = Ask(0.0, key=b"popular")
    first = choose.pick(ask)
    first.in_flight = 50
    following = {choose.pick(ask).name for _ in range(10)}
    assert len(following) == 1
    assert first.name not in following


def test_without_a_key_the_other_balancer_chooses() -> None:
    members = named(2)
    members[0].in_flight = 9
    assert {ring(members).pick(Ask(0.0)).name for _ in range(10)} == {members[1].name}


def test_a_member_on_trial_takes_a_part_of_its_keys_and_always_the_same() -> None:
    members = named(4)
    before = owners(ring(members))
    members[0].share = 0.3
    after = owners(ring(members))
    kept = sum(after[key] == members[0].name for key in KEYS)
    assert kept / sum(before[key] == members[0].name for key in KEYS) == pytest.approx(0.3, abs=0.07)
    assert after == owners(ring(members))


def test_where_all_are_on_trial_one_is_taken_still() -> None:
    members = named(3)
    for member in members:
        member.share = 0.0
    assert len(set(owners(ring(members)).values())) == 3


def test_more_points_begin_with_the_same_ones() -> None:
    assert points(b"a", 40)[:POINTS] == points(b"a", POINTS)
    assert all(0.0 <= point < 1.0 for point in points(b"a", 1_000))
