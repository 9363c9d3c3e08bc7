"""Fetches that no task waits for: what is finished at once, what goes on in a task, and a client that leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import Response
from edgeproxy.pipeline.errand import Asked, Onlooker, Prompt, Take
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig
from edgeproxy.pipeline.runner import serve
from tests.support.stages import Client, exchange, route, services

pytestmark = pytest.mark.interpreted  # its origins and onlookers are made here


class Promptly(Prompt):
    """An origin that is told by the test what to answer, and when. ``first``: what it does not send at once."""

    name = "origin"

    def __init__(self, first: Coroutine[Any, Any, Response] | Exception | None = None) -> None:
        self.first = first
        self.take: Take | None = None
        self.asked = 0
        self.fetched = 0
        self.given_up = 0

    def begin(self, x: Exchange, take: Take) -> Asked | Coroutine[Any, Any, Response]:
        if isinstance(self.first, Exception):
            raise self.first
        if self.first is not None:
            return self.first
        self.asked += 1
        self.take = take
        return Under(self)

    async def fetch(self, x: Exchange) -> Response:
        self.fetched += 1
        return Response(200, {}, b"fetched")

    def answers(self, outcome: Response | Coroutine[Any, Any, Response]) -> None:
        assert self.take is not None
        self.take(outcome)


class Under(Asked):
    def __init__(self, origin: Promptly) -> None:
        self.origin = origin

    def give_up(self) -> None:
        self.origin.given_up += 1


class Watching(Onlooker):
    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[str] = []
        self.error = error

    def before(self, x: Exchange) -> None:
        self.seen.append("before")

    def after(self, x: Exchange, response: Response) -> None:
        self.seen.append(f"after {response.status}")
        if self.error is not None:
            raise self.error


def stage(**hooks: Any) -> Middleware:
    methods = {name: staticmethod(hook) for name, hook in hooks.items()}
    return type("Stage", (Middleware,), {"name": "stage", **methods})(MiddlewareConfig(), services())


class Run:
    """One exchange through these stages, served directly, and what was logged of it."""

    def __init__(
        self, *stages: Middleware, origin: Promptly | None = None, method: bytes = b"GET", lookup: Any = None
    ) -> None:
        self.ended: list[str] = []
        self.origin = origin or Promptly()
        self.x = exchange(method=method)
        self.x.lookup = lookup
        self.x.route = route(stages, self.origin, log=[lambda x: self.ended.append(x.error)])
        self.client = Client()
        self.errand = serve(self.x, self.client, direct=True)


async def later(answer: Response | Exception) -> Response:
    await asyncio.sleep(0)
    if isinstance(answer, Exception):
        raise answer
    return answer


async def test_a_whole_answer_is_finished_where_it_comes_in_without_a_task() -> None:
    run = Run(stage(response=lambda x, response: response.set(b"x-seen", b"1")))
    assert (run.ended, run.client.response) == ([], None)
    run.origin.answers(Response(200, {}, b"prompt"))
    assert (run.client.body, run.client.field(b"x-seen"), run.client.task) == (b"prompt", b"1", None)
    assert (run.origin.asked, run.origin.fetched, run.ended) == (1, 0, [""])


async def test_interim_answers_pass_until_the_final_one() -> None:
    run = Run()
    assert run.x.interim is not None
    run.x.interim(103, {b"link": b"</a.css>; rel=preload"})
    run.origin.answers(Response(200, {}, b""))
    assert run.x.interim is None
    assert run.client.hints == [(103, {b"link": b"</a.css>; rel=preload"})]


async def test_a_body_that_streams_takes_a_task_from_there() -> None:
    run = Run()
    body = Pipe()
    run.origin.answers(Response(200, {}, body))
    assert run.ended == []
    body.feed(b"one ")
    body.feed(b"two")
    body.finish()
    assert ((await run.client.done()).body, run.ended) == (b"one two", [""])


@pytest.mark.parametrize("when", ["before", "behind"])
async def test_what_has_to_be_waited_for_is_waited_for_in_a_task(when: str) -> None:
    work = later(Response(200, {}, b"late"))
    run = Run(origin=Promptly(work) if when == "before" else None)
    if when == "behind":
        run.origin.answers(work)
    assert ((await run.client.done()).body, run.origin.fetched, run.ended) == (b"late", 0, [""])


async def test_the_fetch_phase_runs_before_the_origin_is_asked() -> None:
    order: list[str] = []
    run = Run(stage(fetch=lambda x: order.append("one")), stage(fetch=lambda x: order.append("two")))
    assert (order, run.origin.asked) == (["one", "two"], 1)
    run = Run(stage(fetch=lambda x: Response(503, {}, b"no")))
    assert (run.client.status, run.client.task, run.origin.asked, run.ended) == (503, None, 0, [""])


@pytest.mark.parametrize("verdict", [None, Response(503, {}, b"no")])
async def test_a_fetch_hook_that_is_waited_for_is_called_once_and_so_is_what_stands_behind_it(
    verdict: Response | None,
) -> None:
    order: list[str] = []

    async def slow(x: Exchange) -> Response | None:
        await asyncio.sleep(0)
        order.append("slow")
        return verdict

    first, last = stage(fetch=lambda x: order.append("first")), stage(fetch=lambda x: order.append("last"))
    run = Run(first, stage(fetch=slow), last)
    await run.client.done()
    assert order == (["first", "slow", "last"] if verdict is None else ["first", "slow"])
    assert (run.client.body, run.origin.asked) == (b"fetched" if verdict is None else b"no", 0)


@pytest.mark.parametrize("when", ["before", "behind"])
async def test_errors_are_answered_as_anywhere(when: str) -> None:
    error = EdgeError(Kind.CONNECT_REFUSED, "origin")
    run = Run(origin=Promptly(error) if when == "before" else None)
    if when == "behind":
        run.origin.answers(later(error))
    await run.client.done()
    assert (run.client.status, run.ended, run.x.interim) == (502, ["connect_refused"], None)


async def test_an_onlooker_sees_the_request_go_and_the_answer_come() -> None:
    for answer in (Response(200, {}, b""), later(Response(200, {}, b""))):
        looks = Watching()
        run = Run(lookup=looks)
        assert looks.seen == ["before"]
        run.origin.answers(answer)
        await run.client.done()
        assert looks.seen == ["before", "after 200"]
    run = Run(lookup=Watching(ZeroDivisionError()))
    run.origin.answers(Response(200, {}, b"secret"))
    assert (run.client.status, run.ended) == (500, ["internal"])


async def test_a_client_that_leaves_gives_the_request_up_once() -> None:
    run = Run()
    assert run.errand is not None
    run.errand.give_up()
    run.errand.give_up()
    assert (run.origin.given_up, run.ended, run.client.response) == (1, ["client_gone"], None)


async def test_what_is_answered_is_not_given_up() -> None:
    for outcome in (Response(200, {}, b""), later(Response(200, {}, b""))):
        run = Run()
        run.origin.answers(outcome)
        assert run.errand is not None
        run.errand.give_up()
        await run.client.done()
        assert (run.origin.given_up, run.ended) == (0, [""])


async def test_a_writer_that_fails_does_not_fail_the_read_that_brought_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def breaks(data: bytes) -> bytes:
        raise ZeroDivisionError

    run = Run(stage(response=lambda x, response: response.filter(breaks)))
    run.origin.answers(Response(200, {}, b"x"))
    assert "ZeroDivisionError" in caplog.text


async def test_only_what_waits_for_nothing_else_is_direct() -> None:
    async def slow(x: Exchange) -> None:
        await asyncio.sleep(0)

    class Detour:
        keeps = True

        async def fetch(self, x: Exchange, fetch: Any, store: Any) -> Response:
            response: Response = await fetch(x)
            return response

    for run in (Run(stage(request=slow)), Run(method=b"POST"), Run(lookup=Detour())):
        assert run.errand is None
        await run.client.done()
        assert (run.origin.asked, run.origin.fetched) == (0, 1)
