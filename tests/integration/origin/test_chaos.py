"""Origins that stall, reset, answer 500, trickle and vanish under load, in front of them the real proxy.

Requests are sent at even spacing whatever becomes of them, all of them idempotent, and every byte of their answers is
checked (tests/benchmarks/chaos, which plays the same beside other proxies).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from edgeproxy.origin.pool import Pool
from tests.benchmarks.chaos import region
from tests.benchmarks.chaos.report import named, verdict
from tests.benchmarks.chaos.servers import Edgeproxy, EdgeproxyTiers
from tests.benchmarks.chaos.session import WAYS, Session, Times, combinations
from tests.benchmarks.chaos.steady import Steady, between
from tests.benchmarks.stats import quantile
from tests.support.failing import FailingOrigins, Fault
from tests.support.processes import EdgeProcess

RATE = 150.0
FAILOVER = 0.5  # seconds
LOOP_GAP = 0.005  # seconds, p99


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def site(origins: FailingOrigins, **settings: Any) -> dict[str, Any]:
    """A configuration whose times fit into a short test: no origin takes more than 12 ms."""
    pool = {
        "endpoints": origins.urls,
        "timeouts": {"connect": 0.1, "first_byte": 0.2},
        "outlier": {"failures": 3, "statuses": [500, 502, 503, 504], "eject_for": 0.5, "max_ejected": "100%"},
        "retry": {"tries": 5, "causes": ["connect", "lost", "timeout", 500, 502, 503, 504]},
        **settings,
    }
    return {
        "pools": {"site": pool},
        "routes": [{"name": "all", "pool": "site"}],
        "middleware": {"bot_check": False, "flood": False},
        "limits": {"connections_per_client": 1000},
    }


async def test_while_four_of_five_fail_the_fifth_takes_all_and_no_client_sees_it() -> None:
    with FailingOrigins(len(WAYS)) as origins, EdgeProcess(site(origins)) as edge:
        async with Steady("edgeproxy", edge.port, RATE) as load:
            await load.reached(100)  # what the budget is a share of
            await asyncio.to_thread(origins.fail, Fault.STALL, Fault.RESET, Fault.ERROR, Fault.WELL, Fault.BLACK_HOLE)
            since = time.monotonic()
            await asyncio.sleep(1.2)
            ends = time.monotonic()
            await load.answered(ends)
            failed = [each for each in load.asked if each.failure]
            assert not failed
            assert {each.endpoint for each in between(load.asked, ends - 0.5, ends)} == {3}
            assert len(between(load.asked, since, ends)) > RATE


@pytest.mark.slow
async def test_every_combination_of_failures_is_kept_from_clients(tmp_path: Path) -> None:
    """No request fails, p99 stays within three times quiet time's once the first seconds are over, retries stay inside
    the budget, and what heals is asked again. A combination that broke a promise about time only is played again,
    beside a quiet time of its own: the machine has other work too, and more at times."""
    session = Session(tmp_path, Times(), [Edgeproxy])
    found: dict[str, list[str]] = {}
    async with session.running():
        quiet = (await session.quiet())["edgeproxy"]
        for faults in combinations():
            (outcome,) = await session.fail(faults)
            kept = verdict(outcome, quiet)
            if kept and not outcome.whole.failed:
                beside = (await session.quiet())["edgeproxy"]
                (outcome,) = await session.fail(faults)
                kept = verdict(outcome, beside)
            if kept:
                found[named(faults)] = kept
    assert not found


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Edgeproxy, EdgeproxyTiers], ids=["the fallback pool", "the next tier"])
async def test_a_region_that_dies_under_load_is_left_and_comes_back(tmp_path: Path, kind: type[Edgeproxy]) -> None:
    killed, silent = await region.run(tmp_path, RATE, [kind])
    assert (killed.whole.failed, silent.whole.failed) == (0, 0)
    assert killed.longest < FAILOVER
    assert None not in {killed.back, silent.back}


@pytest.mark.bench
async def test_a_thousand_endpoints_checked_every_second_leave_the_loop_to_requests(
    make_pool: Callable[..., Awaitable[Pool]],
) -> None:
    """How much longer than a millisecond the loop lets something wait that asked for one, the first checks included.
    All endpoints are one origin, under a thousand addresses of the loopback net."""
    with FailingOrigins(1, host="0.0.0.0") as origins:
        (port,) = origins.ports
        endpoints = [f"http://127.1.{number // 250}.{number % 250 + 1}:{port}" for number in range(1000)]
        gaps = await _gaps(2.0)
        pool = await make_pool(*endpoints, health={"path": "/health", "interval": 1, "timeout": 1})
        checked = await _gaps(6.0)
        (asked,) = origins.asked()
        assert asked["health"] > 4000
        assert all(endpoint["healthy"] for endpoint in pool.state())
    figures = [f"{quantile(each, 0.99) * 1e3:.2f} ms, at most {max(each) * 1e3:.1f}" for each in (gaps, checked)]
    print(f"loop gap p99 without checks {figures[0]}; with {asked['health'] / 6:.0f} a second {figures[1]}")
    assert quantile(checked, 0.99) < LOOP_GAP


async def _gaps(seconds: float) -> list[float]:
    gaps = []
    until = time.monotonic() + seconds
    while (now := time.monotonic()) < until:
        await asyncio.sleep(0.001)
        gaps.append(time.monotonic() - now - 0.001)
    return gaps
