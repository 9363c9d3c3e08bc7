"""Rules as they may be written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.inference.rule_settings import ACTIONS, RuleSettings

LOG = {"log": "seen"}


def rule(into: Any = (LOG,), **settings: Any) -> RuleSettings:
    return RuleSettings.model_validate({"model": "score", "into": into, **settings})


def test_a_rule_is_about_heads_unless_it_says_otherwise() -> None:
    made = rule()
    assert (made.on, made.unanswered, made.into[0].action) == ("head", "pass", "log")


def test_a_shadow_needs_no_use() -> None:
    assert rule((), shadow=2).shadow == 2


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("on", ["head", "body", "answer"])
def test_actions_have_their_places(action: str, on: str) -> None:
    value: Any = {"score": 10, "refuse": True}.get(action, "x-word")
    given = {"on": on, "into": [{action: value, "above": 0.5}]}
    if on in ACTIONS[action]:
        assert rule(**given).into[0].action == action
    else:
        with pytest.raises(ValidationError, match=f"into: {action} is for rules on"):
            rule(**given)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"into": []}, "nothing is done with what the model says"),
        ({"into": [{}]}, "has exactly one of header, response_header, tag"),
        ({"into": [{"log": "a", "score": 3}]}, "has exactly one of"),
        ({"into": [{"refuse": True}]}, "refuse: say from which value on"),
        ({"into": [{"route": "slow"}]}, "route: say from which value on"),
        ({"into": [{"log": "a", "above": 0.5, "below": 0.5}]}, "above must be less than below"),
        ({"into": [{"log": "a", "as": "{label}"}]}, "as: is for header"),
        ({"into": [{"log": "two words"}]}, "should match pattern"),
        ({"into": [{"header": "content-length"}]}, "cannot be edited"),
        ({"into": [{"header": "cookie"}]}, "where credentials come from"),
        ({"into": [{"response_header": "x-a", "as": "a\r\nset-cookie: b"}]}, "without control characters"),
        ({"into": [{"log": "a", "above": float("nan")}]}, "finite number"),
        ({"when": {"type": "text/*"}}, "type is for rules on body or answer"),
        ({"on": "body", "when": {"type": "text"}}, "is not a media type"),
        ({"on": "answer", "into": [{"tag": "a"}], "unanswered": "refuse"}, "refuse is for rules on head or body"),
        ({"size": "51MB"}, "less than or equal"),
        ({"shadow": 0}, "greater than or equal"),
        ({"within": "2m"}, "less than or equal"),
    ],
)
def test_rules_that_mean_nothing_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        rule(**settings)
