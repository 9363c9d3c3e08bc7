"""Workers killed in the middle of writing, again and again: no wrong byte, no start that fails, nothing lost that was
there before."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import ask
from tests.support.origin import RecordedRequest, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

NODES, KILLS = 5, 4  # the workers of a node that are killed, one by one, and then all of it: a worker that dies often
# is started ever more slowly
A_ROUND = 60  # answers stored before each kill

HIT = b"edgeproxy; hit; detail=l2"


def body(number: int) -> bytes:
    draw = random.Random(number)
    return draw.randbytes(draw.randrange(100, 150_000))


class Numbers(Site):
    """Any number's body, which may be kept."""

    def _tell(self, request: RecordedRequest) -> bytes:
        return answer(200, body(int(request.target[1:])), b"Cache-Control: max-age=6000")


@pytest.fixture
def site() -> Iterator[Site]:
    with Numbers() as site:
        yield site


def ask_for(edge: EdgeProcess, number: int) -> bool | None:
    """Whether it came from L2; None if the worker was gone. What came whole is right."""
    try:
        answers = ask(edge.address, request(b"/%d" % number, b"Connection: close")).final
    except OSError:
        return None
    if not answers:
        return None
    assert (answers[0].status, answers[0].body) == (200, body(number)), number
    return answers[0].get(b"cache-status") == HIT


@pytest.mark.slow
def test_what_was_there_before_a_worker_was_killed_is_there_after(site: Site, tmp_path: Path) -> None:
    disk = {"path": str(tmp_path / "l2"), "size": "1GB"}
    settings = config(site.url, cache={"memory": 0, "disk": disk}, workers=2, log={"access": False})
    committed: list[int] = []
    for _ in range(NODES):
        with EdgeProcess(settings) as edge:
            all_there(edge, committed)
            for kill in range(KILLS):
                numbers = range(len(committed), len(committed) + A_ROUND)
                kill_while_storing(edge, numbers, edge.worker_pids()[kill % 2])
                all_there(edge, committed)
                for number in numbers:
                    wait_until(lambda number=number: ask_for(edge, number) is True, "it is written")
                committed += numbers
            assert "damaged" not in edge.logs()
            assert "internal error" not in edge.logs()
            assert edge.logs().count("SIGKILL") == KILLS
            for pid in (edge.pid, *edge.worker_pids()):
                os.kill(pid, signal.SIGKILL)
    with EdgeProcess(settings) as edge:
        all_there(edge, committed)
        assert "damaged" not in edge.logs()


def all_there(edge: EdgeProcess, committed: list[int]) -> None:
    lost = [number for number in committed if not ask_for(edge, number)]
    assert len(lost) <= len(committed) // 100, lost


def kill_while_storing(edge: EdgeProcess, numbers: range, victim: int) -> None:
    wrong: list[BaseException] = []
    begun = threading.Event()

    def store() -> None:
        try:
            for number in numbers:
                ask_for(edge, number)
                if number == numbers.start + 3:
                    begun.set()
        except BaseException as error:
            wrong.append(error)

    storing = threading.Thread(target=store)
    storing.start()
    assert begun.wait(10)
    os.kill(victim, signal.SIGKILL)
    storing.join()
    wait_until(lambda: victim not in edge.worker_pids() and edge.admin("/readyz")[0] == 200, "another one has come", 30)
    assert not wrong, wrong
