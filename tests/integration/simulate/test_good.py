"""Good clients of a simulated flood, at a server that never answers."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from edgeproxy.simulate.good import Felt, GoodClient
from edgeproxy.simulate.scenario import Scenario
from tests.support.waiting import eventually


@pytest.mark.parametrize("turns", range(5))
async def test_one_that_is_ended_along_with_its_answer_ends(turns: int) -> None:
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    felt: list[Felt] = []
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        scenario = Scenario(kind="get", think=0.05)
        client = GoodClient(0, scenario, server.sockets[0].getsockname(), felt)
        running = asyncio.create_task(client.run())
        await asked.wait()
        assert client._connection is not None
        client._connection.idle.set()  # as an answer does
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await eventually(running.done)
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert running.cancelled()
