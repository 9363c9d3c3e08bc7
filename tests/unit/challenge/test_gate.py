"""Who is challenged, who passes, and what goes on to the stages behind."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from middleware.challenge import Challenge
from tests.support.challenge import puzzle_on, solve
from tests.support.stages import CHROME, exchange, services, stage

PAGE = CHROME | {b"cookie": b"a=1"}


def visit(target: bytes = b"/", cookie: bytes = b"", *, treatment: str = "challenge", **more: Any) -> Exchange:
    """A visitor in Chrome, with a cookie of the site's own and perhaps ours."""
    headers = PAGE | more.pop("headers", {})
    if cookie:
        headers[b"cookie"] = b"a=1; edge_clearance=" + cookie
    score = more.pop("score", 0)
    x = exchange(target, headers, **more)
    x.treatment, x.score = treatment, score
    return x


def ask(challenge: Challenge, x: Exchange) -> Response | None:
    return challenge.request(x)


def earn(challenge: Challenge, **more: Any) -> bytes:
    """The clearance a visitor gets for solving the puzzle shown to them."""
    page = ask(challenge, visit(**more))
    assert page is not None
    assert isinstance(page.body, bytes)
    answer = ask(challenge, visit(b"/?edge-challenge=" + solve(puzzle_on(page.body)), **more))
    assert answer is not None
    return (answer.get(b"set-cookie") or b"").partition(b"=")[2].partition(b";")[0]


@pytest.fixture
def challenge() -> Challenge:
    return stage(Challenge, {"difficulty": 8})


def test_only_who_is_to_be_challenged_is(challenge: Challenge) -> None:
    assert ask(challenge, visit(treatment="")) is None
    assert ask(challenge, visit(treatment="limit")) is None
    answer = ask(challenge, visit())
    assert answer is not None
    assert answer.status == 403
    assert answer.get(b"edge-mitigated") == b"challenge"


def test_always_is_everybody() -> None:
    assert ask(stage(Challenge, {"when": "always"}), visit(treatment="")) is not None


def test_who_bears_a_clearance_passes_and_is_known_to_be_cleared(challenge: Challenge) -> None:
    x = visit(cookie=earn(challenge))
    assert ask(challenge, x) is None
    assert x.cleared


def test_a_clearance_holds_for_its_network_and_agent_only() -> None:
    challenge = stage(Challenge, {"difficulty": 8})
    cookie = earn(challenge)
    assert ask(challenge, visit(cookie=cookie, client="192.0.2.8")) is not None
    assert ask(challenge, visit(cookie=cookie, headers={b"user-agent": b"Mozilla/5.0 (X11)"})) is not None
    own = earn(challenge, client="2001:db8::1")
    assert ask(challenge, visit(cookie=own, client="2001:db8::2")) is None, "one customer has a /64"
    assert ask(challenge, visit(cookie=own, client="2001:db8:0:1::1")) is not None


def test_a_clearance_ends() -> None:
    clock = ManualClock()
    challenge = stage(Challenge, {"difficulty": 8, "clearance": "10m"}, services(clock))
    cookie = earn(challenge)
    clock.advance(599)
    assert ask(challenge, visit(cookie=cookie)) is None
    clock.advance(1)
    assert ask(challenge, visit(cookie=cookie)) is not None


def test_who_scores_higher_needs_one_that_was_harder_to_get() -> None:
    challenge = stage(Challenge, {"difficulty": 8, "by_score": {60: 10, 90: 12}})
    cookie = earn(challenge, score=59)
    assert ask(challenge, visit(cookie=cookie, score=59)) is None
    assert ask(challenge, visit(cookie=cookie, score=60)) is not None
    harder = earn(challenge, score=70)
    assert [ask(challenge, visit(cookie=harder, score=score)) is None for score in (0, 60, 89, 90, 100)] == [
        *(True, True, True),
        *(False, False),
    ]


@pytest.mark.parametrize("cookie", [b"", b"1.9999999999.24." + b"A" * 43, b"x" * 5000, b"\xff\x00", b"1.2.3"])
def test_a_made_up_cookie_is_none(challenge: Challenge, cookie: bytes) -> None:
    x = visit(cookie=cookie)
    assert ask(challenge, x) is not None
    assert not x.cleared


def test_who_is_known_is_not_challenged(challenge: Challenge) -> None:
    for name in ("agent", "identity"):
        x = visit()
        setattr(x, name, "somebody")
        assert ask(challenge, x) is None
        assert not x.cleared


@pytest.mark.parametrize(
    ("target", "method", "stopped"),
    [
        (b"/robots.txt", b"GET", False),
        (b"/robots.txt?x", b"GET", False),
        (b"/robots.txt/x", b"GET", True),
        (b"/.well-known/acme-challenge/token", b"GET", False),
        (b"/.well-known", b"GET", True),
        (b"/api/stations", b"GET", False),
        (b"/apiary", b"GET", True),
        (b"/x/api/", b"GET", True),
        (b"/", b"OPTIONS", False),
        (b"/", b"POST", True),
    ],
)
def test_what_is_never_challenged(target: bytes, method: bytes, stopped: bool) -> None:
    challenge = stage(Challenge, {"when": "always", "except_paths": "/api/", "except_methods": ["options"]})
    assert (ask(challenge, visit(target, method=method)) is not None) is stopped


@pytest.mark.parametrize("treatment", ["", "challenge"])
def test_the_cookie_goes_no_further(challenge: Challenge, treatment: str) -> None:
    x = visit(cookie=earn(challenge), treatment=treatment)
    assert ask(challenge, x) is None
    assert x.request.headers[b"cookie"] == b"a=1"


def test_cookies_that_are_not_ours_stay_as_they_are(challenge: Challenge) -> None:
    for field in (b"a=1;b=2", b"not_edge_clearance=1", b'x="edge_clearance=1"'):
        x = visit(treatment="", headers={b"cookie": field})
        assert ask(challenge, x) is None
        assert x.request.headers[b"cookie"] == field


def test_observing_stops_nobody_and_still_takes_the_cookie_out() -> None:
    x = visit(cookie=b"1.2.3", treatment="")
    assert ask(stage(Challenge, {"mode": "observe"}), x) is None
    assert x.request.headers[b"cookie"] == b"a=1"
