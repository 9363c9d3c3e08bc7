"""The cache stage's settings: what is refused and how it is said, and what the rest comes to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from edgeproxy.cache.recipe import PLAIN, TRACKING
from edgeproxy.cache.settings import CacheStageConfig
from tests.support.stages import exchange


def settings(**given: Any) -> CacheStageConfig:
    return CacheStageConfig.model_validate(given)


def test_nothing_given_is_the_plain_recipe_no_bypass_and_no_rule() -> None:
    given = settings()
    assert given.key.recipe() is PLAIN
    assert given.bypass.bypass() is None
    rules = given.overrides()
    assert (rules.override, rules.hashed, rules.while_revalidate, rules.if_error) == (False, None, 0, 0)
    assert rules.lifetimes.of(200, {b"content-type": b"text/html"}) is None
    assert rules.guard
    assert rules.longest_error == 300


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"key": {"headers": ["cookie"]}}, "name the cookies"),
        ({"key": {"headers": ["a b"]}}, "not a field name"),
        ({"key": {"cookies": ["a;b"]}}, "not a cookie's name"),
        ({"key": {"hosts": ["*.example.com", "example.com"]}}, "the first stands for all"),
        ({"key": {"query": {"only": ["a&b"]}}}, "not a name"),
        ({"key": {"query": {"without": ["*_id"]}}}, "not a name"),
        ({"key": {"query": {"tracking": "maybe"}}}, "drop"),
        ({"bypass": {"cookies": ["a=b"]}}, "not a name"),
        ({"bypass": {"paths": ["admin"]}}, "not a path"),
        ({"ttl": {"600": "1s"}}, "neither a status"),
        ({"ttl": {"1xx": "1s"}}, "neither a status"),
        ({"ttl": {"html": "1s"}}, "neither a status"),
        ({"ttl": {"404": "2000d"}}, "less than or equal"),
        ({"hashed_names": "("}, "not a regular expression"),
        ({"shortest": "2h", "longest": "1h"}, "not be more than longest"),
        ({"longest_error": -1}, "greater than or equal"),
        ({"stale_if_error": "2000d"}, "less than or equal"),
        ({"key": {"only": ["a"]}}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**given)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({"query": {"only": "id"}}, b"/?id=1"),
        ({"query": {"only": []}}, b"/"),
        ({"query": {"without": ["id", "b*"]}}, b"/?utm_source=x&a=4"),
        ({"query": {"tracking": "drop"}}, b"/?b2=3&id=1&a=4"),
        ({"query": {"tracking": "drop", "without": "b*", "sort": True}}, b"/?a=4&id=1"),
    ],
)
def test_a_query_becomes_what_its_settings_say(key: dict[str, Any], expected: bytes) -> None:
    x = exchange(b"/?b2=3&utm_source=x&id=1&a=4")
    assert settings(key=key).key.recipe().of(x).partition(b"#")[0] == b"http://www.example.com" + expected


def test_parts_of_a_key_by_name() -> None:
    key = {"scheme": False, "hosts": ["www.example.com"], "headers": "X-Tenant", "cookies": "lang", "device": True}
    text = "host, taken as www.example.com, path, query, header x-tenant, cookie lang, device"
    assert settings(key=key).key.recipe().text == text


def test_lifetimes_by_status_media_type_and_hundreds() -> None:
    lifetimes = settings(ttl={404: "10s", "5XX": "0s", "Image/*": "1d", "application/*+json": 9}).overrides().lifetimes
    assert lifetimes.of(404, {}) == 10
    assert lifetimes.of(503, {}) == 0
    assert lifetimes.of(200, {b"content-type": b"image/png"}) == 86_400
    assert lifetimes.of(200, {b"content-type": b"application/ld+json"}) == 9
    assert lifetimes.of(200, {b"content-type": b"text/html"}) is None


@pytest.mark.parametrize(
    ("given", "path", "found"),
    [("on", b"/app.3f2a91bc.js", True), (True, b"/app.js", False), (r"-v\d+\.js$", b"/app-v12.js", True)],
)
def test_hashed_names_are_on_or_an_expression(given: Any, path: bytes, found: bool) -> None:
    pattern = settings(hashed_names=given).overrides().hashed
    assert pattern is not None
    assert (pattern.search(path) is not None) is found
    assert settings(hashed_names="off").overrides().hashed is None


def test_a_bypass_takes_names_fields_parameters_and_paths() -> None:
    bypass = settings(
        bypass={
            "cookies": "session",
            "headers": {"X-Preview": True},
            "parameters": ["draft*"],
            "paths": ["/cart", "/my%20page"],
        }
    ).bypass.bypass()
    assert bypass is not None
    assert bypass(exchange(headers={b"cookie": b"session=1"}).request)
    assert bypass(exchange(headers={b"x-preview": b"1"}).request)
    assert bypass(exchange(b"/?draft2").request)
    assert bypass(exchange(b"/cart/1").request)
    assert bypass(exchange(b"/my page").request), "paths are compared decoded"
    assert not bypass(exchange(b"/?d").request)


def test_the_page_for_who_tunes_the_cache_shows_settings_that_work_and_the_whole_list() -> None:
    page = (Path(__file__).parents[3] / "docs/cache.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 3
    for block in blocks:
        settings(**yaml.safe_load(block)["cache"])
    listed = re.search(r"leaves out (.*?)\. Scripts", page, re.DOTALL)
    assert listed is not None
    assert tuple(re.findall(r"`([^`]+)`", listed[1])) == TRACKING
