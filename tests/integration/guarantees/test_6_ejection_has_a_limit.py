"""Guarantee 6: at most the configured share of a pool is ejected; all ejected means panic mode, not 503.

Seen to fail: with ``room`` of origin/outlier.py always true; with ``Members.pick`` of origin/members.py giving no
endpoint while none is fit.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import ask
from tests.support.origin import RecordingOrigin, always_ok, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import request

FAILING = answer(503, b"down")


def start(origins: list[RecordingOrigin], max_ejected: str, **settings: Any) -> EdgeProcess:
    site = {
        "endpoints": [origin.url for origin in origins],
        "balance": "round_robin",  # a balancer that learns asks those that fail so seldom that none need be ejected
        "outlier": {"failures": 2, "eject_for": "1h", "max_ejected": max_ejected},
        **settings,
    }
    return EdgeProcess({"pools": {"site": site}, "routes": [{"name": "all", "pool": "site"}], "log": {"access": False}})


def states(edge: EdgeProcess) -> list[dict[str, Any]]:
    (worker,) = edge.admin_json("/pools")["workers"]
    endpoints: list[dict[str, Any]] = worker["pools"]["site"]
    return endpoints


def statuses(edge: EdgeProcess, count: int) -> list[int]:
    return [ask(edge.address, request()).final[0].status for _ in range(count)]


@pytest.fixture
def origins() -> Any:
    with RecordingOrigin() as one, RecordingOrigin() as two, RecordingOrigin() as three, RecordingOrigin() as four:
        yield [one, two, three, four]


@pytest.mark.parametrize(("share", "most"), [("50%", 2), ("0%", 0)])
def test_no_more_than_the_share_is_ejected(origins: list[RecordingOrigin], share: str, most: int) -> None:
    for origin in origins[:3]:
        origin.answer = lambda _: FAILING
    with start(origins, share) as edge:
        statuses(edge, 60)
        assert sum(each["ejected"] for each in states(edge)) == most
        for origin in origins:
            origin.answer = always_ok
        assert set(statuses(edge, 20)) == {200}


def test_a_pool_all_ejected_goes_on_being_asked(origins: list[RecordingOrigin]) -> None:
    for origin in origins:
        origin.answer = lambda _: FAILING
    with start(origins, "100%") as edge:
        wait_until(lambda: statuses(edge, 1) == [503] and all(e["ejected"] for e in states(edge)), "all are ejected")
        for origin in origins:
            origin.answer = always_ok
        assert set(statuses(edge, 20)) == {200}


def test_a_pool_that_fails_all_its_health_checks_goes_on_being_asked(origins: list[RecordingOrigin]) -> None:
    def sick(asked: Any) -> bytes:
        return FAILING if asked.target == b"/health" else answer(200, b"ok", b"Cache-Control: no-store")

    for origin in origins:
        origin.answer = sick
    health = {"path": "/health", "interval": "100ms", "fall": 1}
    with start(origins, "50%", health=health) as edge:
        wait_until(lambda: not any(each["healthy"] for each in states(edge)), "all have failed their checks")
        assert set(statuses(edge, 10)) == {200}
