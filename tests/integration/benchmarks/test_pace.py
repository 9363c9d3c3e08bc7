"""Requests that are sent when they are due, to a server whose answers take what they take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.benchmarks import pace
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.pace import Stream
from tests.support.ports import free_port

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
GET = b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"
Answering = Callable[[bytes], Awaitable[bytes]]


@contextlib.asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[int]:
    """A server on a free port. An empty answer closes the connection."""

    talks: list[asyncio.Task[None]] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (talk := asyncio.current_task()) is not None:
            talks.append(talk)
        try:
            while said := await answer(await reader.readuntil(b"\r\n\r\n")):
                writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has left, or the test is over
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(converse, "127.0.0.1", free_port()) as server:
        yield server.sockets[0].getsockname()[1]
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks)


async def at_once(_: bytes) -> bytes:
    return OK


async def test_as_many_are_sent_as_are_due_each_in_turn():
    asked = []

    async def note(head: bytes) -> bytes:
        asked.append(head)
        return OK

    heads = [GET.replace(b"/ ", b"/%d " % number) for number in range(3)]
    async with serving(note) as port:
        timed = await pace.run(port, [Stream("hits", heads, 100, 1)], 0.07)

    assert asked == [heads[number % 3] for number in range(7)]
    assert len(timed["hits"].latencies) == 7


async def test_streams_come_at_once_and_are_told_apart():
    async with serving(at_once) as port:
        timed = await pace.run(port, [Stream("hits", [GET], 200, 2), Stream("image", [GET], 20, 1)], 0.1)

    assert {name: len(each.latencies) for name, each in timed.items()} == {"hits": 20, "image": 2}


async def test_what_was_due_late_is_not_late():
    async with serving(at_once) as port:
        timed = await pace.run(port, [Stream("hits", [GET], 10, 1)], 0.5)

    assert max(timed["hits"].latencies) < 0.4  # the last is due 400 ms after the first
    assert max(timed["hits"].behind) < 0.4


async def test_what_waits_for_a_connection_is_timed_from_when_it_was_due():
    async def late(_: bytes) -> bytes:
        await asyncio.sleep(0.05)
        return OK

    async with serving(late) as port:
        timed = await pace.run(port, [Stream("hits", [GET], 1000, 1)], 0.004)

    first, *_, last = timed["hits"].latencies
    assert first > 0.04
    assert last > 0.19  # four answers of 50 ms, one after the other, less the 3 ms it was due later
    assert len(timed["hits"].behind) == 1


async def test_requests_are_sent_when_due_though_no_answer_has_come():
    arrived = []

    async def note(_: bytes) -> bytes:
        arrived.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.3)
        return OK

    async with serving(note) as port:
        await pace.run(port, [Stream("hits", [GET], 50, 10)], 0.2)

    assert len(arrived) == 10
    assert arrived[-1] - arrived[0] < 0.29


async def test_another_status_is_no_answer():
    async def refuse(_: bytes) -> bytes:
        return OK.replace(b"200 OK", b"503 Busy")

    async with serving(refuse) as port:
        timed = await pace.run(port, [Stream("hits", [GET], 100, 1)], 0.02)

    assert timed["hits"].latencies == [float("inf")] * 2


@pytest.mark.parametrize("said", [b"", b"no HTTP at all\r\n\r\n", OK * 2])
async def test_what_is_no_answer_ends_it(said):
    async def answer(_: bytes) -> bytes:
        return said

    async with serving(answer) as port:
        with pytest.raises(BenchmarkError, match="hits"):
            await pace.run(port, [Stream("hits", [GET], 100, 1)], 0.05)


async def test_an_answer_that_does_not_come_ends_it(monkeypatch):
    async def never(_: bytes) -> bytes:
        await asyncio.Event().wait()
        return OK

    monkeypatch.setattr(pace, "PATIENCE", 0.1)
    async with serving(never) as port:
        with pytest.raises(BenchmarkError, match="hits 2 of 2 open"):
            await pace.run(port, [Stream("hits", [GET], 100, 1)], 0.02)


def test_a_question_has_its_body_and_says_how_long_it_is():
    (post,) = pace.posts("/v2/models/spam/predict", "text/plain", [b"a text"], "www.shop.example")
    head, _, body = post.partition(b"\r\n\r\n")

    assert body == b"a text"
    assert head.startswith(b"POST /v2/models/spam/predict HTTP/1.1\r\nHost: www.shop.example\r\n")
    assert b"\r\nContent-Type: text/plain\r\n" in head
    assert head.endswith(b"\r\nContent-Length: 6")
