from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeproxy.supervisor import draining
from edgeproxy.supervisor.bus import BusError
from edgeproxy.supervisor.draining import Draining, drain_again, endpoint_of


class Worker:
    """A worker's pools: names to addresses, and which are drained."""

    def __init__(self, **pools: list[str]) -> None:
        self.pools = {name: Pool(addresses) for name, addresses in pools.items()}

    def obey(self, pool: str, endpoint: str, undo: bool) -> bool:
        return pool in self.pools and self.pools[pool].drain(endpoint, undo=undo)


class Pool:
    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses
        self.drained: set[str] = set()

    def drain(self, address: str, *, undo: bool = False) -> bool:
        (self.drained.discard if undo else self.drained.add)(address)
        return address in self.addresses


def over(*workers: Worker | BusError) -> Draining:
    async def ask(what: str, **order: Any) -> list[Any]:
        assert what == "drained"
        return [
            (SimpleNamespace(pid=7), worker if isinstance(worker, BusError) else worker.obey(**order))
            for worker in workers
        ]

    return Draining(ask)


async def test_workers_are_told_and_those_that_come_later_find_it(tmp_path: Path):
    one, two = Worker(site=["a:1", "b:1"]), Worker(site=["a:1", "b:1"])
    orders = over(one, two)
    assert await orders.order(tmp_path, "site", "a:1", undo=False) == []
    assert (one.pools["site"].drained, two.pools["site"].drained) == ({"a:1"}, {"a:1"})
    later = Worker(site=["a:1"], other=[])
    drain_again(tmp_path, later.pools)
    assert later.pools["site"].drained == {"a:1"}
    await orders.order(tmp_path, "site", "a:1", undo=True)
    assert one.pools["site"].drained == set()
    later = Worker(site=["a:1"])
    drain_again(tmp_path, later.pools)
    assert later.pools["site"].drained == set()


@pytest.mark.parametrize(("pool", "endpoint"), [("site", "c:1"), ("nowhere", "a:1")])
async def test_what_no_worker_has_is_refused_and_leaves_nothing_behind(tmp_path: Path, pool: str, endpoint: str):
    worker = Worker(site=["a:1"])
    with pytest.raises(ValueError, match=f"pool '{pool}' has no endpoint '{endpoint}'"):
        await over(worker).order(tmp_path, pool, endpoint, undo=False)
    assert worker.pools["site"].drained == set()
    drain_again(tmp_path, worker.pools)
    assert worker.pools["site"].drained == set()


async def test_a_worker_that_does_not_answer_is_named(tmp_path: Path):
    orders = over(Worker(site=["a:1"]), BusError("the other side is gone"))
    assert await orders.order(tmp_path, "site", "a:1", undo=False) == ["worker 7: the other side is gone"]


async def test_there_is_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draining, "MOST", 1)
    orders = over(Worker(site=["a:1", "b:1"]))
    await orders.order(tmp_path, "site", "a:1", undo=False)
    await orders.order(tmp_path, "site", "a:1", undo=False)
    with pytest.raises(ValueError, match="1 endpoints are drained already"):
        await orders.order(tmp_path, "site", "b:1", undo=False)


def test_an_order_names_a_pool_and_an_endpoint():
    assert endpoint_of({"pool": "site", "endpoint": "a:1"}) == ("site", "a:1")


@pytest.mark.parametrize(
    "order", [{}, {"pool": "site"}, {"pool": "site", "endpoint": 7}, {"pool": "a", "endpoint": "b", "more": 1}]
)
def test_what_names_none_is_refused(order: dict[str, Any]):
    with pytest.raises(ValueError, match="wanted"):
        endpoint_of(order)
