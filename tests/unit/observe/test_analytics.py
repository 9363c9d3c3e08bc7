"""Labels of few words, whatever is sent."""

from __future__ import annotations

import pytest

from edgeproxy.observe.analytics import Analytics, cache_label, evicted_ages, tier_of, type_of
from edgeproxy.observe.metrics import Metrics, render


@pytest.mark.parametrize(
    ("verdict", "label"),
    [
        (b"", "none"),
        (b"hit", "hit"),
        (b"hit; ttl=-3; detail=stale", "hit"),
        (b"hit; fwd=stale; fwd-status=500", "hit"),
        (b"fwd=stale; fwd-status=304; stored", "stale"),
        (b"fwd=bypass", "bypass"),
        (b"fwd=invented-by-a-stage", "_other"),
        (b"detail=x", "_other"),
    ],
)
def test_the_cache_label_is_one_of_a_few_words(verdict: bytes, label: str) -> None:
    assert cache_label(verdict) == label


@pytest.mark.parametrize(
    ("verdict", "tier"),
    [
        (b"", "none"),
        (b"hit", "l1"),
        (b"hit; detail=l2", "l2"),
        (b"hit; detail=l3", "l3"),
        (b"hit; detail=stale", "stale"),
        (b"hit; detail=of-somebody", "l1"),
        (b"hit; fwd=stale; fwd-status=500", "stale"),
        (b"hit; fwd=stale; detail=connect_failed", "stale"),
        (b"fwd=uri-miss; collapsed", "collapsed"),
        (b"fwd=uri-miss; stored", "origin"),
        (b"fwd=stale; fwd-status=304", "origin"),
        (b"fwd=bypass", "origin"),
    ],
)
def test_a_verdict_tells_where_the_answer_came_from(verdict: bytes, tier: str) -> None:
    assert tier_of(verdict) == tier


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (b"text/html; charset=utf-8", "html"),
        (b"TEXT/CSS", "css"),
        (b"text/javascript", "script"),
        (b"application/javascript;charset=utf-8", "script"),
        (b"image/svg+xml", "image"),
        (b"font/woff2", "font"),
        (b"video/mp4", "video"),
        (b"application/json", "json"),
        (b"application/problem+json; charset=utf-8", "json"),
        (b"text/plain", "other"),
        (b"imagery/png", "other"),
        (b"", "other"),
        (b"/", "other"),
        (b"x" * 100_000, "other"),
    ],
)
def test_a_content_type_is_of_one_of_a_few_kinds(content_type: bytes, kind: str) -> None:
    assert type_of(content_type) == kind


def test_answers_that_no_cache_was_asked_for_are_not_counted() -> None:
    metrics = Metrics()
    analytics = Analytics(metrics)
    analytics.count("site", "none", "html", 3, 100)
    analytics.count("site", "l1", "html", 2, 50)
    lines = render(metrics.dump()).decode().splitlines()
    assert [line for line in lines if line.startswith("edgeproxy_cache_answer")] == [
        'edgeproxy_cache_answers_total{route="site",tier="l1",type="html"} 2.0',
        'edgeproxy_cache_answer_bytes_total{route="site",tier="l1",type="html"} 50.0',
    ]


def test_ages_of_what_was_evicted_have_one_metric_for_all_tiers() -> None:
    metrics = Metrics()
    evicted_ages(metrics).observe(5.0, "l1")
    evicted_ages(metrics).observe(90_000.0, "l2")
    text = render(metrics.dump()).decode()
    assert 'edgeproxy_cache_evicted_age_seconds_bucket{le="10.0",tier="l1"} 1.0' in text
    assert 'edgeproxy_cache_evicted_age_seconds_sum{tier="l2"} 90000.0' in text
