"""Fetches a list by URL, if it has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from edgeproxy.feeds.parse import LARGEST, FeedError
from edgeproxy.feeds.store import Kept

if TYPE_CHECKING:
    import aiohttp

TIMEOUT = 60.0  # seconds, for the whole list
_LONGEST = 256  # characters of a validator


class UnavailableError(Exception):
    """A source that gives no list; the text says why."""


class Fetched(NamedTuple):
    """A list and its validators."""

    content: bytes
    etag: str
    modified: str


async def fetch(url: str, http: Callable[[], aiohttp.ClientSession], kept: Kept) -> Fetched | None:
    """What is at ``url``; None if it is still what ``kept`` says (RFC 9110 §13.1). No redirect is followed.

    Raises UnavailableError, FeedError for one that is too large, OSError, TimeoutError and aiohttp's ClientError.
    """
    import aiohttp

    fields = {"accept": "*/*"}
    if kept.etag:
        fields["if-none-match"] = kept.etag
    if kept.modified:
        fields["if-modified-since"] = kept.modified
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with http().get(url, timeout=timeout, headers=fields, allow_redirects=False) as answer:
        if answer.status == 304 and kept.digest:
            return None
        if answer.status != 200:
            raise UnavailableError(f"it answered {answer.status}")
        content = bytearray()
        async for chunk in answer.content.iter_chunked(1 << 16):
            content += chunk
            if len(content) > LARGEST:
                raise FeedError(f"it sent more than {LARGEST // 1_000_000} MB")
        etag, modified = answer.headers.get("etag", ""), answer.headers.get("last-modified", "")
        return Fetched(bytes(content), etag[:_LONGEST], modified[:_LONGEST])
