"""From an exchange to its answer: every phase once, every failure answered, every exchange logged once."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body
from edgeproxy.http.message import Response
from edgeproxy.pipeline import runner
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig
from tests.support.stages import Client, exchange, route, services


class Origin:
    name = "origin"

    def __init__(self, answer: Response | Exception | None = None) -> None:
        self.answer = answer or Response(200, {}, b"fetched")
        self.asked = 0

    async def fetch(self, x: Exchange) -> Response:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Chunks(Body):
    """A body of these chunks; an EdgeError among them is raised."""

    def __init__(self, *chunks: bytes | EdgeError) -> None:
        self.length = None
        self.chunks = [*chunks, b""]

    async def read(self) -> bytes:
        chunk = self.chunks.pop(0)
        if isinstance(chunk, EdgeError):
            raise chunk
        return chunk


def stage(**hooks: Any) -> Middleware:
    """A stage with these hooks; they are called without the stage itself."""
    methods = {name: staticmethod(hook) for name, hook in hooks.items()}
    return type("Stage", (Middleware,), {"name": "stage", **methods})(MiddlewareConfig(), services())


class Run:
    """One exchange through these stages, and what was logged of it."""

    def __init__(self, *stages: Middleware, origin: Origin | None = None) -> None:
        self.ended: list[str] = []
        self.origin = origin or Origin()
        self.x = exchange()
        self.x.route = route(stages, self.origin, log=[lambda x: self.ended.append(x.error)])
        self.client = Client()
        runner.serve(self.x, self.client)


async def test_an_answer_in_the_request_phase_needs_no_task() -> None:
    run = Run(stage(request=lambda x: Response(403, {}, b"no")))
    assert (run.client.task, run.client.status, run.client.body) == (None, 403, b"no")
    assert (run.origin.asked, run.ended) == (0, [""])


async def test_a_body_that_streams_is_written_in_a_task_and_logged_after_it() -> None:
    run = Run(stage(request=lambda x: Response(200, {}, Chunks(b"one ", b"two"))))
    assert run.ended == []
    assert (await run.client.done()).body == b"one two"
    assert run.ended == [""]


async def test_the_fetch_phase_may_answer_in_the_origins_place() -> None:
    async def later(x: Exchange) -> Response:
        return Response(200, {}, b"later")

    run = Run(stage(fetch=lambda x: None), stage(fetch=later), stage(fetch=lambda x: Response(500)))
    assert (await run.client.done()).body == b"later"
    assert run.origin.asked == 0


async def test_the_store_phase_waits_for_asynchronous_hooks() -> None:
    async def slowly(x: Exchange, response: Response) -> None:
        await asyncio.sleep(0)
        response.add(b"x-order", b"first")

    run = Run(stage(store=slowly), stage(store=lambda x, response: response.add(b"x-order", b"second")))
    await run.client.done()
    kept = Response(200)
    await runner.store(run.x, kept)
    assert kept.get(b"x-order") == b"first, second"


@pytest.mark.parametrize("where", ["inline", "task", "origin"])
async def test_an_error_is_answered_as_the_table_says(where: str) -> None:
    error = EdgeError(Kind.CONNECT_REFUSED, "origin", "10.0.0.1:80")

    def fails(x: Exchange) -> Response:
        raise error

    async def fails_later(x: Exchange) -> Response:
        raise error

    hook = {"inline": fails, "task": fails_later}.get(where)
    run = Run(*[stage(request=hook)] if hook else [], origin=Origin(error))
    await run.client.done()
    assert (run.client.status, run.ended) == (502, ["connect_refused"])
    assert run.client.field(b"cache-control") == b"no-store"
    assert b"10.0.0.1" not in run.client.body, "addresses of origins are not the client's business"


async def test_a_fault_of_our_own_is_500_one_line_in_the_log_and_no_detail(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run = Run(origin=Origin(ZeroDivisionError("secret")))
        await run.client.done()
    assert (run.client.status, run.ended) == (500, ["internal"])
    assert b"secret" not in run.client.body
    (line,) = caplog.messages
    assert line.startswith("internal error: ZeroDivisionError: secret at ")
    assert "test_runner.py:" in line


async def test_what_the_client_did_wrong_is_told_to_it() -> None:
    response = runner.error_response(EdgeError(Kind.BAD_REQUEST, "client", "two Host fields"))
    assert response.body == b"400 The request is malformed. two Host fields\n"
    assert response.get(b"proxy-status") is None


async def test_a_response_hook_that_fails_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def fails(x: Exchange, response: Response) -> None:
        raise ZeroDivisionError

    run = Run(stage(response=lambda x, response: response.set(b"x-here", b"1")), stage(response=fails))
    assert (await run.client.done()).field(b"x-here") == b"1"
    assert (run.client.status, run.ended) == (200, [""])
    assert "ZeroDivisionError" in caplog.text


async def test_a_log_hook_that_fails_keeps_no_other_from_running() -> None:
    def fails(x: Exchange) -> None:
        raise ZeroDivisionError

    run = Run(stage(log=fails))
    await run.client.done()
    assert run.ended == [""]


async def test_body_filters_are_run_on_a_whole_body_in_their_order() -> None:
    def filters(x: Exchange, response: Response) -> None:
        response.filter(lambda data: data.upper() or b"!")
        response.filter(lambda data: data.replace(b"E", b"3"))

    run = Run(stage(response=filters))
    assert (await run.client.done()).body == b"F3TCH3D!"
    assert run.x.response is not None
    assert run.x.response.filters is None


async def test_a_body_that_breaks_off_names_its_error_in_the_log() -> None:
    broken = Chunks(b"half", EdgeError(Kind.RESPONSE_INCOMPLETE, "origin"))
    run = Run(origin=Origin(Response(200, {}, broken)))
    assert (await run.client.done()).body == b"half"
    assert run.ended == ["response_incomplete"]


async def test_a_client_that_leaves_is_named_in_the_log() -> None:
    class Never(Chunks):
        async def read(self) -> bytes:
            return await asyncio.get_running_loop().create_future()

    run = Run(origin=Origin(Response(200, {}, Never())))
    assert run.client.task is not None
    for _ in range(3):
        await asyncio.sleep(0)
    run.client.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run.client.task
    assert run.ended == ["client_gone"]
