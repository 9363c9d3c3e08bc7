"""What is simulated: worlds by seed."""

from __future__ import annotations

from statistics import fmean

import pytest

from edgeproxy.training.world import SPEEDS, UTILISATION, WORKERS, rate, work_on_average, world


def test_a_seed_is_a_world() -> None:
    assert world(3, 2.0) == world(3, 2.0)
    assert world(3, 2.0) != world(4, 2.0)


def test_workers_are_as_busy_as_was_said() -> None:
    arrivals = world(1, 40.0).arrivals
    assert len(arrivals) / 40 == pytest.approx(rate(), rel=0.05)
    assert fmean(each.work for each in arrivals) == pytest.approx(work_on_average(), rel=0.05)
    assert rate() * work_on_average() == pytest.approx(UTILISATION * WORKERS * sum(SPEEDS), rel=0.15)  # slow moments


def test_a_shift_makes_one_kind_more_work_from_then_on() -> None:
    before, after = world(1, 10.0).arrivals, world(1, 10.0, shift_at=5.0).arrivals
    ratios = {
        (a.target.split(b"/")[1], a.at >= 5.0, round(b.work / a.work, 3)) for a, b in zip(before, after, strict=True)
    }
    assert {ratio for _, _, ratio in ratios} == {1.0, 2.0}
    assert {(name, late) for name, late, ratio in ratios if ratio == 2.0} == {(b"api", True)}
