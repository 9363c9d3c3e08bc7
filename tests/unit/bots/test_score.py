"""Scores and what follows from them, with each signal by itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.bots.agents import Agents
from edgeproxy.bots.crawlers import EXPOSED, UNKNOWN, VERIFIED
from edgeproxy.bots.probes import ENOUGH, Probes
from edgeproxy.bots.score import TAG, Actions, Judge, Signals, Weights
from edgeproxy.bots.settings import WeightSettings
from edgeproxy.bots.shape import Shapes
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange, Place, TLSInfo
from tests.support.stages import CHROME, exchange

GOOGLEBOT = {b"user-agent": b"Googlebot/2.1", b"accept-language": b"en", b"accept-encoding": b"gzip"}
PROGRAM, BROWSER, STRANGER = (f"t13d1516h2_{digit * 12}_{digit * 12}" for digit in "123")
EACH = {name: 1 << place for place, name in enumerate(("shape", "ja4", "feeds", "network", "pace", "probes"))}


def refuse() -> Response:
    return Response(403)


class Bench:
    """Signals of the given weights, all others 0, and what they are told."""

    def __init__(self, weights: dict[str, int] | None = None, *, browsers: frozenset[str] = frozenset()) -> None:
        self.agents = Agents(2, frozenset(), frozenset(), refuse)
        self.probes = Probes()
        self.hurried = False
        none = dict.fromkeys(WeightSettings.model_fields, 0)
        self.signals = Signals(
            self.agents,
            Weights(none | (WeightSettings().model_dump() if weights is None else weights)),
            Shapes(),
            self.probes,
            lambda _: self.hurried,
            frozenset([PROGRAM]),
            browsers,
            frozenset([64500]),
        )

    def score(self, headers: dict[bytes, bytes], **more: Any) -> int:
        x = exchange(headers=headers, **{"scheme": b"https", **more})
        self.agents.check(x)
        return self.signals.score(x)


def chrome(*without: bytes, **more: bytes) -> dict[bytes, bytes]:
    fields = {name: value for name, value in CHROME.items() if name not in without}
    return fields | {name.replace("_", "-").encode(): value for name, value in more.items()}


@pytest.mark.parametrize("weight", sorted(WeightSettings.model_fields))
def test_a_browser_scores_nothing_whatever_the_weights(weight: str) -> None:
    assert Bench({weight: 77}).score(CHROME) == 0
    assert Bench().score(CHROME) == 0


@pytest.mark.parametrize(
    ("weight", "headers"),
    [
        ("agent", chrome(user_agent=b"")),
        ("agent", chrome(user_agent=b"x" * 2000)),
        ("tool", chrome(user_agent=b"curl/8.14.1")),
        ("crawler", GOOGLEBOT),
        ("unknown", chrome(user_agent=b"AcmeSync/3.1")),
        ("language", chrome(b"accept-language")),
        ("encoding", chrome(b"accept-encoding")),
        ("fetch_metadata", chrome(b"sec-fetch-site")),
        ("shape", dict(reversed(CHROME.items()))),
    ],
)
def test_what_a_request_says_is_weighed(weight: str, headers: dict[bytes, bytes]) -> None:
    assert Bench({weight: 31}).score(headers) == 31
    assert Bench({weight: 0}).score(headers) == 0


def test_sec_fetch_is_not_expected_over_http() -> None:
    assert Bench({"fetch_metadata": 31}).score(chrome(b"sec-fetch-site"), scheme=b"http") == 0


@pytest.mark.parametrize(
    ("agent", "ja4", "browsers", "expected"),
    [
        (CHROME[b"user-agent"], PROGRAM, frozenset(), 31),
        (b"AcmeSync/3.1", PROGRAM, frozenset(), 31),
        (CHROME[b"user-agent"], STRANGER, frozenset(), 0),
        (CHROME[b"user-agent"], STRANGER, frozenset([BROWSER]), 31),
        (CHROME[b"user-agent"], BROWSER, frozenset([BROWSER]), 0),
        (CHROME[b"user-agent"], "", frozenset([BROWSER]), 0),
        (b"AcmeSync/3.1", STRANGER, frozenset([BROWSER]), 0),
    ],
)
def test_a_hello_betrays_programs_and_false_browsers(
    agent: bytes, ja4: str, browsers: frozenset[str], expected: int
) -> None:
    bench = Bench({"ja4": 31}, browsers=browsers)
    x = exchange(headers=chrome(user_agent=agent))
    x.peer = x.peer._replace(tls=TLSInfo("TLSv1.3", "", "", None, ja4))
    assert bench.signals.score(x) == expected


def test_where_a_client_is_and_how_it_behaves_is_weighed() -> None:
    bench = Bench(EACH)
    x = exchange(headers=CHROME)
    x.feeds = ("drop",)
    assert bench.signals.score(x) == EACH["feeds"]
    x.place = Place(asn=64500)
    assert bench.signals.score(x) == EACH["feeds"] + EACH["network"]
    bench.hurried = True
    assert bench.signals.score(x) == EACH["feeds"] + EACH["network"] + EACH["pace"]
    for _ in range(ENOUGH):
        probe = exchange(b"/.env")
        probe.status = 404
        bench.probes.note(probe)
    assert bench.signals.score(x) == EACH["feeds"] + EACH["network"] + EACH["pace"] + EACH["probes"]


def test_a_sum_ends_at_100() -> None:
    assert Bench({"agent": 90, "language": 90}).score({}) == 100


@given(
    st.dictionaries(st.sampled_from([*CHROME, b"x-other"]), st.binary(max_size=60)),
    st.sampled_from([b"http", b"https"]),
)
def test_any_head_has_a_score(headers: dict[bytes, bytes], scheme: bytes) -> None:
    assert 0 <= Bench().score(headers, scheme=scheme) <= 100


class Court:
    """A judge who gives every exchange the same score."""

    def __init__(
        self, score: int | None = None, *, verdict: int | None = None, deny: str = "", welcome: str = "", **more: Any
    ) -> None:
        self.counted: Counter[str] = Counter()
        self.asked: list[tuple[str, str]] = []
        self.agents = Agents(2, frozenset(deny.split()), frozenset(welcome.split()), refuse)
        self.judge = Judge(
            self.agents,
            more.get("shapes"),
            None if verdict is None else lambda name, client: self.asked.append((name, client)) or verdict,  # type: ignore[func-returns-value]
            None if score is None else lambda _: score,
            Actions(*more.get("actions", (20, 40, 60, 90))),
            refuse,
            lambda action: self.counted.update([action]),
            observes=more.get("observes", False),
        )

    def check(self, x: Exchange) -> int:
        """The answer's status, 0 for none."""
        answer = self.judge.check(x)
        return 0 if answer is None else answer.status


@pytest.mark.parametrize(
    ("score", "status", "treatment", "tags", "counted"),
    [
        (0, 0, "", (), {}),
        (19, 0, "", (), {}),
        (20, 0, "", (TAG,), {"tag": 1}),
        (40, 0, "limit", (TAG,), {"tag": 1, "limit": 1}),
        (60, 0, "challenge", (TAG,), {"tag": 1, "challenge": 1}),
        (89, 0, "challenge", (TAG,), {"tag": 1, "challenge": 1}),
        (90, 403, "", (TAG,), {"tag": 1, "refuse": 1}),
    ],
)
def test_each_threshold_has_its_action(
    score: int, status: int, treatment: str, tags: tuple[str, ...], counted: dict[str, int]
) -> None:
    court, x = Court(score), exchange(headers=CHROME)
    assert court.check(x) == status
    assert (x.score, x.treatment, x.tags, dict(court.counted)) == (score, treatment, tags, counted)


def test_a_stronger_treatment_stays() -> None:
    x = exchange(headers=CHROME)
    x.treatment = "challenge"
    Court(45).check(x)
    assert x.treatment == "challenge"
    y = exchange(headers=CHROME)
    y.treatment = "limit"
    Court(65).check(y)
    assert y.treatment == "challenge"


def test_observed_everything_is_counted_and_nothing_is_wanted() -> None:
    court, x = Court(65, observes=True), exchange(headers=CHROME)
    assert court.check(x) == 0
    assert x.treatment == ""
    assert court.counted["challenge"] == 1


@pytest.mark.parametrize("score", [45, 65, 100])
def test_robots_txt_stays_open(score: int) -> None:
    x = exchange(b"/robots.txt", CHROME)
    assert Court(score).check(x) == 0
    assert x.treatment == ""


@pytest.mark.parametrize("proof", [{"agent": "chatgpt.com"}, {"identity": "partner"}])
def test_who_proved_to_be_somebody_scores_nothing(proof: dict[str, str]) -> None:
    x = exchange(headers=CHROME)
    for name, value in proof.items():
        setattr(x, name, value)
    assert Court(100).check(x) == 0
    assert (x.score, x.treatment) == (0, "")


def test_a_verified_crawler_has_its_name_and_no_score() -> None:
    court, x = Court(100, verdict=VERIFIED), exchange(headers=GOOGLEBOT)
    assert court.check(x) == 0
    assert (x.agent, x.bot, x.score) == ("googlebot", "crawler", 0)
    assert court.asked == [("googlebot", "192.0.2.7")]


def test_a_crawler_not_yet_verified_is_scored_like_any() -> None:
    x = exchange(headers=GOOGLEBOT)
    assert Court(50, verdict=UNKNOWN).check(x) == 0
    assert (x.agent, x.bot, x.score, x.treatment) == ("", "crawler", 50, "limit")


def test_an_exposed_crawler_is_a_suspect_and_weighs_as_such() -> None:
    court, x = Court(verdict=EXPOSED), exchange(headers=GOOGLEBOT)
    assert court.check(x) == 0
    assert (x.agent, x.bot) == ("", "suspect")
    assert Bench({"exposed": 88, "crawler": 1}).signals.score(x) == 88


@pytest.mark.parametrize("deny", ["crawler", "suspect", "search-engine"])
def test_an_exposed_crawler_is_not_welcome(deny: str) -> None:
    assert Court(verdict=EXPOSED, deny=deny, welcome="googlebot").check(exchange(headers=GOOGLEBOT)) == 403
    assert Court(verdict=EXPOSED, deny=deny).check(exchange(b"/robots.txt", GOOGLEBOT)) == 0
    assert Court(verdict=UNKNOWN, deny=deny, welcome="googlebot").check(exchange(headers=GOOGLEBOT)) == 0


def test_the_welcome_are_not_refused_for_their_score_unless_exposed() -> None:
    assert Court(95, welcome="googlebot").check(exchange(headers=GOOGLEBOT)) == 0
    assert Court(95, welcome="googlebot", verdict=EXPOSED).check(exchange(headers=GOOGLEBOT)) == 403


def test_only_crawlers_are_verified() -> None:
    court = Court(verdict=EXPOSED)
    for agent in (b"curl/8", b"AcmeSync/1", b""):
        court.check(exchange(headers=CHROME | {b"user-agent": agent}))
    signed = exchange(headers=GOOGLEBOT)
    signed.agent = "google.com"
    court.check(signed)
    assert court.asked == []


def test_who_is_refused_by_class_is_neither_verified_nor_scored() -> None:
    court = Court(95, verdict=EXPOSED, deny="crawler")
    assert court.check(exchange(headers=GOOGLEBOT)) == 403
    assert court.asked == []
    assert not court.counted


def test_the_shape_is_set_where_it_is_asked_for() -> None:
    x = exchange(headers=CHROME)
    Court(shapes=Shapes()).check(x)
    assert x.shape == Shapes().of(CHROME).text
    y = exchange(headers=CHROME)
    Court(0).check(y)
    assert y.shape == ""
