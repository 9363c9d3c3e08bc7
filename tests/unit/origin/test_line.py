from __future__ import annotations

import asyncio

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin.line import Line, Ticket

LONG = 3600.0
PERSON, PROGRAM = 0, 90


class Waiting:
    """A line, and who has come through it."""

    def __init__(self, size: int) -> None:
        self.shed: list[str] = []
        self.line = Line(size, self.shed.append)
        self.through: list[str] = []

    async def join(self, name: str, score: int = PERSON, ticket: Ticket | None = None) -> asyncio.Task[None]:
        async def wait() -> None:
            until = asyncio.get_running_loop().time() + LONG
            await self.line.wait(ticket or self.line.ticket(score), until)
            self.through.append(name)

        task = asyncio.create_task(wait())
        await turn()
        return task

    async def call(self, places: int = 1) -> list[str]:
        self.line.call(places)
        await turn()
        return self.through


async def turn() -> None:
    """Let all go on that can."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_first_come_first_served_within_a_rank():
    waiting = Waiting(10)
    for name, score in [("a", PROGRAM), ("b", PERSON), ("c", PROGRAM), ("d", PERSON)]:
        await waiting.join(name, score)
    assert await waiting.call() == ["b"]
    assert await waiting.call(2) == ["b", "d", "a"]
    assert await waiting.call(5) == ["b", "d", "a", "c"]
    assert (len(waiting.line), waiting.shed) == (0, [])


async def test_who_finds_it_full_leaves_unless_somebody_stands_behind():
    waiting = Waiting(2)
    first, last = await waiting.join("first", PROGRAM), await waiting.join("last", PROGRAM)
    one_more = await waiting.join("one more", PROGRAM)
    with pytest.raises(EdgeError) as caught:
        one_more.result()
    assert (caught.value.kind, caught.value.retry_after) == (Kind.OVERLOADED, 1)
    await waiting.join("person")
    assert (first.done(), last.done()) == (False, True)
    with pytest.raises(EdgeError):
        last.result()
    assert waiting.shed == ["full", "rank"]
    assert await waiting.call(5) == ["person", "first"]


async def test_who_waits_too_long_leaves():
    waiting = Waiting(2)
    with pytest.raises(EdgeError) as caught:
        await waiting.line.wait(waiting.line.ticket(PERSON), asyncio.get_running_loop().time())
    assert caught.value.kind is Kind.OVERLOADED
    assert (len(waiting.line), waiting.shed) == (0, ["late"])


async def test_who_is_called_and_gone_hands_the_place_on():
    waiting = Waiting(2)
    first = await waiting.join("first")
    await waiting.join("second")
    waiting.line.call()
    first.cancel()
    await turn()
    assert waiting.through == ["second"]


async def test_who_leaves_is_not_called():
    waiting = Waiting(2)
    first = await waiting.join("first")
    await waiting.join("second")
    first.cancel()
    await turn()
    assert len(waiting.line) == 1
    assert await waiting.call() == ["second"]
    assert waiting.shed == []


async def test_those_called_in_vain_keep_their_order():
    waiting = Waiting(3)
    tickets = [waiting.line.ticket(PERSON) for _ in range(3)]
    for i in (1, 0, 2):
        await waiting.join(f"{i}", ticket=tickets[i])
    assert await waiting.call(3) == ["0", "1", "2"]


async def test_who_was_called_in_vain_is_not_refused_by_those_behind():
    waiting = Waiting(1)
    ticket = waiting.line.ticket(PERSON)
    behind = await waiting.join("behind")
    await waiting.join("back", ticket=ticket)
    assert await waiting.call() == ["back"]
    with pytest.raises(EdgeError):
        behind.result()


@pytest.mark.parametrize(("score", "rank"), [(0, 0), (59, 0), (60, 1), (100, 1)])
def test_programs_stand_behind(score: int, rank: int):
    assert Line(1, print).ticket(score)[0] == rank
