"""Browsers, crawlers, tools and suspects."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgeproxy.bots.agents import judge
from edgeproxy.features import table
from edgeproxy.pipeline.exchange import TLSInfo
from edgeproxy.pipeline.template import EXCHANGE, compile_template
from middleware.bot_check import BotCheck
from tests.support.oracle import Oracle
from tests.support.stages import CHROME, exchange, services, stage

SAFARI = (
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    b"Mobile/15E148 Safari/604.1"
)
FIREFOX = b"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
OLD_CHROME = CHROME[b"user-agent"].replace(b"Chrome/140", b"Chrome/79")
GOOGLEBOT = b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
HEADLESS = CHROME[b"user-agent"].replace(b"Chrome/", b"HeadlessChrome/")


def kind(headers: dict[bytes, bytes], settings: dict[str, Any] | None = None, scheme: bytes = b"https") -> str:
    x = exchange(headers=headers, scheme=scheme)
    assert stage(BotCheck, settings).request(x) is None
    return x.bot


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (CHROME[b"user-agent"], "browser"),
        (SAFARI, "browser"),
        (FIREFOX, "browser"),
        (GOOGLEBOT, "crawler"),
        (
            b"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "crawler",
        ),
        (b"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "crawler"),
        (b"curl/8.14.1", "tool"),
        (b"python-requests/2.32.4", "tool"),
        (b"Python/3.13 aiohttp/3.14.5", "tool"),
        (b"Java/21.0.2", "tool"),
        (b"Go-http-client/2.0", "tool"),
        (HEADLESS, "tool"),
        (b"", "suspect"),
        (b"   ", "suspect"),
        (b"Mozilla/5.0 " + b"x" * 2000, "suspect"),
        (b"MyCurlyApp/1.0", ""),
        (b"javascript-thing/2", ""),
        (b"AcmeSync/3.1", ""),
    ],
)
def test_agents_are_classed(agent: bytes, expected: str) -> None:
    assert kind(CHROME | {b"user-agent": agent}) == expected


def test_no_agent_at_all_is_suspect() -> None:
    assert kind({b"accept": b"*/*"}) == "suspect"


@pytest.mark.parametrize(
    ("lacking", "settings", "expected"),
    [
        ([b"accept-language", b"sec-fetch-site"], {}, "suspect"),
        ([b"accept-language", b"accept-encoding"], {}, "suspect"),
        ([b"accept-encoding", b"sec-fetch-site"], {}, "suspect"),
        ([b"accept-language"], {}, "browser"),
        ([b"sec-fetch-site"], {}, "browser"),
        ([b"accept-language"], {"signs": 1}, "suspect"),
        ([b"accept-language", b"sec-fetch-site"], {"signs": 3}, "browser"),
        ([b"accept-language", b"accept-encoding", b"sec-fetch-site"], {"signs": 3}, "suspect"),
    ],
)
def test_a_browser_without_its_usual_fields_is_suspect(
    lacking: list[bytes], settings: dict[str, Any], expected: str
) -> None:
    assert kind({name: value for name, value in CHROME.items() if name not in lacking}, settings) == expected


@pytest.mark.parametrize(
    ("changed", "scheme"),
    [
        ({}, b"http"),
        ({b"upgrade": b"websocket"}, b"https"),
        ({b"user-agent": OLD_CHROME}, b"https"),
        ({b"user-agent": SAFARI}, b"https"),
        ({b"user-agent": FIREFOX}, b"https"),
    ],
)
def test_fetch_metadata_is_only_missed_where_chrome_sends_it(changed: dict[bytes, bytes], scheme: bytes) -> None:
    headers = {name: value for name, value in CHROME.items() if not name.startswith(b"sec-fetch-")} | changed
    assert kind(headers, {"signs": 1}, scheme) == "browser"


def test_denied_classes_get_403_and_others_pass() -> None:
    lent = services()
    check = stage(BotCheck, {"deny": ["tool", "suspect"]}, lent)
    answers = [
        check.request(exchange(headers=CHROME | {b"user-agent": agent}))
        for agent in (b"curl/8", b"", GOOGLEBOT, CHROME[b"user-agent"])
    ]
    assert [answer and answer.status for answer in answers] == [403, 403, None, None]
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("bot_check") == 2


def test_a_welcome_name_passes_and_keeps_its_class() -> None:
    check = stage(BotCheck, {"deny": "crawler", "welcome": ["Googlebot"]})
    x = exchange(headers={b"user-agent": GOOGLEBOT})
    assert check.request(x) is None
    assert x.bot == "crawler"
    assert check.request(exchange(headers={b"user-agent": b"bingbot/2.0"})) is not None


def test_a_suspect_is_not_welcome_by_having_no_name() -> None:
    assert stage(BotCheck, {"deny": "suspect", "welcome": ["curl"]}).request(exchange()) is not None


def test_robots_txt_stays_open_to_those_denied() -> None:
    check = stage(BotCheck, {"deny": "crawler"})
    assert check.request(exchange(b"/robots.txt", {b"user-agent": GOOGLEBOT})) is None


def test_an_unknown_welcome_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValidationError, match="googlebot"):
        stage(BotCheck, {"welcome": ["gogglebot"]})


def test_categories_are_denied_like_classes() -> None:
    check = stage(BotCheck, {"deny": ["ai-crawler", "scanner"], "welcome": "claudebot"})
    statuses = [
        (answer := check.request(exchange(headers=CHROME | {b"user-agent": agent}))) and answer.status
        for agent in (
            b"GPTBot/1.2",
            b"Nuclei - Open-source project",
            b"ClaudeBot/1.0",
            GOOGLEBOT,
            CHROME[b"user-agent"],
        )
    ]
    assert statuses == [403, 403, None, None, None]


def test_a_welcome_name_is_also_that_of_its_kind() -> None:
    check = stage(BotCheck, {"deny": "crawler", "welcome": "googlebot"})
    assert check.request(exchange(headers={b"user-agent": b"Googlebot-Image/1.0"})) is None
    assert check.request(exchange(headers={b"user-agent": b"Googlebotty-bot/1.0"})) is not None


@pytest.mark.parametrize("agent", [b"curl/8", CHROME[b"user-agent"]])
def test_an_agent_that_signs_its_requests_is_not_denied_and_no_suspect(agent: bytes) -> None:
    check = stage(BotCheck, {"deny": ["tool", "suspect"]})
    x = exchange(headers={b"user-agent": agent}, scheme=b"https")
    assert check.request(x) is not None
    x.agent = "assistant"
    assert check.request(x) is None
    assert x.bot != "suspect"


@pytest.mark.parametrize("agent", [b"Mozilla/5.0 (" + b") " * 505, b"bot/" * 256, b"mozilla/5.0 (x) " + b"a " * 504])
def test_no_agent_takes_long(agent: bytes) -> None:
    judge(agent)
    begun = time.process_time()
    judge(agent)
    assert time.process_time() - begun < 0.01


@given(st.binary(max_size=1200))
def test_any_agent_has_a_class(agent: bytes) -> None:
    assert judge(agent).kind in {"", "browser", "crawler", "tool", "suspect"}


@pytest.mark.parametrize("word", ["browsers", "ai", ""])
def test_what_is_no_class_or_category_is_refused_with_those_there_are(word: str) -> None:
    with pytest.raises(ValidationError, match="ai-crawler"):
        stage(BotCheck, {"deny": word})


def test_without_further_settings_nothing_further_is_done() -> None:
    check = stage(BotCheck)
    x = exchange(headers={b"user-agent": b"curl/8"})
    check.request(x)
    assert (x.bot, x.score, x.shape, x.treatment, x.tags) == ("tool", 0, "", "", ())
    assert not check.uses("log")


def test_actions_or_score_bring_a_score_and_shape_a_shape() -> None:
    for settings in ({"score": True}, {"actions": {"tag": 100}}):
        x = exchange(headers={b"user-agent": b"curl/8"})
        stage(BotCheck, settings).request(x)
        assert x.score >= 50
        assert x.shape == ""
    y = exchange(headers=CHROME)
    stage(BotCheck, {"shape": True}).request(y)
    assert len(y.shape) == 12
    assert y.score == 0


def test_what_was_found_can_be_passed_on() -> None:
    x = exchange(headers=CHROME | {b"user-agent": b"curl/8"})
    x.peer = x.peer._replace(tls=TLSInfo("TLSv1.3", "", "", None, "t13d1516h2_8daaf6152771_e5627efa2ab1"))
    stage(BotCheck, {"score": True, "shape": True}).request(x)
    x.agent = "assistant"
    said = compile_template("{bot} {bot.agent} {bot.score} {bot.shape} {client.ja4}", EXCHANGE)(x).decode()
    assert said == f"tool assistant 50 {x.shape} t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert compile_template("{bot.score}{client.ja4}", EXCHANGE)(exchange()) == b"0"


def test_weights_are_the_settings_own() -> None:
    x = exchange(headers=CHROME | {b"user-agent": b"curl/8"})
    stage(BotCheck, {"score": True, "weights": {"tool": 7}}).request(x)
    assert x.score == 7


def test_a_score_refuses_and_is_counted() -> None:
    lent = services()
    check = stage(BotCheck, {"actions": {"refuse": 60}}, lent)
    answer = check.request(exchange(headers={b"user-agent": b"curl/8"}))
    assert answer is not None
    assert (answer.status, answer.get(b"cache-control")) == (403, b"no-store")
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("bot_check") == 1
    assert lent.metrics.counter("edgeproxy_bot_actions_total", "", ("action",)).value("refuse") == 1


def test_a_fast_client_is_over_its_pace_and_others_are_not() -> None:
    check = stage(BotCheck, {"score": True, "pace": "60/m", "weights": {"pace": 33}})

    def scores(client: str, count: int) -> list[int]:
        asked = [exchange(headers=CHROME, client=client) for _ in range(count)]
        for x in asked:
            check.request(x)
        return [x.score for x in asked]

    assert scores("192.0.2.7", 61) == [0] * 60 + [33]
    assert scores("192.0.2.8", 1) == [0]


def test_probes_are_noted_in_the_log_phase() -> None:
    check = stage(BotCheck, {"score": True, "weights": {"probes": 33}})
    assert check.uses("log")
    for _ in range(3):
        x = exchange(b"/.env", CHROME)
        check.request(x)
        x.status = 404
        check.log(x)
    after = exchange(headers=CHROME)
    check.request(after)
    assert after.score == 33


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"verify": "whois"}, "'ranges' or 'dns'"),
        ({"crawlers": {"Acme": {}}}, "pattern"),
        ({"networks": 0}, "greater than or equal to 1"),
        ({"pace": "fast"}, "is not a rate"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        stage(BotCheck, settings)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TABLE, "head/1", table.Row("request", "tests.support.oracle", "head"))


@pytest.mark.interpreted  # a stand-in may not inherit from what is compiled
@pytest.mark.usefixtures("head")
def test_a_model_counts_for_the_score_and_who_is_known_is_not_put_to_it() -> None:
    oracle = Oracle()
    check = stage(BotCheck, {"model": "score", "model_weight": 40, "actions": {"refuse": 30}}, oracle.lend())
    x = exchange(headers=CHROME)
    assert check.request(x) is not None
    assert x.score == 36
    for known in ("agent", "identity"):
        x = exchange(headers=CHROME)
        setattr(x, known, "somebody")
        assert check.request(x) is None
        assert x.score == 0
    assert len(oracle.asked) == 1


def test_models_are_asked_for_only_where_one_is_named() -> None:
    config = BotCheck.Config.model_validate
    assert [BotCheck.asks_models(config(given)) for given in ({}, {"score": True}, {"model": "bot-score"})] == [
        False,
        False,
        True,
    ]


@pytest.mark.interpreted  # a stand-in may not inherit from what is compiled
def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no model 'bot-score'"):
        stage(BotCheck, {"model": "bot-score"}, Oracle().lend())


def test_without_a_model_nothing_of_what_runs_models_is_loaded() -> None:
    code = "import sys, middleware.bot_check; print(*{'numpy', 'edgeproxy.inference.score'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
