"""Crawlers verified by where they come from: in ranges, in DNS, not yet, and what strangers can make it cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from ipaddress import ip_network

import pytest

from edgeproxy.bots import crawlers
from edgeproxy.bots.crawlers import (
    EXPOSED,
    KEPT,
    LASTING,
    PENDING,
    UNKNOWN,
    VERIFIED,
    Crawlers,
    Operator,
    known_operators,
)
from edgeproxy.clock import ManualClock
from edgeproxy.http.addresses import AddressSet
from tests.support.waiting import eventually

OPERATORS = {"acmebot": Operator(("crawl.example",), ("x",)), "listed": Operator((), ("x",)), "bare": Operator()}
GENUINE, OTHER, NEIGHBOUR, FORGED = "192.0.2.7", "192.0.2.8", "192.0.2.9", "203.0.113.9"


class Zone:
    """A resolver of the names and addresses it was given. ``gate`` holds questions back."""

    def __init__(self) -> None:
        self.names: dict[str, str | Exception | None] = {
            GENUINE: "7.Crawl.Example.",
            OTHER: "crawl.example.evil.test",
            NEIGHBOUR: "evilcrawl.example",
            FORGED: "7.crawl.example",  # whoever owns the address writes its name
            "2001:db8::7": "seven.crawl.example",
        }
        self.addresses = {
            "7.Crawl.Example.": {GENUINE, "198.51.100.1"},
            "7.crawl.example": {GENUINE},
            "crawl.example.evil.test": {OTHER},
            "evilcrawl.example": {NEIGHBOUR},
            "seven.crawl.example": {"2001:db8::7"},
        }
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def name_of(self, address: str) -> str | None:
        self.asked += 1
        await self.gate.wait()
        name = self.names.get(address)
        if isinstance(name, Exception):
            raise name
        return name

    async def addresses_of(self, name: str) -> frozenset[str]:
        return frozenset(self.addresses[name])


class Desk:
    """Crawlers, what they are made of, and what they counted."""

    def __init__(self, ranges: AddressSet | None = None, *, dns: bool = True) -> None:
        self.clock = ManualClock()
        self.zone = Zone()
        self.counted: Counter[str] = Counter()
        self.ranges = ranges
        resolver = self.zone if dns else None
        self.crawlers = Crawlers(OPERATORS, lambda _: self.ranges, resolver, self.clock, self._count)

    def _count(self, outcome: str) -> None:
        self.counted[outcome] += 1

    async def settle(self, name: str, client: str) -> int:
        """The verdict once DNS has answered."""
        self.crawlers.ask(name, client)
        await eventually(lambda: not self.crawlers._asking)
        return self.crawlers.ask(name, client)


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (GENUINE, VERIFIED),
        ("2001:db8::7", VERIFIED),
        (OTHER, EXPOSED),
        (NEIGHBOUR, EXPOSED),
        (FORGED, EXPOSED),
        ("198.51.100.77", EXPOSED),
    ],
)
async def test_the_address_has_a_name_of_the_operators_and_the_name_the_address(client: str, expected: int) -> None:
    desk = Desk()
    assert desk.crawlers.ask("acmebot", client) == UNKNOWN, "nothing is waited for"
    assert await desk.settle("acmebot", client) == expected
    assert desk.counted == {"verified" if expected == VERIFIED else "exposed": 1}


async def test_a_name_that_begins_with_a_known_one_is_its_operators() -> None:
    desk = Desk()
    assert await desk.settle("acmebot-image", GENUINE) == VERIFIED
    assert await desk.settle("acmebot-image", FORGED) == EXPOSED
    assert desk.crawlers.ask("acmebot", GENUINE) == VERIFIED, "one answer for both"
    assert await desk.settle("acme", FORGED) == UNKNOWN
    assert await desk.settle("acmebotx", FORGED) == UNKNOWN


async def test_who_cannot_be_verified_stays_unknown() -> None:
    desk = Desk()
    for name in ("", "stranger", "bare"):
        assert await desk.settle(name, FORGED) == UNKNOWN
    assert await desk.settle("acmebot", "") == UNKNOWN, "a Unix socket has no address"
    assert desk.zone.asked == 0


def test_published_ranges_verify_and_expose_at_once() -> None:
    desk = Desk(AddressSet([ip_network("192.0.2.0/29")]), dns=False)
    assert desk.crawlers.ask("listed", GENUINE) == VERIFIED
    assert desk.crawlers.ask("listed", FORGED) == EXPOSED


def test_as_long_as_ranges_are_not_here_nobody_is_exposed() -> None:
    assert Desk(None, dns=False).crawlers.ask("listed", FORGED) == UNKNOWN


async def test_who_is_not_in_the_ranges_may_still_be_known_in_dns() -> None:
    desk = Desk(AddressSet([ip_network("198.51.100.0/24")]))
    assert desk.crawlers.ask("acmebot", "198.51.100.1") == VERIFIED
    assert desk.zone.asked == 0
    assert await desk.settle("acmebot", GENUINE) == VERIFIED
    assert await desk.settle("acmebot", FORGED) == EXPOSED


async def test_answers_are_remembered_and_asked_for_anew_in_time() -> None:
    desk = Desk()
    await desk.settle("acmebot", GENUINE)
    desk.clock.advance(LASTING[VERIFIED] - 1)
    assert await desk.settle("acmebot", GENUINE) == VERIFIED
    assert desk.zone.asked == 1
    desk.zone.names[GENUINE] = None
    desk.clock.advance(2)
    assert desk.crawlers.ask("acmebot", GENUINE) == VERIFIED, "the old answer counts until there is a new one"
    await eventually(lambda: not desk.crawlers._asking)
    assert desk.crawlers.ask("acmebot", GENUINE) == EXPOSED


@pytest.mark.parametrize("trouble", [OSError("SERVFAIL"), TimeoutError(), ValueError("no such name can be")])
async def test_while_dns_is_away_what_was_known_stays(trouble: Exception) -> None:
    desk = Desk()
    await desk.settle("acmebot", GENUINE)
    desk.zone.names[GENUINE] = desk.zone.names[FORGED] = trouble
    desk.clock.advance(LASTING[VERIFIED] + 1)
    assert await desk.settle("acmebot", GENUINE) == VERIFIED
    assert await desk.settle("acmebot", FORGED) == UNKNOWN
    assert desk.counted["unknown"] == 2
    desk.zone.names[FORGED] = None
    desk.clock.advance(LASTING[UNKNOWN] + 1)
    assert await desk.settle("acmebot", FORGED) == EXPOSED


async def test_dns_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawlers, "PATIENCE", 0.01)
    desk = Desk()
    desk.zone.gate.clear()
    assert await desk.settle("acmebot", GENUINE) == UNKNOWN
    assert desk.counted == {"unknown": 1}


async def test_one_address_is_asked_about_once_at_a_time_and_only_so_many_at_once() -> None:
    desk = Desk()
    desk.zone.gate.clear()
    for _ in range(3):
        for number in range(PENDING + 20):
            desk.crawlers.ask("acmebot", f"10.0.{number >> 8}.{number & 255}")
    assert len(desk.crawlers._asking) == PENDING
    assert desk.counted["crowded"] == 60
    await desk.crawlers.stop()
    assert desk.zone.asked <= PENDING
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_what_is_remembered_has_a_bound() -> None:
    desk = Desk()
    for number in range(2 * KEPT):
        desk.crawlers._remember(("acmebot", str(number)), EXPOSED, 60)
    assert len(desk.crawlers) <= KEPT
    assert desk.crawlers.ask("acmebot", str(2 * KEPT - 1)) == EXPOSED


def test_the_known_operators_say_how_they_are_known() -> None:
    known = known_operators()
    assert {"googlebot", "bingbot", "applebot", "gptbot"} <= known.keys()
    for operator in known.values():
        assert operator.domains or operator.ranges
        assert all("." in domain and not domain.startswith(".") for domain in operator.domains)
        assert all(place.startswith("https://") for place in operator.ranges)
