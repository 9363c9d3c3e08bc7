"""The counter that settings call for, and what all counters have in common."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.limits.accounts import RegionLimiter
from edgeproxy.limits.build import build_counter
from edgeproxy.limits.gcra import Limiter
from edgeproxy.limits.limiter import Counter
from edgeproxy.limits.node import NodeLimiter
from edgeproxy.limits.settings import LimitSettings
from edgeproxy.limits.window import Window
from tests.support.stages import services


def counter(**settings: Any) -> Counter:
    return build_counter(LimitSettings.model_validate(settings), services())


@pytest.mark.parametrize(("algorithm", "kind"), [("gcra", Limiter), ("window", Window)])
def test_a_worker_counts_in_its_own_memory_by_the_algorithm(algorithm: str, kind: type) -> None:
    assert isinstance(counter(algorithm=algorithm), kind)


@pytest.mark.parametrize("algorithm", ["gcra", "window"])
def test_every_algorithm_keeps_the_rate_and_gives_the_quota_at_once(algorithm: str) -> None:
    limit = counter(algorithm=algorithm, rate="5/m")
    arrivals = [limit.take(b"a", 1000.0) for _ in range(6)]
    assert [arrival > 0 for arrival in arrivals] == [True] * 5 + [False]
    assert limit.available(arrivals[4], 1000.0) == 0
    assert limit.wait(b"a", 1000.0) == pytest.approx(-arrivals[5])
    assert limit.wait(b"a", 1068.0) == 0
    assert len(limit) == 1
    limit.charge(b"b", 1000.0, 50)
    assert limit.wait(b"b", 1000.0) > 0


def test_burst_and_keys_are_what_the_settings_say() -> None:
    limit = counter(rate="1/h", burst=3, keys=100)
    assert [limit.take(b"a", 1000.0) > 0 for _ in range(4)] == [True, True, True, False]
    for number in range(1000):
        limit.take(b"%d" % number, 1000.0)
    assert len(limit) <= 100


@pytest.mark.parametrize(("scope", "kind"), [("worker", Limiter), ("node", NodeLimiter), ("region", RegionLimiter)])
def test_every_scope_keeps_the_rate(scope: str, kind: type) -> None:
    limit = counter(scope=scope, rate="5/m")
    assert isinstance(limit, kind)
    while limit.take(b"a", 1000.0) > 0:
        pass
    assert limit.wait(b"a", 1000.0) > 0
    assert limit.take(b"a", 1100.0) > 0


def test_of_a_region_a_batch_is_a_tenth_of_the_burst_if_not_given() -> None:
    for settings, hold, owe in [({"burst": 500}, 25, 25), ({"burst": 5}, 1, 1), ({"burst": 5, "batch": 9}, 5, 4)]:
        limit = counter(scope="region", **settings)
        assert isinstance(limit, RegionLimiter)
        assert (limit.terms.hold, limit.terms.owe, limit.terms.share) == (hold, owe, 0)


@pytest.mark.parametrize("settings", [{"batch": 10}, {"share": "10%", "scope": "node"}])
def test_batch_and_share_are_of_a_region(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is of scope: region"):
        counter(**settings)
