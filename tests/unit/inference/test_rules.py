"""Which exchanges a rule is about, and what follows from what its model says."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.features import table
from edgeproxy.http.message import Request, Response
from edgeproxy.inference.rule_settings import RuleSettings
from edgeproxy.inference.rules import Rule
from edgeproxy.inference.uses import Deeds
from edgeproxy.inference.version import AskError
from edgeproxy.pipeline.handover import HandOver
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig
from tests.support.oracle import TEXT, Oracle, manifest
from tests.support.stages import exchange, services

LOG = {"log": "seen", "above": 0.5}


@pytest.fixture(autouse=True)
def head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TABLE, "head/1", table.Row("request", "tests.support.oracle", "head"))


def refuse(status: int, why: str) -> Response:
    return Response(status, {}, why.encode())


class Bench:
    """A rule of these settings."""

    def __init__(self, oracle: Oracle | None = None, *, acts: bool = True, **settings: Any) -> None:
        self.oracle = oracle or Oracle()
        self.lent = services()
        deeds = Deeds(HandOver(Middleware(MiddlewareConfig(), self.lent), self.lent), refuse)
        made = RuleSettings.model_validate({"model": "score", "into": [LOG], **settings})
        self.rule = Rule(made, self.oracle, self.lent, deeds, refuse, None, acts=acts)

    def judge(self, said: float | None = 0.9) -> tuple[tuple[str, ...], Any]:
        """The log's words, and the verdict."""
        x = exchange()
        outcome = None if said is None else self.oracle._outcome("score", [said], "1")
        return x.tags, self.rule.judge(x, {}, outcome) or x.tags

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        family = next(each for each in self.lent.metrics.dump() if each["name"] == name)
        return {tuple(labels[1:]): values[0] for labels, values in family["series"]}


def asked(path: bytes = b"/", method: bytes = b"GET") -> Request:
    return Request(method, path, {})


@pytest.mark.parametrize(
    ("when", "request_", "expected"),
    [
        ({}, asked(), True),
        ({"path": "/a"}, asked(b"/ab"), True),
        ({"path": ["/a", "/b"]}, asked(b"/b/c"), True),
        ({"path": "/a/b"}, asked(b"//a///b"), True),
        ({"path": "/a"}, asked(b"/ba"), False),
        ({"method": "post"}, asked(method=b"POST"), True),
        ({"method": "post"}, asked(), False),
        ({"path": "/a", "method": "POST"}, asked(b"/a"), False),
    ],
)
def test_a_rule_is_about_what_all_its_conditions_hold_for(
    when: dict[str, Any], request_: Request, expected: bool
) -> None:
    assert Bench(when=when).rule.concerns(request_) is expected


@pytest.mark.parametrize(
    ("given", "told", "expected"),
    [
        ((), b"text/html; charset=utf-8", True),
        ((), b"application/JSON", True),
        ((), b"application/ld+json", True),
        ((), b"image/png", False),
        ((), None, False),
        (("image/*",), b"image/png", True),
        (("image/*",), b"text/html", False),
    ],
)
def test_content_is_of_the_types_named_or_those_the_model_takes(
    given: tuple[str, ...], told: bytes | None, expected: bool
) -> None:
    bench = Bench(Oracle(manifest(inputs=[TEXT])), on="body", when={"type": given})
    assert bench.rule.takes(told) is expected


def test_uses_are_made_of_outcomes_they_are_for() -> None:
    bench = Bench()
    assert bench.judge(0.9)[1] == ("seen",)
    assert bench.judge(0.4)[1] == ()
    assert bench.counted("edgeproxy_predictions_total") == {("head", "answered"): 2}
    assert bench.counted("edgeproxy_prediction_actions_total") == {("head", "log"): 1}


def test_in_observe_mode_it_is_counted_and_nothing_done() -> None:
    bench = Bench(acts=False)
    assert bench.judge(0.9)[1] == ()
    assert bench.counted("edgeproxy_prediction_actions_total") == {("head", "log"): 1}


def test_the_first_use_that_refuses_ends_it() -> None:
    bench = Bench(into=[{"refuse": True, "above": 0.8}, LOG])
    x = exchange()
    verdict = bench.rule.judge(x, {}, bench.oracle._outcome("score", [0.9], "1"))
    assert isinstance(verdict, Response)
    assert (verdict.status, x.tags) == (403, ())


@pytest.mark.parametrize(("unanswered", "status"), [("pass", None), ("refuse", 503)])
def test_without_an_answer_what_the_rule_says_happens(unanswered: str, status: int | None) -> None:
    bench = Bench(unanswered=unanswered)
    verdict = bench.rule.judge(exchange(), {}, None)
    assert (verdict.status if isinstance(verdict, Response) else verdict) == status
    assert bench.counted("edgeproxy_predictions_total") == {("head", "unanswered"): 1}


def test_an_answer_that_makes_no_sense_is_none() -> None:
    bench = Bench()
    assert bench.judge(float("nan"))[1] == ()
    assert bench.counted("edgeproxy_predictions_total") == {("head", "unanswered"): 1}


def test_a_default_is_an_answer_and_counted_as_such() -> None:
    bench = Bench()
    bench.oracle.by = "default"
    assert bench.judge()[1] == ("seen",)
    assert bench.counted("edgeproxy_predictions_total") == {("head", "default"): 1}


async def test_what_a_model_cannot_say_is_no_answer_at_once_or_later() -> None:
    bench = Bench(Oracle(says=lambda _: AskError("unanswered", "away")))
    assert bench.rule.ask({}) is None
    assert await bench.rule.answer(None) is None

    async def later() -> Any:
        raise AskError("unanswered", "away")

    assert await bench.rule.answer(later()) is None


def test_a_model_is_asked_within_what_the_rule_allows() -> None:
    bench = Bench(within="20ms")
    bench.rule.ask({})
    assert bench.oracle.asked == [("score", {}, {"version": "", "within": 0.02, "here": False})]


def test_kept_answers_get_fields_and_tags() -> None:
    uses = [{"tag": "a-{value}"}, {"tag": "b"}, {"response_header": "x-value"}, {"tag": "c", "above": 0.95}]
    bench = Bench(Oracle(manifest(inputs=[TEXT])), on="answer", into=uses)
    response = Response(200, {b"surrogate-key": b"own", b"x-value": b"old"})
    bench.rule.mark(response, {}, bench.oracle._outcome("score", [0.9], "1"))
    assert response.headers() == {b"surrogate-key": b"own, a-0.9, b", b"x-value": b"0.9"}
    bench.rule.mark(response, {}, None)
    assert bench.counted("edgeproxy_predictions_total") == {("answer", "answered"): 1, ("answer", "unanswered"): 1}


def test_a_shadow_is_asked_beside_what_answers() -> None:
    bench = Bench(shadow=2, into=())
    bench.judge()
    assert [more["version"] for _, _, more in bench.oracle.asked] == ["2"]
    assert bench.counted("edgeproxy_shadow_total") == {("2", "same"): 1}


def test_a_rule_tells_what_it_owns_and_where_it_hands_over() -> None:
    bench = Bench(into=[{"header": "x-a"}, {"route": "slow", "above": 0.9}, {"response_header": "x-b"}])
    assert (bench.rule.owned, bench.rule.routes, bench.rule.tells) == ({b"x-a"}, {"slow"}, True)
    assert not Bench().rule.tells


def test_a_version_may_be_named() -> None:
    bench = Bench(version=2)
    bench.rule.ask({})
    assert bench.oracle.asked[0][2]["version"] == "2"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"model": "other"}, "there is no model 'other'"),
        ({"version": 3}, "'score' has no version 3; known are 1, 2"),
        ({"shadow": 4}, "'score' has no version 4"),
    ],
)
def test_a_model_that_is_not_there_is_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Bench(**settings)
