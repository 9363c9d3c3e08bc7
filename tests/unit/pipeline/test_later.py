"""A verdict that is yet to come begins when it is awaited."""

from __future__ import annotations

from edgeproxy.http.message import Response
from edgeproxy.pipeline.later import Later


async def test_it_begins_when_it_is_awaited_and_gives_what_comes() -> None:
    begun: list[int] = []
    answer = Response(403)

    async def verdict() -> Response | None:
        begun.append(1)
        return answer

    later = Later(verdict)
    assert begun == []
    assert await later is answer
    assert begun == [1]


async def test_dropped_before_it_leaves_nothing_behind() -> None:
    async def verdict() -> Response | None:
        return None

    Later(verdict)  # a coroutine that nobody awaits would be a RuntimeWarning, an error in these tests
