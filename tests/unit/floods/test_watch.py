"""What is counted becomes a state that all workers of a node share."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.floods.clients import Clients
from edgeproxy.floods.gate import Gate, Measures
from edgeproxy.floods.judge import Change, Settings
from edgeproxy.floods.watch import TICK, Watch
from edgeproxy.floods.worst import Worst
from edgeproxy.http.message import Response
from edgeproxy.observe.metrics import Metrics
from tests.support.stages import exchange

PASS = Measures("pass", "everybody", worst=False)
QUICK = Settings(warm_up=5, calm=5)


class Worker:
    """A gate and its watch, as one worker of a node has them."""

    def __init__(self, clock: ManualClock, folder: Path | None) -> None:
        self.metrics = Metrics()
        self.changes: list[Change] = []
        worst = Worst(2, 0.1, 0.02)
        clients = Clients(b"s" * 32, folder)
        self.gate = Gate(
            clients,
            worst,
            (PASS, PASS, PASS),
            clock.monotonic,
            lambda: Response(503),
            enforced=True,
            retry_after=b"1",
        )
        self.watch = Watch(self.gate, worst, QUICK, self.metrics, clock.monotonic, self.changes.append)
        self.watch.open(folder, "key")

    def ask(self, count: int) -> int:
        """So many requests; the alarm the last one met."""
        for _ in range(count):
            x = exchange()
            assert self.gate.count(x) is None
        return x.alarm if count else 0

    def states(self) -> dict[str, float]:
        family = next(one for one in self.metrics.dump() if one["name"] == "edgeproxy_flood_state")
        return {labels[0]: value for labels, (value,) in family["series"]}


def run(clock: ManualClock, workers: list[Worker], seconds: float, requests: int) -> None:
    """Go on for so long, each worker with so many requests a tick."""
    for _ in range(round(seconds / TICK)):
        clock.advance(TICK)
        for worker in workers:
            worker.ask(requests)
            worker.watch.tick()


def test_workers_see_together_what_none_sees_alone(tmp_path: Path) -> None:
    clock = ManualClock()
    workers = [Worker(clock, tmp_path) for _ in range(4)]
    run(clock, workers, 20, 1)
    assert [worker.states() for worker in workers] == [{"node": 0, "route:site": 0}] * 4
    run(clock, workers, 5, 12)  # 24 a second each, 96 together
    assert [worker.ask(1) for worker in workers] == [1] * 4
    assert [worker.states() for worker in workers] == [{"node": 1, "route:site": 1}] * 4
    run(clock, workers, 20, 1)
    assert [worker.ask(1) for worker in workers] == [0] * 4


def test_one_worker_announces_and_counts_a_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    workers = [Worker(clock, tmp_path) for _ in range(3)]
    run(clock, workers, 20, 1)
    run(clock, workers, 4, 400)
    run(clock, workers, 30, 1)
    told = [(one.scope, one.before, one.after) for worker in workers for one in worker.changes]
    assert sorted(told) == [(scope, *states) for scope in ("node", "route:site") for states in ((0, 2), (1, 0), (2, 1))]
    counters = [
        worker.metrics.counter("edgeproxy_flood_transitions_total", "", ("scope", "state")) for worker in workers
    ]
    assert sum(counter.value("node", "attack") for counter in counters) == 1
    lines = [record.getMessage() for record in caplog.records if "flood: node:" in record.getMessage()]
    assert len(lines) == 3
    assert lines[0].startswith("flood: node: normal -> attack: requests ")
    assert "usual" in lines[0]
    assert [record.levelname for record in caplog.records if "flood: node:" in record.getMessage()] == [
        "WARNING",
        "INFO",
        "INFO",
    ]


def test_when_the_judge_is_gone_another_one_goes_on(tmp_path: Path) -> None:
    clock = ManualClock()
    first, second, third = (Worker(clock, tmp_path) for _ in range(3))
    run(clock, [first, second, third], 20, 10)
    run(clock, [first, second, third], 4, 2000)
    first.watch.stop()
    run(clock, [second, third], 20, 2000)
    assert [second.ask(1), third.ask(1)] == [2, 2]
    assert second.changes == third.changes == [], "it is the same attack"
    run(clock, [second, third], 20, 10)
    assert [second.ask(1), third.ask(1)] == [0, 0]


def test_a_worker_that_is_started_during_an_attack_learns_the_state(tmp_path: Path) -> None:
    clock = ManualClock()
    old = Worker(clock, tmp_path)
    run(clock, [old], 20, 2)
    run(clock, [old], 4, 2000)
    new = Worker(clock, tmp_path)
    run(clock, [old, new], 1, 1000)
    assert new.ask(1) == 2
    old.watch.stop()
    run(clock, [new], 2, 2000)
    assert new.ask(1) == 2


def test_clients_of_quiet_times_are_known_during_an_attack_and_those_of_the_attack_are_not(tmp_path: Path) -> None:
    clock = ManualClock()
    workers = [Worker(clock, tmp_path) for _ in range(2)]
    for _ in range(60):
        clock.advance(TICK)
        workers[0].gate.count(exchange(client="192.0.2.1"))
        for worker in workers:
            worker.watch.tick()
    for _ in range(10):
        clock.advance(TICK)
        for number in range(400):
            workers[number % 2].gate.count(exchange(client=f"198.51.100.{number % 200}"))
        for worker in workers:
            worker.watch.tick()
    for worker in workers:
        for client in ("192.0.2.1", "198.51.100.7"):
            worker.gate.count(exchange(client=client))
        assert worker.gate._visitors["192.0.2.1"].known
        assert not worker.gate._visitors["198.51.100.7"].known


def test_where_there_is_no_board_a_worker_watches_by_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    worker = Worker(clock, None)
    worker.watch.stop()
    worker.watch.open(tmp_path / "gone", "key")
    assert "this worker counts by itself" in caplog.text
    run(clock, [worker], 20, 1)
    run(clock, [worker], 4, 400)
    assert worker.ask(1) == 2


def test_after_the_end_nothing_is_counted_on_the_board_twice(tmp_path: Path) -> None:
    clock = ManualClock()
    one, other = Worker(clock, tmp_path), Worker(clock, tmp_path)
    one.ask(10)
    one.watch.stop()
    one.watch.stop()
    one.watch.tick()
    assert one.states() == {}
    clock.advance(TICK)
    other.watch.tick()
    assert other.watch._board is not None
    assert other.watch._board.sums()["node"].requests == 10
