"""Which stages a route has: the defaults, the global map over them, the route's over that."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from edgeproxy.config import stages
from edgeproxy.config.stages import GROUP, ORDER_GROUP, Discovered, chosen, discover
from edgeproxy.pipeline.middleware import Middleware


class On(Middleware):
    default_on = True


INSTALLED = Discovered({"on": On, "off": Middleware}, ("off", "on"), {"broken": "ImportError: no"})


@pytest.mark.parametrize(
    ("everywhere", "here", "expected"),
    [
        ({}, None, {"on": {}}),
        ({"off": True}, None, {"off": {}, "on": {}}),
        ({"on": False}, None, {}),
        ({"on": False}, {"on": True}, {"on": {}}),
        ({"on": {"a": 1}}, {"on": False}, {}),
        ({"on": {"a": 1, "b": 1}}, {"on": {"b": 2}}, {"on": {"a": 1, "b": 2}}),
        ({"on": {"a": 1}}, {"on": True}, {"on": {"a": 1}}),
        ({"off": {"a": 1}}, {}, {"off": {"a": 1}, "on": {}}),
        ({"off": False}, {"off": {"a": 1}}, {"off": {"a": 1}, "on": {}}),
    ],
)
def test_settings_lie_over_each_other(everywhere: Any, here: Any, expected: dict[str, Any]) -> None:
    assert list(chosen(INSTALLED, everywhere, here).items()) == sorted(expected.items())


def test_settings_of_a_route_leave_the_global_ones_alone() -> None:
    everywhere: dict[str, Any] = {"on": {"a": 1}}
    chosen(INSTALLED, everywhere, {"on": {"a": 2}})
    assert everywhere == {"on": {"a": 1}}


def test_a_stage_that_cannot_be_loaded_is_named_with_why(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        GROUP: [
            EntryPoint("good", "edgeproxy.pipeline.middleware:Middleware", GROUP),
            EntryPoint("gone", "no_such_module_anywhere:Stage", GROUP),
            EntryPoint("other", "edgeproxy.pipeline.middleware:NoSuchClass", GROUP),
        ],
        ORDER_GROUP: [EntryPoint("default", "middleware:ORDER", ORDER_GROUP)],
    }
    monkeypatch.setattr(stages, "entry_points", lambda group: points[group])
    found = discover.__wrapped__()
    assert (dict(found.stages), found.order) == ({"good": Middleware}, ("good",))
    assert {name: why.partition(":")[0] for name, why in found.broken.items()} == {
        "gone": "ModuleNotFoundError",
        "other": "AttributeError",
    }
    assert found.names() == {"good", "gone", "other"}


def test_the_stages_that_come_with_the_package_are_all_found() -> None:
    found = discover()
    assert not found.broken
    assert set(found.order) == set(found.stages) >= {"cache", "jwt", "rate_limit"}
