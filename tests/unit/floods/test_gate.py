"""What every request passes, and what it is treated by during an alarm."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.floods.clients import MARGIN, UNIT, Clients
from edgeproxy.floods.gate import COUNTRIES_MOST, ROUTES_MOST, Gate, Measures
from edgeproxy.floods.worst import Worst
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange, Peer, Place, TLSInfo
from tests.support.stages import exchange, route

PASS = Measures("pass", "everybody", worst=False)
GOOD, BAD = "192.0.2.1", "198.51.100.7"


class Door:
    """A gate at which GOOD was known before the surge, and ``measures`` hold during an attack."""

    def __init__(self, measures: Measures = PASS, *, enforced: bool = True, alarm: int = 2) -> None:
        clock = ManualClock()
        self.worst = Worst(2, 0.1, 0.02)
        self.gate = Gate(
            Clients(b"s" * 32),
            self.worst,
            (PASS, PASS, measures),
            clock.monotonic,
            lambda: Response(503),
            enforced=enforced,
            retry_after=b"10",
        )
        self.ask(GOOD)
        clock.advance(MARGIN + UNIT)
        self.alarm(alarm, clock.monotonic())

    def alarm(self, level: int, since: float = 0.0) -> None:
        self.gate.look += 1
        self.gate.surge = since
        for tally in (self.gate.others, *self.gate.routes.values()):
            tally.alarm = level

    def ask(self, client: str, **more: Any) -> tuple[Exchange, Response | None]:
        x = exchange(client=client)
        for name, value in more.items():
            setattr(x, name, value)
        return x, self.gate.count(x)


def test_requests_new_clients_misses_and_errors_are_counted_by_route() -> None:
    door = Door(alarm=0)
    for client in (GOOD, BAD, BAD):
        door.ask(client)
    x = exchange()
    door.gate.shed(x)
    for status in (200, 404, 429, 500, 502):
        door.gate.answered(x, Response(status))
    tally = door.gate.routes["site"]
    assert (tally.requests, tally.clients, tally.misses, tally.errors) == (4, 2, 1, 2)


def test_countries_are_counted_where_they_are_known() -> None:
    door = Door(alarm=0)
    for client in (GOOD, BAD):
        x, _ = door.ask(client, place=Place("NL"))
    door.gate.shed(x)
    door.gate.answered(x, Response(500))
    door.ask(BAD, place=Place(asn=64500))
    tally = door.gate.countries["NL"]
    assert (tally.requests, tally.clients, tally.misses, tally.errors) == (2, 1, 1, 1)
    assert list(door.gate.countries) == ["NL"]


def test_a_countrys_alarm_is_for_who_comes_from_there() -> None:
    door = Door(Measures("refuse", "nobody", worst=False), alarm=0)
    door.ask(BAD, place=Place("NL"))
    door.gate.countries["NL"].alarm = 2
    door.gate._visitors[BAD].known = False
    x, answer = door.ask(BAD, place=Place("NL"))
    assert answer is not None
    assert x.alarm == 2
    assert door.ask(BAD, place=Place("BE"))[1] is None
    with pytest.raises(EdgeError):
        door.gate.shed(x)


@pytest.mark.parametrize(
    ("unknown", "treatment", "refused"),
    [("pass", "", False), ("limit", "limit", False), ("challenge", "challenge", False), ("refuse", "", True)],
)
def test_unknown_clients_are_treated_as_configured(unknown: str, treatment: str, refused: bool) -> None:
    x, answer = Door(Measures(unknown, "everybody", worst=False)).ask(BAD)
    assert (x.alarm, x.treatment, answer is not None) == (2, treatment, refused)


@pytest.mark.parametrize("unknown", ["limit", "challenge", "refuse"])
@pytest.mark.parametrize(
    ("client", "more"),
    [(GOOD, {}), ("", {}), (BAD, {"identity": "CN=printer"}), (BAD, {"agent": "googlebot"})],
    ids=["seen before", "nobody's own", "certificate", "verified crawler"],
)
def test_known_clients_pass(unknown: str, client: str, more: dict[str, str]) -> None:
    x, answer = Door(Measures(unknown, "known", worst=True)).ask(client, **more)
    assert (x.alarm, x.treatment, answer) == (2, "", None)


def test_a_challenge_that_another_check_wants_is_not_made_less() -> None:
    x, _ = Door(Measures("limit", "everybody", worst=False)).ask(BAD, treatment="challenge")
    assert x.treatment == "challenge"


def test_the_other_state_has_its_own_measures() -> None:
    x, answer = Door(Measures("refuse", "nobody", worst=True), alarm=1).ask(BAD)
    assert (x.alarm, x.treatment, answer) == (1, "", None)


def test_nobody_new_is_remembered_during_a_surge() -> None:
    door = Door(Measures("challenge", "everybody", worst=False))
    door.ask(BAD)
    door.alarm(0)
    assert door.gate._clients.meet(door.gate._visitors[BAD].key, 0.0), "it would be known in the next surge"


@pytest.mark.parametrize(("origin", "good", "bad"), [("everybody", 1, 1), ("known", 1, 0), ("nobody", 0, 0)])
def test_the_origin_is_spared(origin: str, good: int, bad: int) -> None:
    door = Door(Measures("pass", origin, worst=False))
    for client, reaches in ((GOOD, good), (BAD, bad)):
        x, _ = door.ask(client)
        if reaches:
            assert door.gate.shed(x.fork(x.request)) is None
        else:
            with pytest.raises(EdgeError) as raised:
                door.gate.shed(x.fork(x.request))
            assert (raised.value.kind, raised.value.source) == (Kind.OVERLOADED, "origin")


def test_who_solved_a_challenge_reaches_the_origin() -> None:
    door = Door(Measures("challenge", "known", worst=False))
    x, _ = door.ask(BAD)
    x.cleared = True
    assert door.gate.shed(x.fork(x.request)) is None


def test_what_is_refused_here_is_told_when_to_come_back_and_is_no_error_of_the_origins() -> None:
    door = Door()
    x, response = exchange(), Response(503)
    x.error = Kind.OVERLOADED.value
    door.gate.answered(x, response)
    assert response.get(b"retry-after") == b"10"
    assert door.gate.routes["site"].errors == 0


def test_observed_only_nobody_is_treated() -> None:
    door = Door(Measures("challenge", "nobody", worst=False), enforced=False)
    x, answer = door.ask(BAD)
    assert (x.alarm, x.treatment, answer) == (0, "", None)
    assert door.gate.shed(x) is not None, "told to the caller, who counts it"


def hello(ja4: str) -> Peer:
    return Peer(BAD, 1, "", "", TLSInfo("1.3", "", "", None, ja4))


def test_the_fingerprint_of_the_surge_is_refused_and_others_are_not() -> None:
    door = Door(Measures("pass", "everybody", worst=True), alarm=0)
    for number in range(6400):
        door.ask(f"192.0.{number % 200}.1", shape="browser", peer=hello("t13d"))
    door.alarm(2, door.gate._now())
    for number in range(1600):
        door.ask(f"198.51.{number % 200}.7", shape="bot", peer=hello("t12d"))
    door.worst.judge()
    assert door.ask("203.0.113.1", shape="bot", peer=hello("t12d"))[1] is not None
    assert door.ask("203.0.113.1", shape="bot", peer=hello("t13d"))[1] is None
    assert door.ask("203.0.113.1", shape="browser", peer=hello("t13d"))[1] is None
    assert door.ask(GOOD, shape="bot", peer=hello("t12d"))[1] is None, "known before the surge"


def test_a_network_that_makes_up_the_surge_is_refused() -> None:
    door = Door(Measures("pass", "everybody", worst=True), alarm=0)
    for number in range(6400):
        door.ask(f"192.0.{number % 200}.1", shape="browser")
    door.alarm(2, door.gate._now())
    for number in range(1600):
        door.ask(f"198.51.100.{number % 250}", shape="browser")
    door.worst.judge()
    assert door.ask("198.51.100.251", shape="browser")[1] is not None
    assert door.ask("203.0.113.1", shape="browser")[1] is None


def test_routes_and_countries_have_a_bound() -> None:
    door = Door(alarm=0)
    for number in range(ROUTES_MOST + 50):
        x = exchange()
        x.route = route(name=f"r{number}")
        x.place = Place(chr(0x4E00 + number) + "x")
        door.gate.count(x)
    assert len(door.gate.routes) == ROUTES_MOST
    assert len(door.gate.countries) == COUNTRIES_MOST
    assert door.gate.others.requests == 51
    x = exchange()
    x.route = route(name="beyond")
    assert door.gate.shed(x) is None
    door.gate.answered(x, Response(500))
