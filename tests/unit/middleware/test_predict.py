"""Models asked about what passes, as the stage puts them to use. The rules themselves: tests/unit/inference."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.cache.purge import Purge
from edgeproxy.config.snapshot import Route
from edgeproxy.features import table
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import serve
from middleware.bot_check import BotCheck
from middleware.cache import Cache
from middleware.predict import Predict
from tests.support.oracle import TEXT, Oracle, labelled, manifest
from tests.support.stages import Client, exchange, route, services, stage

pytestmark = pytest.mark.interpreted  # a stand-in may not inherit from what is compiled

WORDS = manifest("words", [TEXT], [labelled("good", "bad")])
LOG = {"model": "score", "into": [{"log": "seen"}]}


@pytest.fixture(autouse=True)
def head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TABLE, "head/1", table.Row("request", "tests.support.oracle", "head"))


class Site:
    """Routes with the stage and a cache: what comes goes to ``own``."""

    def __init__(self, *rules: dict[str, Any], **settings: Any) -> None:
        self.oracle = Oracle(manifest(), WORDS)
        self.routes: dict[str, Route] = {}
        lent = self.oracle.lend(services())
        self.lent = replace(lent, route=lambda _: self.routes["own"], route_named=lambda name: self.routes.get(name))
        self.predict = stage(Predict, {"rules": rules or [LOG], **settings}, self.lent)
        self.fetched: list[Exchange] = []
        self.tags: tuple[str, ...] = ()
        cache = stage(Cache, {}, self.lent)
        self.routes["own"] = route([self.predict, cache], Origin(self, "own"), name="own", log=[self.note])
        self.routes["slow"] = route([cache], Origin(self, "slow"), name="slow")

    def note(self, x: Exchange) -> None:
        self.tags = x.tags

    async def get(self, target: bytes = b"/", **fields: bytes) -> Client:
        client, x = Client(), exchange(target, {name.encode(): value for name, value in fields.items()})
        x.route = self.routes["own"]
        serve(x, client)
        return await client.done()

    def refused(self) -> float:
        return self.lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("predict")


class Origin:
    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.name = name

    async def fetch(self, x: Exchange) -> Response:
        self.site.fetched.append(x)
        fields = {b"cache-control": b"max-age=60", b"content-type": b"text/plain", b"x-origin": self.name.encode()}
        return Response(200, fields, b"text")


async def test_a_refusal_is_short_never_kept_and_counted() -> None:
    site = Site({"model": "score", "into": [{"refuse": True, "above": 0.5}]})
    answer = await site.get()
    assert answer.status == 403
    assert answer.field(b"cache-control") == b"no-store"
    assert answer.body == b"403 What was sent is not taken here.\n"
    assert (site.refused(), site.fetched) == (1, [])


async def test_what_is_found_out_reaches_origin_client_and_log() -> None:
    site = Site({"model": "score", "into": [{"header": "x-p"}, {"response_header": "x-q"}, {"log": "seen"}]})
    answer = await site.get(x_p=b"forged")
    assert site.fetched[0].request.headers[b"x-p"] == b"0.9"
    assert (answer.field(b"x-q"), site.tags) == (b"0.9", ("seen",))
    site.oracle.says = lambda _: [0.5]
    hit = await site.get()
    assert (hit.field(b"x-q"), hit.field(b"x-origin"), len(site.fetched)) == (b"0.5", b"own", 1)


async def test_what_is_said_in_answers_is_not_held_for_those_that_were_never_made() -> None:
    site = Site({"model": "score", "into": [{"response_header": "x-q"}]})
    site.oracle.gate = asyncio.Event()
    x, client = exchange(), Client()
    x.route = site.routes["own"]
    site.predict._deeds._said[x] = [(b"x-q", b"1")]
    serve(x, client)
    assert client.task is not None
    await asyncio.sleep(0)
    client.task.cancel()
    await asyncio.gather(client.task, return_exceptions=True)
    assert site.predict._deeds._said == {}


async def test_another_route_takes_over_and_keeps_apart() -> None:
    site = Site({"model": "score", "into": [{"route": "slow", "above": 0.8}]})
    assert list(site.predict.hands_over_to()) == ["slow"]
    assert (await site.get()).field(b"x-origin") == b"slow"
    site.oracle.says = lambda _: [0.1]
    assert (await site.get()).field(b"x-origin") == b"own"
    site.oracle.says = lambda _: [0.9]
    assert (await site.get()).field(b"x-origin") == b"slow"
    assert [x.route.name for x in site.fetched] == ["slow", "own"]


async def test_a_kept_answer_bears_its_tag_and_a_purge_finds_it() -> None:
    rule = {"model": "words", "on": "answer", "into": [{"tag": "is-{label}"}, {"response_header": "x-label"}]}
    site = Site(rule)
    site.oracle.says = lambda _: [0.1, 0.9]
    assert [(await site.get()).field(b"x-label") for _ in range(2)] == [b"bad", b"bad"]
    assert len(site.oracle.asked) == 1
    tiers, now = site.lent.cache, site.lent.clock.wall()
    assert [tiers.purge(Purge("tag", tag, soft=False, at=now)) for tag in (b"is-good", b"is-bad")] == [0, 1]


async def test_in_observe_mode_all_is_counted_and_nothing_is_done() -> None:
    site = Site(
        {"model": "score", "into": [{"header": "x-p"}, {"log": "seen"}, {"route": "slow", "above": 0.5}]},
        {"model": "score", "into": [{"refuse": True, "above": 0.5}]},
        mode="observe",
    )
    answer = await site.get(x_p=b"forged")
    assert (answer.status, answer.field(b"x-origin"), site.tags) == (200, b"own", ())
    assert b"x-p" not in site.fetched[0].request.headers
    done = site.lent.metrics.counter("edgeproxy_prediction_actions_total", "", ("model", "on", "action"))
    assert [done.value("score", "head", action) for action in ("header", "log", "route", "refuse")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("rule", "phases"),
    [
        (LOG, {"request", "log"}),
        ({"model": "score", "into": [{"response_header": "x-a"}]}, {"request", "response", "log"}),
        ({"model": "words", "on": "body", "into": [{"log": "a"}]}, {"fetch", "log"}),
        ({"model": "words", "on": "body", "into": [{"header": "x-a"}]}, {"request", "fetch", "log"}),
        ({"model": "words", "on": "answer", "into": [{"tag": "a"}]}, {"store", "log"}),
    ],
)
def test_the_stage_takes_part_where_its_rules_need_it(rule: dict[str, Any], phases: set[str]) -> None:
    predict = Site(rule).predict
    assert {phase for phase in ("request", "fetch", "store", "response", "log") if predict.uses(phase)} == phases


def test_what_a_model_finds_joins_the_bot_score() -> None:
    lent = Oracle(manifest()).lend()
    predict = stage(Predict, {"rules": [{"model": "score", "into": [{"score": 50}]}]}, lent)
    check = stage(BotCheck, {"score": True, "weights": {"tool": 30}}, lent)
    x = exchange(headers={b"user-agent": b"curl/8", b"accept-language": b"en", b"accept-encoding": b"gzip"})
    predict.request(x)
    check.request(x)
    assert x.score == 75
    verified = exchange()
    predict.request(verified)
    verified.agent = "googlebot"
    check.request(verified)
    assert verified.score == 0


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"rules": []}, "at least 1 item"),
        ({"rules": [{"model": "score"}]}, "nothing is done with what the model says"),
        ({"rules": [LOG], "memory": "1KB"}, "greater than or equal"),
        ({}, "Field required"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        stage(Predict, settings, Oracle().lend())


def test_a_rule_that_its_model_cannot_follow_is_named() -> None:
    with pytest.raises(ValueError, match=r"rules\[1\]: there is no model 'other'"):
        stage(Predict, {"rules": [LOG, LOG | {"model": "other"}]}, Oracle().lend())
    with pytest.raises(ValueError, match="there are no models"):
        stage(Predict, {"rules": [LOG]}, services())


def test_it_is_made_anew_when_the_models_change() -> None:
    assert Predict.asks_models(Predict.Config.model_validate({"rules": [LOG]}))
