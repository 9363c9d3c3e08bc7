"""Which balancer a name stands for, and what choosing costs."""

from __future__ import annotations

import random
from time import process_time
from typing import get_args

import pytest

from edgeproxy.balance import class_ewma
from edgeproxy.balance.ask import Ask
from edgeproxy.balance.class_ewma import ClassEwma
from edgeproxy.balance.hashing import Hashing
from edgeproxy.balance.least_request import LeastRequest
from edgeproxy.balance.pace import KINDS, Usual
from edgeproxy.balance.peak_ewma import PeakEwma
from edgeproxy.balance.round_robin import RoundRobin
from edgeproxy.balance.table import LOAD, Method, balancer
from edgeproxy.config.pools import HashConfig, PoolConfig
from tests.support.members import Member


@pytest.mark.parametrize(
    ("method", "made"),
    [
        ("class_ewma", ClassEwma),
        ("hash", Hashing),
        ("least_request", LeastRequest),
        ("peak_ewma", PeakEwma),
        ("round_robin", RoundRobin),
    ],
)
def test_the_configured_method_is_used(method: Method, made: type) -> None:
    assert type(balancer(method, [Member("a")])) is made


def test_what_settings_offer_is_what_there_is() -> None:
    offered = get_args(PoolConfig.model_fields["balance"].annotation)
    assert sorted(offered) == sorted((*get_args(Method), "learned"))
    assert HashConfig().load == LOAD


@pytest.mark.parametrize("method", get_args(Method))
def test_one_member_takes_all(method: Method) -> None:
    only = Member("only", share=0.0)
    choose = balancer(method, [only])
    assert {choose.pick(Ask(0.0, kind, b"key")).name for kind in range(KINDS)} == {"only"}


@pytest.mark.bench
@pytest.mark.parametrize("method", get_args(Method))
def test_choosing_among_a_thousand_costs_microseconds(method: Method) -> None:
    """3 µs is what the compiled build may take; interpreted, it may be three times that."""
    draw, usual = random.Random(7).random, Usual()
    members = [Member(f"192.0.2.{number}:80", in_flight=number % 4) for number in range(1_000)]
    for member in members:
        member.pace.usual = usual
        for kind in range(KINDS):
            member.pace.took(kind, 0.01 * draw(), 1.0)
    choose, ask, count = balancer(method, members), Ask(1.5, 3, b"203.0.113.9"), 10_000
    rounds = []
    for _ in range(5):
        begun = process_time()
        for _ in range(count):
            choose.pick(ask)
        rounds.append((process_time() - begun) / count * 1e6)
    compiled = class_ewma.__file__.endswith(".so")
    print(f"\n{method}: {min(rounds):.2f} µs, {'compiled' if compiled else 'interpreted'}")
    assert min(rounds) <= (3 if compiled else 9)
