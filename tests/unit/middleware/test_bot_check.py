"""Browsers, crawlers, tools and suspects."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from middleware.bot_check import BotCheck
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
