"""Where answers came from and of what kind they were: the cache's share of the traffic, in labels of a few words."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from edgeproxy.observe.metrics import OTHER, Histogram, Metrics

# RFC 9211 §2.2, and "_other" for what a stage invented.
FORWARDS: Final = frozenset(("bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"))

ORIGIN: Final = "origin"
NONE: Final = "none"  # no cache was asked: a refusal, a redirect, a route without one
NO_HIT: Final = (ORIGIN, NONE)

_DETAILS: Final = {b"l2": "l2", b"l3": "l3", b"stale": "stale"}  # what a cache stage says of a hit

# Seconds; a tier too small for its traffic lets go what is seconds old, one that does well what is days old.
AGES: Final = (1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0, 2_592_000.0)

# By the media type's exact name, else by what stands before its slash.
_TYPES: Final = {
    b"application/ecmascript": "script",
    b"application/font-woff": "font",
    b"application/javascript": "script",
    b"application/json": "json",
    b"application/vnd.apple.mpegurl": "video",
    b"application/dash+xml": "video",
    b"application/vnd.ms-fontobject": "font",
    b"application/x-javascript": "script",
    b"application/xhtml+xml": "html",
    b"application/wasm": "script",
    b"text/css": "css",
    b"text/ecmascript": "script",
    b"text/html": "html",
    b"text/javascript": "script",
    b"font": "font",
    b"image": "image",
    b"video": "video",
}


@lru_cache(512)
def cache_label(verdict: bytes) -> str:
    """One word for Cache-Status parameters: ``hit``, the reason of ``fwd``, or ``none``."""
    if not verdict:
        return NONE
    said = _parameters(verdict)
    if b"hit" in said:
        return "hit"
    word = said.get(b"fwd", b"").decode("latin-1")
    return word if word in FORWARDS else OTHER


def tier_of(verdict: bytes) -> str:
    """Where an answer came from: ``l1``, ``l2``, ``l3``, ``stale``, ``collapsed`` (another request's fetch),
    ``origin``, or ``none``. All but the last two cost the origin nothing."""
    if not verdict:
        return NONE
    said = _parameters(verdict)
    if b"hit" not in said:
        return "collapsed" if b"collapsed" in said else ORIGIN
    if b"fwd" in said:
        return "stale"  # in place of what the origin said, or did not say
    return _DETAILS.get(said.get(b"detail", b""), "l1")


def type_of(content_type: bytes) -> str:
    """The class of a Content-Type: html, css, script, image, font, video, json or other."""
    media = content_type[:128].partition(b";")[0].strip().lower()
    if media.endswith(b"+json"):
        return "json"
    return _TYPES.get(media) or _TYPES.get(media.partition(b"/")[0], "other")


def _parameters(verdict: bytes) -> dict[bytes, bytes]:
    parts = [parameter.strip().partition(b"=") for parameter in verdict.split(b";")]
    return {name: value for name, _, value in parts}


def evicted_ages(metrics: Metrics) -> Histogram:
    """How old answers were when a tier let them go to make room, in seconds."""
    return metrics.histogram("edgeproxy_cache_evicted_age_seconds", "Age of what was evicted.", ("tier",), AGES)


class Analytics:
    """The counters of one process."""

    def __init__(self, metrics: Metrics) -> None:
        labels = ("route", "tier", "type")
        self._answers = metrics.counter(
            "edgeproxy_cache_answers_total",
            "Answers of routes with a cache, by where they came from.",
            labels,
            limit=5000,
        )
        self._bytes = metrics.counter(
            "edgeproxy_cache_answer_bytes_total", "Body bytes of those answers.", labels, limit=5000
        )

    def count(self, route: str, tier: str, media: str, number: int, size: int) -> None:
        """Answers of one kind, and the body bytes sent for them; nothing where no cache was asked."""
        if tier != NONE:
            self._answers.inc(route, tier, media, by=number)
            self._bytes.inc(route, tier, media, by=size)
