"""What bot_check is told: weights, thresholds, fingerprints, and how crawlers are known."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.bots.crawlers import Operator, known_operators
from edgeproxy.bots.settings import ActionSettings, CrawlerSettings, Ja4Settings, WeightSettings, operators


def test_actions_are_thresholds_and_never_where_none_is_given() -> None:
    assert ActionSettings().thresholds() == (101, 101, 101, 101)
    given = ActionSettings.model_validate({"tag": 80, "limit": 40, "refuse": 90})
    assert given.thresholds() == (80, 40, 101, 90)


@pytest.mark.parametrize(
    ("kind", "settings", "why"),
    [
        (ActionSettings, {"limit": 60, "challenge": 40}, "must rise"),
        (ActionSettings, {"limit": 95, "refuse": 90}, "must rise"),
        (ActionSettings, {"refuse": 0}, "greater than or equal to 1"),
        (ActionSettings, {"refuse": 101}, "less than or equal to 100"),
        (ActionSettings, {"ban": 1}, "Extra inputs"),
        (WeightSettings, {"tool": 101}, "less than or equal to 100"),
        (WeightSettings, {"tool": -1}, "greater than or equal to 0"),
        (Ja4Settings, {"programs": "t13d1516h2_8daaf6152771"}, "pattern"),
        (Ja4Settings, {"browsers": ["T13d1516h2_8daaf6152771_e5627efa2ab1"]}, "pattern"),
        (CrawlerSettings, {"domains": "*.example.com"}, "not one name"),
        (CrawlerSettings, {"urls": "ranges.json"}, "is not a URL"),
        (CrawlerSettings, {"urls": "https://me:secret@a.example/"}, "is not a URL"),
        (CrawlerSettings, {"urls": "ftp://a.example/"}, "is not a URL"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: Any, settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        kind.model_validate(settings)


def test_every_weight_and_every_fingerprint_of_the_form_is_taken() -> None:
    WeightSettings.model_validate(dict.fromkeys(WeightSettings.model_fields, 0))
    for text in ("t13d1516h2_8daaf6152771_e5627efa2ab1", "ts3i000000_000000000000_000000000000"):
        Ja4Settings.model_validate({"programs": text, "browsers": [text]})


def test_the_known_operators_are_known_by_the_ways_that_are_given() -> None:
    known = known_operators()["googlebot"]
    assert operators({}, ("dns", "ranges"))["googlebot"] == known
    assert operators({}, ("dns",))["googlebot"] == Operator(known.domains, ())
    assert operators({}, ("ranges",))["googlebot"] == Operator((), known.ranges)


def test_settings_stand_over_what_is_known_and_add_to_it() -> None:
    settings = {
        "googlebot": CrawlerSettings.model_validate({"domains": "crawl.example"}),
        "bingbot": CrawlerSettings.model_validate({"files": "bing.json"}),
        "applebot": CrawlerSettings.model_validate({"domains": [], "urls": []}),
        "mybot": CrawlerSettings.model_validate({"domains": ["my.example"], "urls": "https://my.example/r.json"}),
    }
    known, told = known_operators(), operators(settings, ("dns", "ranges"))
    assert told["googlebot"] == Operator(("crawl.example",), known["googlebot"].ranges)
    assert told["bingbot"] == Operator(known["bingbot"].domains, ("bing.json",))
    assert told["applebot"] == Operator()
    assert told["mybot"] == Operator(("my.example",), ("https://my.example/r.json",))
