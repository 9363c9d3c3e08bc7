import asyncio
import socket

import pytest

from edgeproxy.supervisor.bus import LONGEST, Bus, BusError, RefusedError


@pytest.fixture
async def pair():
    """Two ends of a bus: one asks, the other has handlers."""
    buses, tasks = [], []

    async def make(**handlers):
        left, right = socket.socketpair()
        for sock, does in ((left, {}), (right, handlers)):
            bus = await Bus.over(sock, does)
            buses.append(bus)
            tasks.append(asyncio.create_task(bus.run()))
        return buses

    yield make
    for bus in buses:
        await bus.close()
    await asyncio.wait(tasks)


async def test_a_question_is_answered(pair):
    async def double(number):
        return number * 2

    asker, _ = await pair(double=double)
    assert await asker.ask("double", number=4) == 8


async def test_answers_find_their_questions_whatever_their_order(pair):
    gates = {name: asyncio.Event() for name in "ab"}

    async def wait(name):
        await gates[name].wait()
        return name

    asker, _ = await pair(wait=wait)
    asked = {name: asyncio.create_task(asker.ask("wait", name=name)) for name in "ab"}
    await asyncio.sleep(0)
    gates["b"].set()
    assert await asked["b"] == "b"
    assert not asked["a"].done()
    gates["a"].set()
    assert await asked["a"] == "a"


async def test_why_not_is_told(pair):
    async def fail():
        raise ValueError("no room")

    asker, _ = await pair(fail=fail)
    with pytest.raises(RefusedError, match="no room"):
        await asker.ask("fail")
    with pytest.raises(RefusedError, match="'dance' is not known"):
        await asker.ask("dance")


async def test_no_answer_in_time_is_an_error_and_a_late_one_is_dropped(pair):
    gate = asyncio.Event()

    async def wait():
        await gate.wait()

    async def quick():
        return 1

    asker, _ = await pair(wait=wait, quick=quick)
    with pytest.raises(BusError, match=r"within 0\.05s"):
        await asker.ask("wait", within=0.05)
    gate.set()
    assert await asker.ask("quick") == 1


async def test_when_the_other_side_goes_questions_end_at_once(pair):
    async def wait():
        await asyncio.Event().wait()

    asker, other = await pair(wait=wait)
    question = asyncio.create_task(asker.ask("wait", within=60))
    await asyncio.sleep(0)
    other._writer.transport.abort()
    with pytest.raises(BusError, match="gone"):
        await asyncio.wait_for(question, 5)
    with pytest.raises(BusError, match="gone"):
        await asker.ask("wait")


async def test_a_message_past_the_bound_is_refused_where_it_is_made(pair):
    asker, _ = await pair()
    with pytest.raises(BusError, match="too long"):
        await asker.ask("take", text="x" * LONGEST)


async def test_large_messages_pass(pair):
    async def echo(text):
        return text

    asker, _ = await pair(echo=echo)
    assert len(await asker.ask("echo", text="x" * 2_000_000)) == 2_000_000


@pytest.mark.parametrize("noise", [b"{\n", b"[]\n", b'{"is": 1}\n', b"3\n", b"\xff\n"])
async def test_what_is_not_the_buss_language_ends_it(noise):
    left, right = socket.socketpair()
    bus = await Bus.over(left)
    with right:
        right.sendall(noise)
        await asyncio.wait_for(bus.run(), 5)
    with pytest.raises(BusError):
        await bus.ask("anything")
    await bus.close()
