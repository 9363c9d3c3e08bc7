"""Challenges as a stage: its settings, what it counts, and that it keeps secrets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.challenge.words import LANGUAGES
from middleware.challenge import Challenge
from tests.support.challenge import puzzle_on, solve
from tests.support.stages import CHROME, exchange, services, stage

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "settings",
    [
        {"difficulty": 7},
        {"difficulty": 25},
        {"by_score": {101: 20}},
        {"by_score": {80: 25}},
        {"clearance": "4m"},
        {"clearance": "10m", "solve_within": "10m"},
        {"wait": "31s"},
        {"wait": "0s"},
        {"cookie": "a b"},
        {"cookie": ""},
        {"parameter": "a=b"},
        {"parameter": "a&b"},
        {"except_paths": "api"},
        {"language": "tlh"},
        {"without_javascript": "no"},
        {"secret": SECRET[:-1]},
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Challenge, settings)


def test_a_secret_shows_nowhere() -> None:
    challenge = stage(Challenge, {"secret": SECRET})
    assert SECRET not in repr(challenge.config)
    assert SECRET not in repr(vars(challenge))
    with pytest.raises(ValidationError) as error:
        stage(Challenge, {"secret": SECRET[:-1]})
    (told,) = error.value.errors()
    assert "at least 32 bytes" in told["msg"]
    assert SECRET[:-1] not in told["msg"]


def cookie_from(challenge: Challenge) -> bytes:
    page = challenge.request(treated())
    assert page is not None
    assert isinstance(page.body, bytes)
    answer = challenge.request(treated(b"/?edge-challenge=" + solve(puzzle_on(page.body))))
    assert answer is not None
    return (answer.get(b"set-cookie") or b"").partition(b";")[0]


def treated(target: bytes = b"/", **more: Any) -> Any:
    x = exchange(target, CHROME | more.pop("headers", {}), **more)
    x.treatment = "challenge"
    return x


def test_nodes_with_one_secret_accept_each_others_clearances_and_no_others_do() -> None:
    settings = {"difficulty": 8, "secret": SECRET}
    headers = {b"cookie": cookie_from(stage(Challenge, settings, services()))}
    assert stage(Challenge, settings, services()).request(treated(headers=headers)) is None
    assert stage(Challenge, {"difficulty": 8}, services()).request(treated(headers=headers)) is not None


def test_workers_of_a_node_accept_each_others_clearances() -> None:
    lent = services()
    headers = {b"cookie": cookie_from(stage(Challenge, {"difficulty": 8}, lent))}
    assert stage(Challenge, {"difficulty": 8}, lent).request(treated(headers=headers)) is None


def test_refusals_are_counted_like_any_stages() -> None:
    lent = services()
    challenge = stage(Challenge, {"difficulty": 8}, lent)
    challenge.request(treated())
    challenge.request(treated(headers={b"accept": b"*/*"}))
    challenge.request(treated(method=b"POST"))
    challenge.request(treated(b"/?edge-challenge=back"))
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("challenge") == 4
    outcomes = lent.metrics.counter("edgeproxy_challenges_total", "", ("outcome",))
    assert [outcomes.value(name) for name in ("served", "refused", "unsent", "no_cookies")] == [1, 1, 1, 1]


def test_every_language_can_be_the_default() -> None:
    for language in LANGUAGES:
        challenge = stage(Challenge, {"language": language})
        answer = challenge.request(treated(headers={b"accept-language": b"tlh"}))
        assert answer is not None
        assert (answer.get(b"content-language") or b"").startswith(language.encode())
