"""Answers that are there already: which of them a request gets, and its form for that request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from edgeproxy.http.addresses import AddressSet
from edgeproxy.http.conditional import evaluate
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange

_READING: Final = frozenset((b"GET", b"HEAD"))
_REFUSAL: Final = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}


class Answer:
    """One answer, and whom it is for.

    ``paths`` are whole paths, ``prefixes`` begin some (``/a/`` what lies in ``/a``); neither is every path. ``fields``
    all hold: True for any value, False for a field that is not there. ``past`` are the addresses it is not for.
    """

    __slots__ = ("body", "etag", "fields", "headers", "past", "paths", "prefixes", "status")

    def __init__(
        self,
        status: int,
        headers: Headers,
        *,
        paths: frozenset[bytes] = frozenset(),
        prefixes: tuple[bytes, ...] = (),
        fields: tuple[tuple[bytes, bytes | bool], ...] = (),
        past: AddressSet | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.paths = paths
        self.prefixes = prefixes
        self.fields = fields
        self.past = past
        self.body = b""
        self.etag: bytes | None = None

    def fill(self, body: bytes, etag: bytes | None) -> None:
        """Put the content in; ``etag`` None for one without."""
        self.body = body
        self.etag = etag

    def is_for(self, x: Exchange) -> bool:
        """Whether the exchange gets it."""
        request = x.request
        if (self.paths or self.prefixes) and not (request.path in self.paths or request.path.startswith(self.prefixes)):
            return False
        for name, wanted in self.fields:
            value = request.headers.get(name)
            if (value is not None) is not wanted and (value is None or value.strip() != wanted):
                return False
        return self.past is None or x.client not in self.past

    def respond(self, x: Exchange) -> Response:
        """Its form for the exchange: 304 and 412 by its conditions (RFC 9110 §13), and no content for other methods
        than GET where it has a representation's (405, RFC 9110 §15.5.6)."""
        request, headers, etag = x.request, self.headers.copy(), self.etag
        if etag is None:
            return Response(self.status, headers, self.body)
        if request.method not in _READING:
            return Response(405, _REFUSAL | {b"allow": b"GET, HEAD"}, b"405 Only GET and HEAD are answered here.\n")
        headers[b"etag"] = etag
        outcome = evaluate(request.method, request.headers, self.status, etag, None)
        if outcome == "not_modified":
            headers.pop(b"content-type", None)
            return Response(304, headers)
        if outcome == "precondition_failed":
            return Response(412, _REFUSAL.copy(), b"412 It is not what the request's conditions say.\n")
        return Response(self.status, headers, self.body)

    def __repr__(self) -> str:
        return f"<Answer {self.status} {len(self.body)} B>"


class Answers:
    """In their order: the first that is for a request counts. ``refused`` is called for each from 400 on."""

    def __init__(self, answers: Sequence[Answer], refused: Callable[[], None]) -> None:
        self._answers = tuple(answers)
        self._refused = refused

    def request(self, x: Exchange) -> Response | None:
        """The request hook."""
        for answer in self._answers:
            if answer.is_for(x):
                response = answer.respond(x)
                if response.status >= 400:
                    self._refused()
                return response
        return None
