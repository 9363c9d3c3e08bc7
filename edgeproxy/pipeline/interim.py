"""Interim answers on their way to a client (RFC 9110 §15.2): which pass, with which fields, and how many.

They come from the origin, or from a stage that knows what the final answer will need. Whoever sends them, each exchange
has one way for them, which sees to it that none is told twice and none comes behind the final answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http.headers import Headers
from edgeproxy.http.links import parse_links
from edgeproxy.pipeline.exchange import Exchange

EARLY_HINTS: Final = 103  # RFC 8297
MOST: Final = 32  # of one exchange; a 102 or 104 may come every few seconds

# What a browser goes by before the final answer is here: links, and what it may load them under (HTML, "process early
# hint headers"). Whatever else an origin puts into a 103 belongs to the final answer alone (RFC 8297 §2).
HINTED: Final = (
    b"content-security-policy",
    b"cross-origin-embedder-policy",
    b"integrity-policy",
    b"link",
    b"referrer-policy",
)

Write = Callable[[Exchange, int, Headers], None]


class Interims:
    """The way of one exchange's interim answers; ``write`` is its listener's."""

    __slots__ = ("_hinted", "_left", "_write", "_x")

    def __init__(self, x: Exchange, write: Write) -> None:
        self._x = x
        self._write: Write = write
        self._left = MOST
        self._hinted: set[bytes] | None = None

    def pass_on(self, status: int, fields: Headers) -> None:
        """Send one on, unless it is none, says nothing new, comes too late, or is one too many. 100 answers an Expect,
        which is the listener's, and 101 is a final answer (RFC 9110 §7.8)."""
        if not 101 < status < 200 or not self._left or self._x.response is not None:
            return
        if status == EARLY_HINTS:
            fields = self._news(fields)
            if not fields:
                return
        self._left -= 1
        self._write(self._x, status, fields)

    def _news(self, fields: Headers) -> Headers:
        """The links that were not told before, and what they are to be loaded under; nothing if there are none."""
        told = self._hinted = self._hinted or set()
        links = [link.text for link in parse_links(fields.get(b"link", b"")) if link.text not in told]
        if not links:
            return {}
        told.update(links)
        news: Headers = {name: fields[name] for name in HINTED if name in fields}
        news[b"link"] = b", ".join(dict.fromkeys(links))
        return news

    def __repr__(self) -> str:
        return f"<Interims {MOST - self._left} told>"
