"""Described attacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeproxy.commands.simulate import NAMES
from edgeproxy.simulate.scenario import DESCRIBED, describe


def test_every_described_attack_is_one_and_is_offered() -> None:
    assert tuple(DESCRIBED) == NAMES
    for name in DESCRIBED:
        assert describe(name, None, {}).requests > 0


def test_what_is_given_goes_over_what_is_described(tmp_path: Path) -> None:
    file = tmp_path / "attack.yaml"
    file.write_text("kind: slow-head\nclients: 7\nduration: 1m30s\npaths: /a\n")
    scenario = describe("get", file, {"clients": 9})
    assert (scenario.kind, scenario.clients, scenario.duration, scenario.paths) == ("slow-head", 9, 90.0, ("/a",))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind: [", "is not YAML"),
        ("\x00", "is not YAML"),
        ("- a", "a map is wanted"),
        ("kind: teardrop", "kind: "),
        ("request: 5", "request: Extra inputs"),
        ("requests: 100000000", "requests: "),
        ("duration: 1d", "duration: "),
        ("paths: ['x']", "paths.0: "),
        ("paths: ['/ HTTP/1.1\\r\\n']", "paths.0: "),
        ('host: "a\\r\\nb"', "host: "),
        ('agent: "a\\r\\nb"', "agent: "),
    ],
)
def test_what_is_no_description_is_said(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "attack.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        describe("get", file, {})


@pytest.mark.parametrize("given", [{"requests": 0}, {"clients": 1_000_000}, {"good": 10_000}, {"quiet": "2h"}])
def test_numbers_have_bounds(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        describe("get", None, given)
