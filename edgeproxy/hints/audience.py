"""Who is told hints, and of whose answers they may be learned. Pure."""

from __future__ import annotations

from typing import Final

from edgeproxy.http.headers import tokens
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange

# What tells variants apart that load the same things. Where anything else does, one visitor's links are not another's.
_SAME_LINKS: Final = frozenset((b"accept-encoding", b"available-dictionary", b"origin"))
_SHARED: Final = frozenset((b"hit", b"stored"))


def takes_hints(x: Exchange, *, http1: bool) -> bool:
    """Whether the client uses what it is told before its answer: a browser on its way to a page, which says so itself
    (Fetch Metadata), and no crawler.

    Over HTTP/1.1 only if ``http1`` says so: a client, or a proxy before it, that takes a 103 for the final answer takes
    the final one for the next request's (RFC 8297 §3). In HTTP/2 and HTTP/3 frames end an answer.
    """
    request = x.request
    headers = request.headers
    return (
        request.method == b"GET"
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest", b"document") == b"document"  # a frame's are not looked at
        and b"sec-purpose" not in headers  # a page that may never be shown
        and not x.agent
        and (request.version in (b"2", b"3") or (http1 and request.version == b"1.1"))
    )


def is_for_everybody(x: Exchange, response: Response) -> bool:
    """Whether an answer is one that the shared cache gives to whoever asks, the same to all: what it links to is then
    no secret."""
    return (
        response.status == 200
        and not _SHARED.isdisjoint(x.verdict.split(b"; "))
        and x.claims is None
        and not x.identity
        and b"authorization" not in x.request.headers
        and response.get(b"set-cookie") is None
        and tokens(response.get(b"vary")) <= _SAME_LINKS
    )
