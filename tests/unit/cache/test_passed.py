"""Hit-for-miss: who passes, and until when."""

from __future__ import annotations

import asyncio

from edgeproxy.http.message import Request, Response
from tests.support.caching import Edge

MISS = b"edgeproxy; fwd=uri-miss"


async def test_the_first_answer_that_could_be_kept_ends_the_passing() -> None:
    edge = Edge()
    edge.answer = lambda request: asyncio.sleep(0, Response(503, {}, b"down"))
    assert (await edge.get()).field(b"cache-status") == MISS + b"; fwd-status=503"
    assert (await edge.get()).field(b"cache-status") == MISS
    edge.answer = edge.plain
    said = [(await edge.get()).field(b"cache-status") for _ in range(3)]
    assert said == [MISS, MISS + b"; fwd-status=200; stored", b"edgeproxy; hit"]


async def test_what_may_not_be_kept_passes_on() -> None:
    edge = Edge()

    async def private(request: Request) -> Response:
        return Response(200, {b"cache-control": b"private, max-age=60"}, b"body")

    edge.answer = private
    said = [(await edge.get()).field(b"cache-status") for _ in range(4)]
    assert said == [MISS + b"; fwd-status=200", MISS, MISS, MISS]
    assert len(edge.asked) == 4
