"""Which answers are compressed, and what their fields say then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edgeproxy.http.conditional import entity_tags, is_strong
from edgeproxy.http.headers import tokens
from edgeproxy.http.media import EVENT_STREAM, is_event_stream, media_matcher
from edgeproxy.http.message import Response
from edgeproxy.http.negotiate import IDENTITY, accepted_encodings, vary_on
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

_BODILESS: Final = frozenset((204, 205, 206, 304))
_DIGESTS: Final = frozenset((b"content-digest", b"repr-digest", b"digest", b"content-md5"))
# Already coded, a part of something, or with a digest that holds for these bytes only.
_FIXED: Final = _DIGESTS | {b"content-encoding", b"content-range"}
_KEPT: Final = frozenset((b"stored", b"collapsed"))


class Choice:
    """Which coding an answer gets, by its type, its size and what the client accepts.

    ``types`` are media types as :func:`edgeproxy.http.media.media_matcher` takes them; streams of events only if they
    are named in full. ``min_size`` is in bytes.
    """

    def __init__(self, types: Iterable[str], min_size: int) -> None:
        types = tuple(types)
        matches, events = media_matcher(types), EVENT_STREAM.decode() in types
        self._compressible: Memo[bytes, bool] = Memo(
            lambda told: matches(told) and (events or not is_event_stream(told)), 512, longest=128
        )
        self._forbidden: Memo[bytes, bool] = Memo(_forbids, 512, longest=256)
        self._min_size = min_size

    def coding(self, x: Exchange, response: Response, preference: tuple[bytes, ...]) -> bytes | None:
        """The coding this answer is to have. Names Accept-Encoding in Vary if another client's might have another.

        None also for a client that accepts none of ``preference`` and refuses identity: to disregard what it says
        (RFC 9110 §12.4.1) serves it better than to refuse the answer.
        """
        content_type = response.get(b"content-type")
        if (
            content_type is None
            or not self._compressible[content_type]
            or response.status < 200
            or response.status in _BODILESS
            or not _FIXED.isdisjoint(response.own)
            or not _FIXED.isdisjoint(response.shared.fields)
        ):
            return None
        told = response.get(b"cache-control")
        if told is not None and self._forbidden[told]:
            return None
        trailer = response.get(b"trailer")
        if trailer is not None and not _DIGESTS.isdisjoint(tokens(trailer)):
            return None
        size = _size(x, response)
        if size is not None and size < self._min_size:
            return None
        vary_on(response, b"accept-encoding")
        coding = next(iter(accepted_encodings(x.request.headers.get(b"accept-encoding"), preference)), IDENTITY)
        return None if coding == IDENTITY else coding


def label(response: Response, coding: bytes) -> None:
    """The fields of a compressed answer: its bytes are others than the origin's, so its tag is a weak one."""
    response.set(b"content-encoding", coding)
    response.drop(b"content-length")
    etag = response.get(b"etag")
    if etag is not None and is_strong(etag):
        response.set(b"etag", b"W/" + etag)


def weaken_validated(x: Exchange, response: Response) -> None:
    """A 304 bears the tag its 200 would have (RFC 9110 §15.4.5): the client was given the weak form here."""
    etag, wanted = response.get(b"etag"), x.request.headers.get(b"if-none-match")
    if etag is not None and wanted is not None and is_strong(etag) and b"W/" + etag in entity_tags(wanted):
        response.set(b"etag", b"W/" + etag)
        vary_on(response, b"accept-encoding")


def is_kept(verdict: bytes) -> bool:
    """Whether the cache keeps this answer, or had it (Cache-Status parameters, RFC 9211 §2)."""
    if verdict.find(b";") < 0:
        return verdict.startswith(b"hit")
    return verdict.startswith(b"hit") or not _KEPT.isdisjoint([part.strip() for part in verdict.split(b";")])


def _forbids(cache_control: bytes) -> bool:
    return b"no-transform" in tokens(cache_control)  # RFC 9110 §7.7


def _size(x: Exchange, response: Response) -> int | None:
    """The body's length in bytes, for HEAD the one GET would have; None if nobody knows."""
    if x.request.method == b"HEAD":
        declared = response.get(b"content-length", b"")
        return int(declared) if declared and declared.isdigit() else None
    body = response.body
    return len(body) if isinstance(body, bytes) else body.length
