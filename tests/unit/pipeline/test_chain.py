"""The chain: flat, sync until it must not be, and answers pass exactly the stages that were entered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.pipeline.chain import compile_chain
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.later import Later
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig
from edgeproxy.pipeline.runner import serve
from tests.support.stages import Client, exchange, route, services

SERVICES = services()
METRICS = SERVICES.metrics
TRACE: list[str] = []


class Named(Middleware):
    def __init__(self, label: str, mode: str = "enforce") -> None:
        super().__init__(MiddlewareConfig(mode=mode), SERVICES)  # type: ignore[arg-type]
        self.label = label


class Passes(Named):
    name = "passes"

    def request(self, x: Exchange) -> Response | None:
        TRACE.append(f"request {self.label}")
        return None

    def response(self, x: Exchange, response: Response) -> None:
        TRACE.append(f"response {self.label}")

    def log(self, x: Exchange) -> None:
        TRACE.append(f"log {self.label}")


class Answers(Passes):
    name = "answers"

    def request(self, x: Exchange) -> Response | None:
        return Response(403, {}, b"no")


class Fails(Passes):
    name = "fails"
    error: Exception = RuntimeError("a bug")

    def request(self, x: Exchange) -> Response | None:
        raise self.error


class AnswersLater(Passes):
    name = "answers_later"

    async def request(self, x: Exchange) -> Response | None:  # type: ignore[override]
        TRACE.append(f"request {self.label}")
        return Response(401, {}, b"later")


class Origin:
    name = "origin"

    async def fetch(self, x: Exchange) -> Response:
        TRACE.append("origin")
        return Response(200, {}, b"fetched")


async def run(*stages: Middleware) -> tuple[Client, int]:
    """Returns the client and how many tasks it took."""
    TRACE.clear()
    x = exchange()
    x.route = route(stages, Origin(), log=[lambda x: TRACE.append(f"ended {x.error}")])
    client = Client()
    serve(x, client)
    await client.done()
    return client, int(client.task is not None)


async def test_stages_run_in_order_and_answers_come_back_in_reverse() -> None:
    client, tasks = await run(Passes("a"), Passes("b"))
    assert TRACE == ["request a", "request b", "origin", "response b", "response a", "log a", "log b", "ended "]
    assert (client.body, tasks) == (b"fetched", 1)


async def test_a_stage_that_answers_needs_no_task_and_only_entered_stages_see_it() -> None:
    client, tasks = await run(Passes("a"), Answers("b"), Passes("c"))
    assert TRACE == ["request a", "response b", "response a", "log a", "log b", "log c", "ended "]
    assert (client.status, tasks) == (403, 0)


async def test_an_async_stage_splits_the_chain() -> None:
    client, tasks = await run(Passes("a"), AnswersLater("b"), Passes("c"))
    assert TRACE[:4] == ["request a", "request b", "response b", "response a"]
    assert (client.status, tasks) == (401, 1)


async def test_observe_mode_counts_and_lets_the_exchange_go_on() -> None:
    before = METRICS.counter("edgeproxy_observed_total", "", ("stage",)).value("answers")
    client, _ = await run(Answers("a", mode="observe"))
    assert client.status == 200
    assert METRICS.counter("edgeproxy_observed_total", "", ("stage",)).value("answers") == before + 1
    assert "response a" not in TRACE


async def test_a_stage_that_fails_ends_its_exchange_only(caplog: pytest.LogCaptureFixture) -> None:
    client, _ = await run(Passes("a"), Fails("b"))
    assert client.status == 500
    assert TRACE[-1] == "ended internal"
    assert "Traceback" not in caplog.text


async def test_an_error_is_answered_as_the_table_says() -> None:
    stage = Fails("a")
    stage.error = EdgeError(Kind.OVERLOADED, "edge")
    client, _ = await run(stage)
    assert (client.status, client.field(b"proxy-status")) == (
        503,
        b"edgeproxy; error=connection_limit_reached",
    )


async def test_a_phase_nobody_overrides_is_not_in_the_chain() -> None:
    chain = compile_chain([Passes("a")])
    assert chain.fetch == ()
    assert chain.store == ()


class Asks(Passes):
    """Knows at once, or has to ask."""

    name = "asks"

    def __init__(self, label: str, verdict: Response | Exception | None, *, known: bool = False, mode: str = "enforce"):
        super().__init__(label, mode)
        self.verdict = verdict
        self.known = known

    def request(self, x: Exchange) -> Response | Awaitable[Response | None] | None:  # type: ignore[override]
        TRACE.append(f"request {self.label}")
        return None if self.known else Later(self._ask)

    async def _ask(self) -> Response | None:
        await asyncio.sleep(0)
        TRACE.append(f"asked {self.label}")
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


async def test_a_plain_stage_that_knows_takes_no_task_and_one_that_asks_takes_one() -> None:
    _, tasks = await run(Asks("a", None, known=True), Answers("b"))
    assert tasks == 0
    client, tasks = await run(Passes("a"), Asks("b", None), Passes("c"), Asks("d", None), Answers("e"), Passes("f"))
    assert TRACE[:7] == ["request a", "request b", "asked b", "request c", "request d", "asked d", "response e"]
    assert (client.status, tasks) == (403, 1)


async def test_every_stage_runs_once_wherever_one_asks() -> None:
    client, tasks = await run(Passes("a"), Asks("b", None), Passes("c"), AsksAlways("d"), Asks("e", None))
    assert [event for event in TRACE if event.startswith("request")] == [f"request {label}" for label in "abcde"]
    assert (client.body, tasks) == (b"fetched", 1)


async def test_what_it_is_told_is_the_answer_and_passes_the_stages_entered() -> None:
    client, _ = await run(Passes("a"), Asks("b", Response(401, {}, b"asked")), Passes("c"))
    assert TRACE[:5] == ["request a", "request b", "asked b", "response b", "response a"]
    assert (client.status, client.body) == (401, b"asked")


async def test_a_stage_that_fails_while_it_asks_ends_its_exchange_only() -> None:
    client, _ = await run(Passes("a"), Asks("b", RuntimeError("a bug")))
    assert (client.status, TRACE[-1]) == (500, "ended internal")


async def test_observe_mode_counts_what_it_was_told_and_goes_on() -> None:
    before = METRICS.counter("edgeproxy_observed_total", "", ("stage",)).value("asks")
    for stage in (Asks("a", Response(401), mode="observe"), Asks("a", None, mode="observe")):
        client, _ = await run(stage)
        assert client.status == 200
    assert METRICS.counter("edgeproxy_observed_total", "", ("stage",)).value("asks") == before + 1


class AsksAlways(Passes):
    name = "asks_always"

    async def request(self, x: Exchange) -> Response | None:  # type: ignore[override]
        TRACE.append(f"request {self.label}")
        return None
