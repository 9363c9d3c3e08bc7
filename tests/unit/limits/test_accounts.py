"""Accounts of a region's limit, as requests meet them."""

from __future__ import annotations

import pytest

from edgeproxy.limits import accounts
from edgeproxy.limits.accounts import RegionLimiter, Slot
from edgeproxy.limits.lease import Terms, settle
from edgeproxy.limits.lease import ask as ask_for

NOW = 1_000.0


class Home:
    """One slot, joined, and how often it was woken: urgently or not."""

    def __init__(self) -> None:
        self.woken: list[bool] = []
        self.only = Slot(0, 1, self.woken.append)
        self.only.alone = False
        self.limiters: set[RegionLimiter] = set()

    def slot(self, name: bytes) -> Slot:
        return self.only

    def join(self, limiter: RegionLimiter) -> None:
        self.limiters.add(limiter)

    async def leave(self, limiter: RegionLimiter) -> None:
        self.limiters.discard(limiter)

    def grant(self, granted: float, ahead: float) -> None:
        """Answer for all that wait."""
        for account in list(self.only.waiting):
            asked = ask_for(account, NOW, 1, 1)._replace(want=int(granted))
            settle(account, asked, granted, ahead, NOW, NOW, 1, 1)
            account.asking = False
        self.only.waiting.clear()
        self.woken.clear()


@pytest.fixture
def home() -> Home:
    return Home()


def limiter(home: Home, keys: int = 100, *, burst: float = 100, batch: float = 10) -> RegionLimiter:
    return RegionLimiter(Terms(1.0, burst, batch, batch), keys, b"limit", home)


def test_who_is_on_credit_asks_and_urgently_when_it_runs_out(home: Home) -> None:
    limit = limiter(home)
    for _ in range(6):
        assert limit.take(b"k", NOW) > 0
    assert home.woken == [False] * 5 + [True]
    assert len(home.only.waiting) == 1


def test_who_holds_enough_asks_nobody_and_asks_ahead_when_it_does_not(home: Home) -> None:
    limit = limiter(home)
    limit.take(b"k", NOW)
    home.grant(10, 11)
    for _ in range(5):
        assert limit.take(b"k", NOW) > 0
    assert not home.only.waiting
    limit.take(b"k", NOW)
    assert len(home.only.waiting) == 1
    assert home.woken == [False]


def test_who_is_refused_asks_nobody(home: Home) -> None:
    limit = limiter(home)
    limit.take(b"k", NOW)
    home.grant(0, 105.0)
    assert limit.take(b"k", NOW) == pytest.approx(-6.0)
    assert limit.wait(b"k", NOW) == pytest.approx(6.0)
    assert not home.only.waiting
    assert not home.woken
    assert limit.take(b"k", NOW + 6.1) > 0


def test_what_is_left_is_what_the_region_has_left_and_what_is_held(home: Home) -> None:
    limit = limiter(home)
    assert limit.available(limit.take(b"k", NOW), NOW) == 99
    home.grant(10, 40.0)
    assert limit.available(limit.take(b"k", NOW), NOW) == 69
    assert limiter(home, burst=100_000, batch=10_000).take(b"k", 1.0) > 0  # soon after the machine has started


def test_what_was_never_seen_is_allowed_if_it_ever_is(home: Home) -> None:
    limit = limiter(home, burst=3)
    assert limit.wait(b"k", NOW) == 0
    assert limit.wait(b"k", NOW, 5.0) == 2
    assert len(limit) == 0


def test_charges_are_told_too(home: Home) -> None:
    limit = limiter(home)
    limit.charge(b"k", NOW, 500.0)
    assert [account.owed for account in home.only.waiting] == [500.0]
    assert limit.take(b"k", NOW) < -390


def test_keys_are_bounded_and_one_in_use_is_not_forgotten(home: Home) -> None:
    limit = limiter(home, keys=100)
    limit.charge(b"k", NOW, 500.0)
    for number in range(1_000):
        limit.take(b"%d" % number, NOW)
        assert limit.take(b"k", NOW) < 0
    assert len(limit) <= 100


@pytest.mark.interpreted
def test_what_waits_to_be_asked_is_bounded(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_WAITING", 10)
    limit = limiter(home, keys=1_000)
    for number in range(50):
        assert limit.take(b"%d" % number, NOW) > 0
    assert len(home.only.waiting) == 10


def test_all_that_redis_may_have_forgotten_is_told_again(home: Home) -> None:
    limit = limiter(home)
    limit.take(b"k", NOW)
    limit.take(b"passed", NOW)
    home.grant(0, 5.0)
    limit.take(b"passed", NOW + 6)
    home.grant(0, 0.0)
    limit.tell_all(home.only, NOW + 1)
    assert len(home.only.waiting) == 1
    limit.forget()
    assert len(limit) == 0


async def test_it_is_kept_up_while_it_is_in_service(home: Home) -> None:
    limit = limiter(home)
    await limit.start()
    assert home.limiters == {limit}
    await limit.stop()
    assert not home.limiters


def test_its_state_shows(home: Home) -> None:
    limit = limiter(home)
    limit.take(b"k", NOW)
    assert repr(limit) == "<RegionLimiter 1+0 of 100 keys>"
    assert repr(home.only) == "<Slot 0 joined, one of 1, 1 waiting>"
