"""An endpoint further in is asked by the protocol, believed only if it answers what the model would, and left alone
when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp.test_utils import TestServer

from edgeproxy.clock import ManualClock
from edgeproxy.config.models import HopConfig
from edgeproxy.inference import hops
from edgeproxy.inference.hops import Hop, HopError
from edgeproxy.inference.manifest import Manifest
from tests.support.hop import Endpoint
from tests.support.models import SCORE, manifest
from tests.support.waiting import eventually

MODEL = Manifest.model_validate(manifest("score", {"1": SCORE}))
OTHER = Manifest.model_validate(manifest("other", {"1": SCORE}))
ROW = {"features": np.zeros((1, 4), np.float32)}


@pytest.fixture
async def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
async def server(endpoint: Endpoint) -> AsyncIterator[TestServer]:
    async with TestServer(endpoint.app) as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make(server: TestServer, session: aiohttp.ClientSession, clock: ManualClock) -> Any:
    def make(**settings: Any) -> Hop:
        given = {"url": f"http://127.0.0.1:{server.port}/models", "failures": 2, "pause": 5} | settings
        return Hop("regional", HopConfig.model_validate(given), lambda: session, clock)

    return make


async def reason(hop: Hop, within: float = 10, *, model: Manifest = MODEL, number: str = "") -> str:
    with pytest.raises(HopError) as failed:
        await hop.ask(model, number, ROW, within)
    return failed.value.reason


async def test_it_is_asked_by_the_protocol_with_its_token_and_a_mark(make: Any, endpoint: Endpoint) -> None:
    version, answer = await make(token="let me in").ask(MODEL, "", ROW, 10)
    assert (version, answer["score"].tolist()) == ("7", [[0.75]])
    assert endpoint.asked[-1]["authorization"] == "Bearer let me in"
    assert endpoint.was_marked()
    await make().ask(MODEL, "3", ROW, 10)
    assert endpoint.paths == ["/models/v2/models/score/infer", "/models/v2/models/score/versions/3/infer"]


async def test_what_is_not_the_models_answer_is_not_believed(make: Any, endpoint: Endpoint) -> None:
    for wrong in (
        {"other": np.zeros((1, 1), np.float32)},
        {"score": np.zeros((1, 2), np.float32)},
        {"score": np.zeros((1, 1), np.float64)},
    ):
        endpoint.answer = wrong
        assert await reason(make()) == "wrong"
    endpoint.content = b"{}"
    assert await reason(make()) == "wrong"


async def test_an_answer_without_end_is_cut(make: Any, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hops, "LARGEST", 1_000)
    endpoint.content = b"x" * 100_000
    assert await reason(make()) == "wrong"


async def test_one_that_fails_again_and_again_is_left_alone_and_tried_once(
    make: Any, endpoint: Endpoint, clock: ManualClock
) -> None:
    hop = make()
    endpoint.status = 500
    assert [await reason(hop), await reason(hop), await reason(hop)] == ["away", "away", "open"]
    assert (hop.open, len(endpoint.asked)) == (True, 2)
    clock.advance(5)
    endpoint.status = 200
    await hop.ask(MODEL, "", ROW, 10)
    assert not hop.open


async def test_what_it_refuses_is_no_fault_of_its_own(make: Any, endpoint: Endpoint) -> None:
    hop = make()
    endpoint.status = 404
    assert [await reason(hop) for _ in range(4)] == ["refused"] * 4
    endpoint.status = 408
    assert [await reason(hop) for _ in range(3)] == ["away", "away", "open"]


@pytest.mark.parametrize("status", [429, 503])
async def test_one_that_has_no_time_for_a_model_is_asked_for_others(
    make: Any, endpoint: Endpoint, clock: ManualClock, status: int
) -> None:
    hop = make(failures=1)
    endpoint.status = status
    endpoint.fields = {"retry-after": "3"}
    assert [await reason(hop) for _ in range(3)] == ["busy"] * 3
    assert (len(endpoint.asked), hop.open) == (1, False)
    endpoint.status = 200
    await hop.ask(OTHER, "", ROW, 10)
    await hop.ask(MODEL, "2", ROW, 10)
    clock.advance(2.9)
    assert await reason(hop) == "busy"
    clock.advance(0.1)
    await hop.ask(MODEL, "", ROW, 10)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("9" * 5_000, 40),  # eight times its pause
        ("Fri, 15 Jan 2027 08:00:07 GMT", 7),
        ("Fri, 15 Jan 2027 07:59:00 GMT", 0),
        ("Fri, 15 Jan 2038 08:00:00 GMT", 40),
        ("soon", 5),  # as long as its pause
        ("-1", 5),
        (None, 5),
    ],
)
async def test_it_says_for_how_long_within_bounds(
    make: Any, endpoint: Endpoint, clock: ManualClock, told: str | None, seconds: float
) -> None:
    hop = make()
    endpoint.status = 503
    endpoint.fields = {} if told is None else {"retry-after": told}
    await reason(hop)
    endpoint.status = 200
    if seconds:
        clock.advance(seconds - 0.1)
        assert await reason(hop) == "busy"
        clock.advance(0.1)
    await hop.ask(MODEL, "", ROW, 10)


async def test_one_that_is_back_and_has_no_time_is_back(make: Any, endpoint: Endpoint, clock: ManualClock) -> None:
    hop = make(failures=1)
    endpoint.status = 500
    assert [await reason(hop), await reason(hop)] == ["away", "open"]
    clock.advance(5)
    endpoint.status = 429
    assert await reason(hop) == "busy"
    assert not hop.open


async def test_what_it_has_no_time_for_is_forgotten_in_time(make: Any, endpoint: Endpoint, clock: ManualClock) -> None:
    hop = make()
    endpoint.status = 503
    for number in map(str, range(1, 9)):
        assert await reason(hop, number=number) == "busy"
        clock.advance(2)
    assert len(hop._resting) == 3


async def test_it_is_not_waited_for_longer_than_there_is_time(make: Any, endpoint: Endpoint) -> None:
    endpoint.held.clear()
    assert await reason(make(), 0.05) == "late"
    assert await reason(make(timeout=0.05)) == "late"
    endpoint.held.set()


async def test_no_more_are_put_to_it_than_it_may_have(make: Any, endpoint: Endpoint) -> None:
    endpoint.held.clear()
    hop = make(concurrency=1)
    first = asyncio.create_task(hop.ask(MODEL, "", ROW, 10))
    await eventually(lambda: bool(endpoint.asked))
    assert await reason(hop) == "full"
    endpoint.held.set()
    await first
    assert not hop.open


async def test_one_that_is_not_there_is_away(session: aiohttp.ClientSession, clock: ManualClock) -> None:
    nobody = HopConfig.model_validate({"url": "http://127.0.0.1:1"})
    assert await reason(Hop("central", nobody, lambda: session, clock)) == "away"


async def test_those_who_leave_say_nothing_of_it(make: Any, endpoint: Endpoint, clock: ManualClock) -> None:
    async def leave() -> None:
        before = len(endpoint.asked)
        asking = asyncio.create_task(hop.ask(MODEL, "", ROW, 10))
        await eventually(lambda: len(endpoint.asked) > before)
        asking.cancel()
        await asyncio.wait([asking])

    hop = make()
    endpoint.held.clear()
    for _ in range(4):
        await leave()
    assert not hop.open
    endpoint.held.set()
    endpoint.status = 500
    assert [await reason(hop), await reason(hop)] == ["away", "away"]
    endpoint.held.clear()
    clock.advance(5)
    await leave()  # a trial without a result
    clock.advance(10)
    endpoint.held.set()
    endpoint.status = 200
    await hop.ask(MODEL, "", ROW, 10)
    assert not hop.open
