"""Pages in place of errors: which answers get one, in which form, and what then still holds of their fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Final

from edgeproxy.http.headers import members
from edgeproxy.http.message import Response
from edgeproxy.http.negotiate import normalize_weights, vary_on
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

HTML: Final = 3
JSON: Final = 2
TEXT: Final = 1

# Between equal weights the higher form; who names none of these gets text.
_FORMS: Final[dict[bytes, int]] = {
    b"text/html": HTML,
    b"application/xhtml+xml": HTML,
    b"text/*": HTML,
    b"application/problem+json": JSON,
    b"application/json": JSON,
    b"text/plain": TEXT,
}
_TYPES: Final[dict[int, bytes]] = {
    HTML: b"text/html; charset=utf-8",
    JSON: b"application/problem+json",  # RFC 9457
    TEXT: b"text/plain; charset=utf-8",
}
# What told of the body that was there.
_OF_THE_BODY: Final[frozenset[bytes]] = frozenset(
    (
        *(b"content-length", b"content-type", b"content-encoding", b"content-language", b"content-location"),
        *(b"content-range", b"content-md5", b"content-digest", b"repr-digest", b"digest", b"accept-ranges"),
        *(b"etag", b"last-modified", b"content-disposition", b"trailer"),
    )
)
_SLOT: Final = re.compile(r"\{(status|reason|request\.id)\}")
_REASONS: Final[dict[int, str]] = {status.value: status.phrase for status in HTTPStatus}


def form(accept: bytes) -> int:
    """The form for an Accept field (RFC 9110 §12.5.1): of those it names, the one it likes best."""
    best, liked = TEXT, 0.0
    for member in members(normalize_weights(accept)):
        name, _, told = member.partition(b";q=")
        found = _FORMS.get(name)
        if found is None:
            continue
        try:
            weight = float(told) if told else 1.0
        except ValueError:
            continue
        if weight > liked or (weight == liked > 0 and found > best):
            best, liked = found, weight
    return best


class Page:
    """HTML with slots: ``{status}``, ``{reason}``, ``{request.id}``. All other braces are as they are."""

    __slots__ = ("_slots", "_texts")

    def __init__(self, html: str = "") -> None:
        self._texts: list[bytes] = []
        self._slots: list[str] = []
        self.fill(html)

    def fill(self, html: str) -> None:
        """Take this text from now on."""
        pieces = _SLOT.split(html)
        self._texts = [piece.encode() for piece in pieces[::2]]
        self._slots = pieces[1::2]

    def render(self, values: Mapping[str, bytes]) -> bytes:
        """The page with ``values``, which are text, in its slots."""
        parts = [self._texts[0]]
        for slot, text in zip(self._slots, self._texts[1:], strict=True):
            parts += (escape(values[slot].decode("latin-1")).encode(), text)
        return b"".join(parts)


class ErrorPages:
    """``pages`` by status. ``origin``: origins' answers get one too."""

    def __init__(self, pages: Mapping[int, Page], *, origin: bool) -> None:
        self._pages = dict(pages)
        self._origin = origin
        self._forms: Memo[bytes, int] = Memo(form, 1024, longest=256)

    def response(self, x: Exchange, response: Response) -> None:
        """The response hook: this copy's body, and the fields that told of the one before."""
        status = response.status
        if status < 400:
            return
        page = self._pages.get(status)
        if page is None:
            return
        own = _is_own(x, response)
        if not (own or (self._origin and (x.endpoint or x.verdict))):
            return
        chosen = self._forms[x.request.headers.get(b"accept", b"")]
        if own and chosen == TEXT:
            vary_on(response, b"accept")
            return
        body = response.body
        if not isinstance(body, bytes):
            body.close()
        headers = {name: value for name, value in response.headers().items() if name not in _OF_THE_BODY}
        headers[b"content-type"] = _TYPES[chosen]
        response.replace(headers)
        response.filters = None
        response.body = _content(chosen, page, status, x.id)
        vary_on(response, b"accept")


def _is_own(x: Exchange, response: Response) -> bool:
    """Whether an answer is an error or a refusal of the edge's own. What a stage has made for people or programs to
    read, a challenge or an API's answer, is not: refusals are one sentence behind their status."""
    if x.error:
        return True
    body = response.body
    return (
        not x.endpoint
        and not x.verdict
        and isinstance(body, bytes)
        and response.get(b"content-type") == _TYPES[TEXT]
        and body.startswith(b"%d " % response.status)
    )


def _content(chosen: int, page: Page, status: int, reference: bytes) -> bytes:
    reason = _REASONS.get(status, "")
    if chosen == HTML:
        return page.render({"status": b"%d" % status, "reason": reason.encode(), "request.id": reference})
    if chosen == TEXT:
        return f"{status} {reason}".strip().encode() + b"\n"
    told = {"title": reason, "status": status}
    if reference:
        told["request_id"] = reference.decode("latin-1")
    return json.dumps(told).encode() + b"\n"
