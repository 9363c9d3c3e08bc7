"""What a model is told of a member."""

from __future__ import annotations

from math import exp, isfinite

import pytest

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.rows import NAMES, row
from tests.support.members import Member


def told(member: Member, ask: Ask, in_hand: float = 0.0) -> dict[str, float]:
    return dict(zip(NAMES, row(member, ask, in_hand), strict=True))


def test_a_row_says_what_is_known() -> None:
    member = Member("a", weight=3, in_flight=2, share=0.5)
    for i in range(10):
        member.pace.took(4, 0.2, i / 10)
    member.pace.took(1, 0.05, 1.0)
    member.pace.failed(4, 1.0)
    found = told(member, Ask(3.0, 4), 1.5)
    assert exp(found["log of the pool's usual time of it"]) == pytest.approx(0.2)
    assert exp(found["log of the expected time of this kind"]) > 0.2
    assert exp(found["log of the latest time"]) == pytest.approx(0.05)
    assert found["seconds since the last answer of this kind, up to 60"] == pytest.approx(2.1)
    assert 0.2 < found["error share"] < 0.4
    assert (found["in hand"], found["in hand, a member of the pool on average"]) == (2.0, 1.5)
    assert (found["kind"], found["weight"], found["share"]) == (4.0, 3.0, 0.5)


def test_of_a_member_nobody_knows_a_row_has_numbers_still() -> None:
    assert all(isfinite(number) for number in row(Member("a"), Ask(1e9, 7), 0.0))
