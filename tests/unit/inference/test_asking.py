"""Rules on their way through exchanges."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgeproxy.features import table
from edgeproxy.http.body import Body, Pipe
from edgeproxy.http.message import Response
from edgeproxy.inference.asking import is_packed
from edgeproxy.inference.version import AskError
from edgeproxy.pipeline.exchange import Exchange
from middleware.predict import Predict
from tests.support.oracle import TEXT, Oracle, labelled, manifest
from tests.support.stages import exchange, services, stage

SCORES = manifest()
WORDS = manifest("words", [TEXT], [labelled("good", "bad")])


@pytest.fixture(autouse=True)
def head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TABLE, "head/1", table.Row("request", "tests.support.oracle", "head"))


def by_text(tensors: Any) -> list[float]:
    """What is bad has the word in it; other models say 0.9."""
    if "text" not in tensors:
        return [0.9]
    bad = float("bad" in tensors["text"][0])
    return [1 - bad, bad]


class Bench:
    """The stage with these rules."""

    def __init__(self, *rules: dict[str, Any], **settings: Any) -> None:
        self.oracle = Oracle(SCORES, WORDS, says=by_text)
        self.lent = self.oracle.lend(services())
        self.stage = stage(Predict, {"rules": rules, **settings}, self.lent)

    def counted(self) -> dict[str, float]:
        family = next(each for each in self.lent.metrics.dump() if each["name"] == "edgeproxy_predictions_total")
        return {labels[2]: values[0] for labels, values in family["series"]}

    async def post(self, body: bytes | Pipe, told: bytes = b"text/plain", **fields: bytes) -> tuple[Exchange, Any]:
        x = exchange(headers={b"content-type": told, **{k.replace("_", "-").encode(): v for k, v in fields.items()}})
        x.request.method = b"POST"
        if isinstance(body, bytes):
            pipe = Pipe(len(body))
            pipe.feed(body)
            pipe.finish()
            body = pipe
        x.request.body, x.request.length = body, body.length or 0
        awaited = self.stage.fetch(x)
        return x, None if awaited is None else await awaited


def body_rule(**settings: Any) -> dict[str, Any]:
    return {"model": "words", "on": "body", "into": [{"refuse": True, "label": "bad", "above": 0.5}], **settings}


def answer_rule(**settings: Any) -> dict[str, Any]:
    return {"model": "words", "on": "answer", "into": [{"tag": "is-{label}"}], **settings}


async def rest(body: Body | None) -> bytes:
    assert body is not None
    whole = b""
    while chunk := await body.read():
        whole += chunk
    return whole


# Heads.


def test_rules_are_asked_in_their_order_until_one_refuses() -> None:
    bench = Bench(
        {"model": "score", "into": [{"log": "first"}]},
        {"model": "score", "into": [{"refuse": True, "above": 0.5}]},
        {"model": "score", "into": [{"log": "third"}]},
    )
    x = exchange()
    verdict = bench.stage.request(x)
    assert isinstance(verdict, Response)
    assert (verdict.status, x.tags, len(bench.oracle.asked)) == (403, ("first",), 2)


def test_a_rule_that_is_not_about_a_request_asks_nothing() -> None:
    bench = Bench({"model": "score", "when": {"path": "/a"}, "into": [{"log": "seen"}]})
    assert bench.stage.request(exchange(b"/b")) is None
    assert bench.oracle.asked == []


async def test_what_is_answered_later_is_waited_for_and_the_rest_asked_then() -> None:
    bench = Bench(
        {"model": "score", "into": [{"log": "first"}]},
        {"model": "score", "into": [{"log": "second"}, {"refuse": True, "above": 0.5}]},
    )
    bench.oracle.gate = asyncio.Event()
    x = exchange()
    verdict = bench.stage.request(x)
    assert verdict is not None
    assert not isinstance(verdict, Response)
    waiting = asyncio.ensure_future(verdict)
    await asyncio.sleep(0)
    assert (x.tags, len(bench.oracle.asked)) == ((), 1)
    bench.oracle.gate.set()
    answer = await waiting
    assert answer is not None
    assert (answer.status, x.tags) == (403, ("first", "second"))


async def test_what_fails_later_passes_on_to_the_next_rule() -> None:
    bench = Bench({"model": "score", "into": [{"log": "first"}]}, {"model": "score", "into": [{"log": "second"}]})
    bench.oracle.gate = asyncio.Event()
    bench.oracle.gate.set()
    said: list[Any] = [AskError("unanswered", "away"), [0.9]]
    bench.oracle.says = lambda _: said.pop(0)
    x = exchange()
    verdict = bench.stage.request(x)
    assert verdict is not None
    assert not isinstance(verdict, Response)
    assert await verdict is None
    assert x.tags == ("second",)
    assert bench.counted() == {"unanswered": 1, "answered": 1}


@pytest.mark.parametrize("name", [b"x-score", b"x_score"])
def test_what_clients_say_in_a_field_of_ours_is_dropped_whatever_the_model_says(name: bytes) -> None:
    rule = {"model": "score", "when": {"path": "/a"}, "into": [{"header": "x-score"}]}
    x = exchange(b"/b", {name: b"0"})
    Bench(rule).stage.request(x)
    assert x.request.headers == {}
    x = exchange(b"/a", {name: b"0"})
    Bench(rule).stage.request(x)
    assert x.request.headers == {b"x-score": b"0.9"}


def test_fields_of_ours_are_dropped_where_only_bodies_are_looked_at() -> None:
    bench = Bench(body_rule(into=[{"header": "x-word"}]))
    x = exchange(headers={b"x-word": b"good"})
    assert bench.stage.uses("request")
    assert bench.stage.request(x) is None
    assert x.request.headers == {}


# Bodies.


@pytest.mark.parametrize(("body", "status"), [(b"all good", None), (b"all bad", 403)])
async def test_a_body_is_looked_at_and_goes_on_whole(body: bytes, status: int | None) -> None:
    x, verdict = await Bench(body_rule()).post(body)
    assert (verdict.status if verdict else None) == status
    assert x.request.body is not None
    assert x.request.body.take() == body


async def test_a_body_that_comes_in_pieces_is_waited_for() -> None:
    pipe = Pipe()
    bench = Bench(body_rule())
    task = asyncio.create_task(bench.post(pipe))
    for chunk in (b"all ", b"ba", b"d"):
        await asyncio.sleep(0)
        pipe.feed(chunk)
    pipe.finish()
    x, verdict = await task
    assert verdict.status == 403
    assert await rest(x.request.body) == b"all bad"


@pytest.mark.parametrize(
    ("settings", "fields", "outcome", "status"),
    [
        ({"size": 5}, {}, "too_long", 413),
        ({}, {"content_encoding": b"gzip"}, "packed", 415),
        ({}, {"content_encoding": b"identity, BR"}, "packed", 415),
    ],
)
async def test_what_cannot_be_looked_at_passes_or_is_refused(
    settings: dict[str, Any], fields: dict[str, bytes], outcome: str, status: int
) -> None:
    for unanswered, expected in (("pass", None), ("refuse", status)):
        bench = Bench(body_rule(unanswered=unanswered, **settings))
        x, verdict = await bench.post(b"all bad", **fields)
        assert (verdict.status if verdict else None) == expected
        assert bench.counted() == {outcome: 1}
        assert bench.oracle.asked == []
        assert await rest(x.request.body) == b"all bad"


async def test_bodies_of_other_types_and_none_are_left_alone() -> None:
    bench = Bench(body_rule())
    pipe = Pipe(7)
    x, verdict = await bench.post(pipe, told=b"application/octet-stream")
    assert (x.request.body, verdict) == (pipe, None)
    assert bench.stage.fetch(exchange(headers={b"content-type": b"text/plain"})) is None


async def test_each_rule_has_a_size_of_its_own() -> None:
    bench = Bench(body_rule(size=3, unanswered="refuse", when={"path": "/other"}), body_rule(size=3), body_rule())
    _, verdict = await bench.post(b"all bad")
    assert verdict.status == 403
    assert bench.counted() == {"too_long": 1, "answered": 1}


async def test_memory_for_bodies_is_bounded_and_comes_back_when_exchanges_end() -> None:
    bench = Bench(body_rule(size="100KB"), memory="64KB")
    first, _ = await bench.post(b"good" * 20_000)
    second, _ = await bench.post(b"all bad")
    assert bench.counted() == {"busy": 2}
    assert await rest(second.request.body) == b"all bad"
    for x in (first, second):
        bench.stage.log(x)
    _, verdict = await bench.post(b"all bad")
    assert verdict.status == 403


async def test_a_model_that_does_not_answer_lets_bodies_pass_or_not() -> None:
    for unanswered, expected in (("pass", None), ("refuse", 503)):
        bench = Bench(body_rule(unanswered=unanswered))
        bench.oracle.says = lambda _: AskError("unanswered", "busy")
        _, verdict = await bench.post(b"all bad")
        assert (verdict.status if verdict else None) == expected
        if verdict:
            assert verdict.get(b"retry-after") == b"1"


# Answers.


def answer(body: bytes | Body, told: bytes = b"text/html", status: int = 200, **fields: bytes) -> Response:
    more = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Response(status, {b"content-type": told, **more}, body)


async def test_a_kept_answer_is_tagged() -> None:
    bench = Bench(answer_rule())
    for body, tag in ((b"all bad", b"is-bad"), (b"fine", b"is-good")):
        response = answer(body)
        await bench.stage.store(exchange(), response)
        assert (response.get(b"surrogate-key"), response.body) == (tag, body)


async def test_an_answer_that_comes_in_pieces_is_waited_for() -> None:
    pipe = Pipe()
    bench = Bench(answer_rule())
    response = answer(pipe)
    task = asyncio.create_task(bench.stage.store(exchange(), response))
    for chunk in (b"all ", b"bad"):
        await asyncio.sleep(0)
        pipe.feed(chunk)
    pipe.finish()
    await task
    assert (response.get(b"surrogate-key"), response.body) == (b"is-bad", b"all bad")


@pytest.mark.parametrize(
    ("response", "settings", "outcome"),
    [
        (answer(b"all bad", status=404), {}, ""),
        (answer(b"all bad", told=b"font/woff2"), {}, ""),
        (answer(b"all bad"), {"when": {"path": "/other"}}, ""),
        (answer(b"all bad", content_encoding=b"br"), {}, "packed"),
        (answer(b"all bad"), {"size": 3}, "too_long"),
    ],
)
async def test_answers_that_are_left_alone(response: Response, settings: dict[str, Any], outcome: str) -> None:
    bench = Bench(answer_rule(**settings))
    await bench.stage.store(exchange(), response)
    assert (response.get(b"surrogate-key"), response.body) == (None, b"all bad")
    assert bench.counted() == ({outcome: 1} if outcome else {})


async def test_an_answer_that_does_not_come_is_kept_as_it_comes() -> None:
    pipe = Pipe()
    pipe.feed(b"all ")
    bench = Bench(answer_rule(wait="20ms"))
    response = answer(pipe)
    await bench.stage.store(exchange(), response)
    assert bench.counted() == {"late": 1}
    pipe.feed(b"bad")
    pipe.finish()
    assert isinstance(response.body, Body)
    assert await rest(response.body) == b"all bad"


async def test_memory_for_answers_comes_back_at_once() -> None:
    bench = Bench(answer_rule(), memory="64KB")
    for _ in range(3):
        pipe = Pipe()
        pipe.feed(b"bad " * 15_000)
        pipe.finish()
        await bench.stage.store(exchange(), answer(pipe))
    assert bench.counted() == {"answered": 3}


@pytest.mark.parametrize(
    ("coding", "packed"), [(None, False), (b"", False), (b"Identity", False), (b"gzip", True), (b"x-identity", True)]
)
def test_codings_that_pack(coding: bytes | None, packed: bool) -> None:
    assert is_packed(coding) is packed
