"""How long a run takes is measured by CPU time, in as little of it as will do. What else the process does is seen from
outside, in the integration tests of the trial."""

from __future__ import annotations

import time

import pytest

from edgeproxy.inference.trial_process import measured


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("seconds", [0.00002, 0.002, 0.05])
def test_the_time_of_one_run_is_told(seconds: float) -> None:
    assert measured(lambda: burn(seconds)) == pytest.approx(seconds, rel=0.5)


def test_waiting_costs_nothing() -> None:
    assert measured(lambda: time.sleep(0.001)) < 0.0005


def test_a_long_run_is_not_repeated_for_long() -> None:
    runs: list[None] = []

    def run() -> None:
        runs.append(None)
        burn(0.6)

    measured(run)
    assert len(runs) == 1
