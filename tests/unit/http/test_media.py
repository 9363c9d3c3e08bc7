"""Media types and the patterns that name them."""

from __future__ import annotations

import pytest

from edgeproxy.http.media import is_event_stream, media_matcher, media_pattern


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"text/html", True),
        (b"TEXT/HTML ; charset=utf-8", True),
        (b"application/ld+json;a=b", True),
        (b"application/json", True),
        (b"application/json+x", False),
        (b"application/+json", False),
        (b"text/", False),
        (b"text/a/b", False),
        (b"xtext/html", False),
        (b"image/png; x=text/html", False),
        (b"", False),
    ],
)
def test_a_content_type_is_matched_whole_without_its_parameters(content_type: bytes, expected: bool) -> None:
    assert media_matcher(["text/*", "application/json", "application/*+json"])(content_type) is expected


def test_no_pattern_matches_nothing() -> None:
    assert not media_matcher([])(b"text/html")


@pytest.mark.parametrize("value", ["", "text", "*/*", "text/", "text/*x", "text/html; q=1", "*/json", "te xt/a"])
def test_what_is_no_pattern(value: str) -> None:
    with pytest.raises(ValueError, match="is not a media type"):
        media_pattern(value)


def test_patterns_are_in_lower_case() -> None:
    assert media_pattern(" Application/*+JSON ") == "application/*+json"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (b"text/event-stream", True),
        (b" TEXT/Event-Stream ;charset=utf-8", True),
        (b"text/event-streams", False),
        (b"text/html; x=text/event-stream", False),
        (b"", False),
        (None, False),
    ],
)
def test_streams_of_events_are_known_by_their_type(told: bytes | None, expected: bool) -> None:
    assert is_event_stream(told) is expected
