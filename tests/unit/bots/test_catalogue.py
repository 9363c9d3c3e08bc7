"""Names of crawlers and tools in agents: where they count, which one counts, and what finding them may cost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.bots.catalogue import CATALOGUE, UNLISTED, Catalogue, Named

MOZILLA = "mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko) "


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("curl/8.14.1", ("curl", "tool", "http-library")),
        ("php-curl-class/4.13.0 (+https://example.org) php/7.4.9", ("php-curl-class", "tool", "http-library")),
        (
            "mozilla/5.0 (compatible; googlebot/2.1; +http://google.com/bot.html)",
            ("googlebot", "crawler", "search-engine"),
        ),
        ("googlebot-image/1.0", ("googlebot-image", "crawler", "search-engine")),
        ("adsbot-google (+http://www.google.com/adsbot.html)", ("adsbot-google", "crawler", "advertising")),
        (
            "mozilla/5.0 applewebkit/537.36 (khtml, like gecko; compatible; gptbot/1.2)",
            ("gptbot", "crawler", "ai-crawler"),
        ),
        ("mozilla/5.0 (compatible; ahrefssiteaudit/6.1; +http://ahrefs.com)", ("ahrefssiteaudit", "crawler", "seo")),
        ("sogou web spider/4.0(+http://www.sogou.com/docs)", ("sogou web spider", "crawler", "search-engine")),
        (MOZILLA + "headlesschrome/156.0.0.0 safari/537.36", ("headlesschrome", "tool", "browser-automation")),
        ("apache-httpclient/4.5.3 (java/1.8.0_121)", ("apache-httpclient", "tool", "http-library")),
        ("node", ("node", "tool", "http-library")),
        ("mozilla/5.0 (compatible; acmebot/1.0)", ("acmebot", "crawler", UNLISTED)),
        ("acmespider", ("acmespider", "crawler", UNLISTED)),
    ],
)
def test_names_are_found(agent: str, expected: tuple[str, str, str]) -> None:
    assert CATALOGUE.find(agent) == Named(*expected)


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "mycurlyapp/1.0",
        "javascript-thing/2",
        "acmesync/3.1 (node 20)",
        MOZILLA + "chrome/140.0.0.0 safari/537.36",
        MOZILLA + "chrome/140.0.0.0 safari/537.36 edg/140.0.0.0",
        "mozilla/5.0 (linux; android 15; cubot kingkong) applewebkit/537.36 (khtml, like gecko) chrome/140.0 mobile",
        "mozilla/5.0 (linux; u; android 12; kftrwi) applewebkit/537.36 silk/142.3.1 like chrome/142.0 safari/537.36",
        "mozilla/5.0 (iphone; cpu iphone os 18_5 like mac os x) applewebkit/605.1.15 (khtml, like gecko) gsa/380.0",
    ],
)
def test_browsers_and_parts_of_words_have_none(agent: str) -> None:
    assert CATALOGUE.find(agent) is None


def test_it_knows_over_a_thousand_and_their_categories() -> None:
    assert len(CATALOGUE.names) > 1400
    assert {"ai-crawler", "seo", "scanner", "search-engine", "monitoring", UNLISTED} <= CATALOGUE.categories


def test_the_longest_name_counts_and_the_first_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("# source\nacme\tscanner\n")
    second.write_text("acme/\tseo\nacme\tseo\nacme fetcher\tarchiver\n^acme\tseo\n")
    catalogue = Catalogue(first, second)
    assert catalogue.find("acme/1") == Named("acme", "tool", "scanner")
    assert catalogue.find("an acme fetcher") == Named("acme fetcher", "crawler", "archiver")
    assert catalogue.find("an acmeist") is None


def test_what_stands_at_the_beginning_is_not_found_behind_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("^silk/\tseo\n")
    assert Catalogue(file).find("silk/1.0") == Named("silk", "crawler", "seo")
    assert Catalogue(file).find("x silk/1.0") is None


@pytest.mark.parametrize("agent", ["a " * 512, "bot" * 341, "curl/" * 204, "x" * 1024, ";owler" * 170, "2ip.ru " * 146])
def test_no_agent_takes_long(agent: str) -> None:
    CATALOGUE.find(agent)
    begun = time.process_time()
    CATALOGUE.find(agent)
    assert time.process_time() - begun < 0.01


@given(st.text(max_size=300))
def test_any_text_has_a_known_name_or_none(agent: str) -> None:
    found = CATALOGUE.find(agent.lower())
    assert found is None or (found.kind in {"crawler", "tool"} and found.category in CATALOGUE.categories)
