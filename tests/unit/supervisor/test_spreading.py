"""What has changed is told to the other workers, many at a time, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgeproxy.cache.purge import Purge
from edgeproxy.supervisor import spreading
from edgeproxy.supervisor.bus import BusError
from edgeproxy.supervisor.spreading import Spreading


def change(name: str) -> Purge:
    return Purge("url", b"http://a.test/" + name.encode(), soft=False, at=1.0)


class Supervisor:
    """Told of changes; the messages, and a gate that holds back its answers."""

    def __init__(self) -> None:
        self.messages: list[list[str]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def tell(self, purges: list[dict[str, Any]]) -> None:
        self.messages.append([purge["value"].rpartition("/")[2] for purge in purges])
        self.asked.set()
        await self.gate.wait()


async def test_who_changed_something_waits_until_the_others_know() -> None:
    supervisor = Supervisor()
    supervisor.gate.clear()
    waiting = asyncio.create_task(Spreading(supervisor.tell).spread([change("a"), change("b")]))
    await supervisor.asked.wait()
    assert not waiting.done()
    supervisor.gate.set()
    await waiting
    assert supervisor.messages == [["a", "b"]]


async def test_what_comes_meanwhile_goes_in_one_message_each_thing_once() -> None:
    supervisor = Supervisor()
    supervisor.gate.clear()
    spread = Spreading(supervisor.tell).spread
    first = asyncio.create_task(spread([change("a")]))
    await supervisor.asked.wait()
    others = [asyncio.create_task(spread([change(name)])) for name in "bcb"]
    await asyncio.sleep(0)
    supervisor.gate.set()
    await asyncio.gather(first, *others)
    assert supervisor.messages == [["a"], ["b", "c"]]


async def test_a_message_has_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "MOST", 2)
    supervisor = Supervisor()
    await Spreading(supervisor.tell).spread([change(name) for name in "abc"])
    assert supervisor.messages == [["a", "b"], ["c"]]


async def test_a_supervisor_that_is_slow_or_gone_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(spreading, "WITHIN", 0.01)
    supervisor = Supervisor()
    supervisor.gate.clear()
    slow = Spreading(supervisor.tell)
    await slow.spread([change("a")])
    supervisor.gate.set()

    async def gone(_: Any) -> None:
        raise BusError("the other side is gone")

    broken = Spreading(gone)
    await broken.spread([change("a")])
    await broken.spread([change("b")])
    assert "the other workers were not told" in caplog.text
    assert repr(broken) == "<Spreading 0 gathered>"
