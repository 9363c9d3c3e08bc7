"""Media types (RFC 9110 §8.3.1): which of them a Content-Type is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

EVENT_STREAM: Final = b"text/event-stream"

_NAME = r"[a-z0-9][a-z0-9!#$&^_.+-]*"
_PATTERN = re.compile(rf"{_NAME}/(?:\*|\*\+[a-z0-9.-]+|{_NAME})")


def media_pattern(value: str) -> str:
    """``application/json``, ``text/*`` or ``application/*+json``, in lower case. Raises ValueError for all else."""
    text = value.strip().lower()
    if not _PATTERN.fullmatch(text):
        raise ValueError(f"{value!r} is not a media type; write application/json, text/* or application/*+json")
    return text


def media_matcher(patterns: Iterable[str]) -> Callable[[bytes], bool]:
    """A function from a Content-Type, whose parameters do not count, to whether one of ``patterns`` is its type."""
    alternatives = "|".join(re.escape(pattern).replace(r"\*", r"[^/]+") for pattern in patterns)
    matches = re.compile(alternatives.encode()).fullmatch
    return lambda value: matches(value.partition(b";")[0].strip().lower()) is not None


def is_event_stream(content_type: bytes | None) -> bool:
    """Whether an answer of this Content-Type is a stream of events, which may be silent for long and never end (HTML,
    "server-sent events")."""
    return content_type is not None and content_type.partition(b";")[0].strip().lower() == EVENT_STREAM
