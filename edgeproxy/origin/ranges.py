"""Which answers are fetched in parts, and whether a part is one of the same representation. Pure."""

from __future__ import annotations

from typing import Literal

from edgeproxy.config.connections import RangesConfig
from edgeproxy.http.conditional import if_range_holds
from edgeproxy.http.headers import Headers, tokens
from edgeproxy.http.message import Request, Response
from edgeproxy.http.ranges import parse_content_range

Judgement = Literal["part", "failed", "changed"]

# What a part must not be asked under: its own condition is If-Range (RFC 9110 §13.1.5).
_CONDITIONS = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range")
_COMES_AND_GOES = frozenset((408, 425, 429))  # and 5xx: says nothing of the representation


class Plan:
    """How the body of one answer is fetched: ``length`` bytes, ``size`` a part, each proven by the ``validator``."""

    __slots__ = ("_etag", "_fields", "_told", "length", "size", "validator")

    def __init__(self, length: int, size: int, validator: bytes, request: Request, response: Response) -> None:
        self.length = length
        self.size = size
        self.validator = validator
        self._etag = validator[:1] == b'"'
        self._fields = request.headers.copy()
        for name in _CONDITIONS:
            self._fields.pop(name, None)
        self._told = [(name, response.get(name)) for name in (b"content-encoding", b"etag", b"last-modified")]

    def end(self, start: int) -> int:
        """Where the part ends that begins at ``start``, exclusive."""
        return min(start + self.size, self.length)

    def headers(self, start: int, end: int) -> Headers:
        """A request's fields for the bytes from ``start`` to before ``end``."""
        return self._fields | {b"range": b"bytes=%d-%d" % (start, end - 1), b"if-range": self.validator}

    def judge(self, response: Response, start: int, end: int) -> Judgement:
        """Whether an answer holds just these bytes of the same representation, none for now, or of another.

        What a 206 tells beside must be the same; it need not tell all again (RFC 9110 §15.3.7).
        """
        status = response.status
        if status >= 500 or status in _COMES_AND_GOES:
            return "failed"
        if status != 206 or parse_content_range(response.get(b"content-range", b"") or b"") != (
            (start, end - 1),
            self.length,
        ):
            return "changed"
        if self._etag and response.get(b"etag") is None:
            return "changed"
        same = all(response.get(name) in {None, told} for name, told in self._told)
        return "part" if same else "changed"

    def __repr__(self) -> str:
        return f"<Plan {self.length} bytes by {self.size}, {self.validator!r}>"


def plan(config: RangesConfig, request: Request, response: Response) -> Plan | None:
    """How to fetch the rest of an answer whose head has come; None if not in parts.

    It must be whole (200), long, from an origin that takes ranges of bytes, and have a strong validator (RFC 9110
    §13.1.5): parts of two representations are never joined.
    """
    if request.method != b"GET" or request.body is not None or b"range" in request.headers or response.status != 200:
        return None
    if isinstance(response.body, bytes) or b"bytes" not in tokens(response.get(b"accept-ranges")):
        return None
    length = response.body.length
    if length is None or length < config.from_ or length <= config.size:
        return None
    etag, modified, made = response.get(b"etag"), response.get(b"last-modified"), response.get(b"date")
    for validator in (etag, modified):
        if validator is not None and if_range_holds(validator, etag, modified, made):
            return Plan(length, config.size, validator, request, response)
    return None
