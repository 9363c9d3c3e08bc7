"""Which stages a route has: the defaults, the global map over them, the route's over that."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from edgeproxy.config import stages
from edgeproxy.config.stages import GROUP, ON_GROUP, ORDER_GROUP, Discovered, chosen, discover
from edgeproxy.pipeline.middleware import Middleware

INSTALLED = Discovered({"on": Middleware, "off": Middleware}, ("off", "on"), frozenset(("on",)))


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
        ON_GROUP: [EntryPoint("good", "edgeproxy.pipeline.middleware:Middleware", ON_GROUP)],
        ORDER_GROUP: [EntryPoint("default", "middleware:ORDER", ORDER_GROUP)],
    }
    monkeypatch.setattr(stages, "entry_points", lambda group: points[group])
    found = discover.__wrapped__()
    assert (found.order, found.on, found.stages["good"]) == (("gone", "good", "other"), {"good"}, Middleware)
    assert {name: found.broken(name).partition(":")[0] for name in found.stages} == {
        "good": "",
        "gone": "ModuleNotFoundError",
        "other": "AttributeError",
    }


def test_the_stages_that_come_with_the_package_are_all_found() -> None:
    found = discover()
    assert not any(map(found.broken, found.stages))
    assert set(found.order) == set(found.stages) >= {"cache", "jwt", "rate_limit"} | found.on
    assert all(found.stages[name].name == name for name in found.stages)


def test_a_stage_that_is_off_is_not_even_loaded() -> None:
    code = (
        "import sys; from edgeproxy.config.load import load_text; load_text('''"
        "listeners: [{address: ':1'}]\npools: {a: {endpoints: ['http://127.0.0.1:1']}}\n"
        "middleware: {bot_check: off}\nroutes: [{name: all, pool: a}]\n''');"
        "print(*sorted(name for name in sys.modules if name.startswith('middleware.')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == [f"middleware.{name}" for name in sorted(discover().on - {"bot_check"})]
