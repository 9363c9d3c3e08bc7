"""What a surge is made of."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.floods.worst import FADED, KEPT, SURGE_LEAST, USUAL_LEAST, Heavy, Worst


def filled(usual: dict[bytes, int], surge: dict[bytes, int]) -> frozenset[bytes]:
    worst = Worst(1, 0.1, 0.02)
    for counts, in_surge in ((usual, False), (surge, True)):
        for fingerprint, count in counts.items():
            for _ in range(count):
                worst.note((fingerprint,), surge=in_surge)
    return worst.judge()


def test_what_makes_up_the_surge_and_was_not_there_before_is_refused() -> None:
    assert filled({b"chrome": 900, b"curl": 10}, {b"bot": 800, b"chrome": 200}) == {b"bot"}


def test_what_visitors_share_with_the_attack_is_spared() -> None:
    assert filled({b"chrome": 900, b"curl": 100}, {b"chrome": 900, b"curl": 100}) == frozenset()


def test_what_is_a_small_part_of_the_surge_is_spared() -> None:
    assert filled({b"chrome": 900}, {b"bot %d" % number: 50 for number in range(20)}) == frozenset()


def test_nothing_is_refused_while_too_little_is_known() -> None:
    assert filled({b"chrome": USUAL_LEAST - 1}, {b"bot": 1000}) == frozenset()
    assert filled({b"chrome": 900}, {b"bot": SURGE_LEAST - 1}) == frozenset()


def test_when_the_surge_is_over_nothing_is_refused_and_the_next_begins_anew() -> None:
    worst = Worst(1, 0.1, 0.02)
    for _ in range(1000):
        worst.note((b"chrome",), surge=False)
        worst.note((b"bot",), surge=True)
    assert worst.judge() == {b"bot"}
    worst.over()
    assert worst.refused == worst.judge() == frozenset()


def test_each_kind_has_a_sample_of_its_own() -> None:
    worst = Worst(2, 0.1, 0.02)
    for number in range(1000):
        worst.note((b"net %d" % (number % 500), b"chrome"), surge=False)
        worst.note((b"bad net", b"chrome"), surge=True)
    assert worst.judge() == {b"bad net"}


def test_old_traffic_fades() -> None:
    worst = Worst(1, 0.1, 0.02)
    for fingerprint in (b"old", b"new"):
        for _ in range(4 * FADED):
            worst.note((fingerprint,), surge=False)
    assert worst._normal[0].share(b"old") < 0.1
    assert worst._normal[0].total < FADED


@given(st.lists(st.integers(0, 400), max_size=3000))
def test_counts_are_never_too_small_and_too_large_by_a_bound(things: list[int]) -> None:
    heavy, true = Heavy(16), Counter(things)
    for thing in things:
        heavy.add(b"%d" % thing)
        assert len(heavy) <= 32
    for thing, count in true.items():
        assert count <= round(heavy.share(b"%d" % thing) * heavy.total) <= count + len(things) / 16 + 1
    for thing in heavy.above(0.2):
        assert true[int(thing)] >= 0.2 * len(things) - len(things) / 16 - 1


def test_what_is_frequent_is_found_among_any_number_of_others() -> None:
    heavy = Heavy()
    for number in range(50_000):
        heavy.add(b"bot" if number % 5 == 0 else b"%d" % number)
    assert heavy.above(0.15) == [b"bot"]
    assert len(heavy) <= 2 * KEPT
