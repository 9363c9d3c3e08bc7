"""What is done with what models say."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.http.message import Response
from edgeproxy.inference.reading import Told
from edgeproxy.inference.rule_settings import ACTIONS
from edgeproxy.inference.rule_settings import Use as Settings
from edgeproxy.inference.uses import REFUSED, Deeds, Use, compile_use, points
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.handover import HandOver
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig
from tests.support.oracle import labelled, manifest
from tests.support.stages import exchange, services

TOLD = Told("cat", 0.75, "animals", "2", "edge")


def refuse(status: int, why: str) -> Response:
    return Response(status, {}, why.encode())


def use(**settings: Any) -> Use:
    return compile_use(Settings.model_validate(settings), manifest(outputs=[labelled("cat", "dog")]))


def done(x: Exchange | None = None, **settings: Any) -> tuple[Exchange, Any]:
    x = x or exchange()
    lent = services()
    deeds = Deeds(HandOver(Middleware(MiddlewareConfig(), lent), lent), refuse)
    verdict = deeds.do(use(**settings), x, TOLD)
    answer = Response(200)
    deeds.say(x, answer)
    deeds.say(x, answer)
    return x, verdict if isinstance(verdict, Response) else answer


def test_the_origin_is_told_in_a_field() -> None:
    x, _ = done(header="x-animal")
    assert x.request.headers == {b"x-animal": b"cat"}
    x, _ = done(header="x-animal", **{"as": "{label};p={value};v={version};by={by}"})
    assert x.request.headers[b"x-animal"] == b"cat;p=0.75;v=2;by=edge"


def test_a_number_is_said_where_there_are_no_labels() -> None:
    compiled = compile_use(Settings(header="x-score"), manifest())
    assert compiled.text(Told("", 1 / 3, "score", "1", "edge")) == b"0.3333"


def test_the_client_is_told_in_the_answer_once() -> None:
    _, answer = done(response_header="x-animal")
    assert answer.headers() == {b"x-animal": b"cat"}


def test_what_was_to_be_said_is_forgotten_with_the_exchange() -> None:
    lent = services()
    deeds = Deeds(HandOver(Middleware(MiddlewareConfig(), lent), lent), refuse)
    x = exchange()
    deeds.do(use(response_header="x-animal"), x, TOLD)
    deeds.forget(x)
    answer = Response(200)
    deeds.say(x, answer)
    assert answer.headers() == {}


def test_the_log_gets_a_word_once() -> None:
    x = exchange()
    x.tags = ("bot",)
    for _ in range(2):
        done(x, log="animal-{label}")
    assert x.tags == ("bot", "animal-cat")


def test_the_score_grows_up_to_its_end_and_never_for_who_is_known() -> None:
    x = exchange()
    done(x, score=40)
    assert x.score == 30
    done(x, score=100)
    assert x.score == 100
    for known in ("agent", "identity"):
        x = exchange()
        setattr(x, known, "somebody")
        done(x, score=100)
        assert x.score == 0


@pytest.mark.parametrize(("value", "expected"), [(0.5, 20), (1.0, 40), (7.0, 40), (-3.0, 0)])
def test_points_stay_within_what_they_may_be(value: float, expected: int) -> None:
    assert points(40, value) == expected


def test_a_refusal_says_why() -> None:
    _, answer = done(refuse=True, above=0.5)
    assert (answer.status, answer.body) == (403, REFUSED.encode())


def test_values_are_for_one_side_of_a_bound() -> None:
    above, below = use(log="a", above=0.75), use(log="a", below=0.75)
    between = use(log="a", above=0.5, below=0.9)
    for value, expected in ((0.4, (False, True, False)), (0.75, (True, False, True)), (0.9, (True, False, False))):
        told = TOLD._replace(value=value)
        assert (above.applies(told), below.applies(told), between.applies(told)) == expected


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"header": "x-a", "as": "{lable}"}, "did you mean {label}"),
        ({"tag": "{no}"}, "unknown placeholder"),
        ({"log": "a", "output": "b"}, "has no output 'b'"),
        ({"log": "a", "label": "cow"}, "has no label 'cow'"),
    ],
)
def test_uses_that_mean_nothing_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        use(**settings)


def test_every_action_on_requests_is_in_the_table() -> None:
    lent = services()
    deeds = Deeds(HandOver(Middleware(MiddlewareConfig(), lent), lent), refuse)
    assert deeds._table.keys() == {name for name, on in ACTIONS.items() if on != ("answer",)}
