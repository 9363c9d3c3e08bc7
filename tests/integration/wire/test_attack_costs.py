"""What attacks on connections cost beside honest requests: each less than a few of them, however long it goes on."""

from __future__ import annotations

import pytest

from tests.benchmarks.attacks.measure import PROTOCOLS, measure
from tests.benchmarks.attacks.report import table
from tests.benchmarks.attacks.stand import Protocol

pytestmark = pytest.mark.slow

ROUNDS = 3  # of which the best counts: the machine may be busy in some


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_an_attack_costs_no_more_than_honest_requests(protocol: Protocol, capsys: pytest.CaptureFixture[str]) -> None:
    costs = measure(protocol, ROUNDS)
    with capsys.disabled():
        print(f"\n{protocol.name}\n\n{table(costs)}")
    assert not [cost.excess for cost in costs if cost.excess]
