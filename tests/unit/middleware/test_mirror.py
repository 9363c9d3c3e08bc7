"""Mirrors as configuration writes them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from middleware.mirror import Mirror
from tests.support.stages import exchange, stage


def test_copies_are_made_where_it_says_and_nowhere_in_observe_mode() -> None:
    for settings, phases in (
        ({"pool": "p"}, {"fetch"}),
        ({"pool": "p", "on": "request"}, {"request", "log"}),
        ({"pool": "p", "mode": "observe"}, set()),
    ):
        made = stage(Mirror, settings)
        assert {phase for phase in ("request", "fetch", "log") if made.uses(phase)} == phases
        assert list(made.takes_from()) == ["p"]


def test_what_is_not_safe_is_not_copied_unless_it_says_so() -> None:
    made = stage(Mirror, {"pool": "p"})
    assert made.fetch(exchange(method=b"POST")) is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "Field required"),
        ({"pool": "p", "on": "request", "compare": "body"}, "needs on: fetch"),
        ({"pool": "p", "share": 0}, "greater than 0"),
        ({"pool": "p", "mark": "host"}, "cannot be edited"),
        ({"pool": "p", "methods": "GE T"}, "is not a method"),
        ({"pool": "p", "body_size": "2MB"}, "less than or equal"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        stage(Mirror, settings)
