"""Whom a limit is about."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from edgeproxy.limits.whom import Whom
from tests.support.stages import exchange


def concerns(whom: Whom, client: str = "192.0.2.7", **found_out: Any) -> bool:
    x = exchange(client=client)
    for name, value in found_out.items():
        setattr(x, name, value)
    return whom.concerns(x)


def whom(*exempt: Any, treated: bool = False, alarm: int = 0) -> Whom:
    return Whom(treated=treated, alarm=alarm, exempt=exempt)


def test_everyone_if_nothing_else_is_said() -> None:
    assert whom().all
    assert concerns(whom(), alarm=2, treatment="limit", identity="partner")


@pytest.mark.parametrize(("treatment", "concerned"), [("", False), ("challenge", False), ("limit", True)])
def test_the_treated_are_those_a_check_wants_limited(treatment: str, concerned: bool) -> None:
    assert not whom(treated=True).all
    assert concerns(whom(treated=True), treatment=treatment) is concerned


@pytest.mark.parametrize(("least", "concerned"), [(1, [False, True, True]), (2, [False, False, True])])
def test_everyone_while_the_alarm_is_so_high(least: int, concerned: list[bool]) -> None:
    assert [concerns(whom(alarm=least), alarm=alarm) for alarm in range(3)] == concerned


def test_the_exempt_are_not_counted() -> None:
    limit = whom(ip_network("198.51.100.0/24"), ip_network("2001:db8::/32"), "identity:partner", "agent:examplebot")
    assert not limit.all
    assert concerns(limit)
    assert not concerns(limit, client="198.51.100.9")
    assert not concerns(limit, client="2001:db8::1")
    assert not concerns(limit, identity="partner")
    assert not concerns(limit, agent="examplebot")
    assert concerns(limit, identity="examplebot", agent="partner")
    assert concerns(limit, client="")
