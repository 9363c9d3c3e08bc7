"""What the process has beyond its limit is given back, or taken off L1."""

from __future__ import annotations

import os
import random
import sys
from functools import partial

import pytest

from edgeproxy.cache.memory import Memory
from edgeproxy.observe.metrics import Metrics
from edgeproxy.supervisor.heap import MOST_TAKEN, SLACK, Heap
from tests.support.processes import resident

MB = 1 << 20


class Process:
    """A process whose size a test sets."""

    def __init__(self) -> None:
        self.size = 50 * MB
        self.memory = Memory(0, Metrics(), lambda: 0.0)
        self.heap = Heap(lambda: self.size)

    def tend(self, size: int, times: int = 1) -> int:
        """Be so large for so many looks; returns L1's limit then."""
        self.size = size
        for _ in range(times):
            self.heap.tend()
        return self.memory.limit


@pytest.fixture
def process() -> Process:
    process = Process()
    process.heap.hold(process.memory, 100 * MB)
    return process


def test_within_its_limit_l1_has_all_of_it(process: Process) -> None:
    assert process.memory.limit == 100 * MB
    assert process.tend(150 * MB, 10) == 100 * MB


def test_what_is_beyond_is_taken_off_step_by_step_and_given_back(process: Process) -> None:
    limits = [process.tend(158 * MB) for _ in range(3)]
    assert limits == [98 * MB, 96 * MB, 94 * MB]
    assert process.tend(142 * MB, 3) == 100 * MB


def test_only_a_share_of_the_limit_is_ever_taken(process: Process) -> None:
    assert process.tend(900 * MB, 100) == pytest.approx(100 * MB * (1 - MOST_TAKEN), abs=1)


def test_another_limit_counts_from_the_same_empty_process(process: Process) -> None:
    process.tend(158 * MB)
    process.heap.hold(process.memory, 200 * MB)
    assert process.memory.limit == 198 * MB
    assert process.tend(250 * MB, 10) == 198 * MB


def test_holes_are_looked_for_only_where_something_has_grown(process: Process) -> None:
    assert process.heap.tend()
    assert not process.heap.tend()
    process.size += SLACK - 1
    assert not process.heap.tend()
    process.size += 1
    assert process.heap.tend()
    assert repr(process.heap) == "<Heap 54525952 B resident, 0 B taken off L1>"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_holes_between_what_is_kept_are_given_back() -> None:
    own = partial(resident, os.getpid())
    heap = Heap(own)
    heap.settle()
    choose = random.Random(3)
    kept = [os.urandom(choose.randrange(20_000, 60_000)) for _ in range(2000)]
    full = own()
    kept = kept[::2]
    assert heap.tend()
    assert full - own() > sum(map(len, kept)) / 2
