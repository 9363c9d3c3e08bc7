"""What is settled of an answer's head before any version of HTTP writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http.dates import format_date
from edgeproxy.http.message import Request, Response

LENGTHS_KEPT: Final = 4096  # written lines of Content-Length: a look-up costs a quarter of formatting


def has_body(request: Request, status: int) -> bool:
    """Whether an answer with this status to this request has a body at all (RFC 9112 §6.3)."""
    return status >= 200 and status not in (204, 304) and request.method != b"HEAD"


def settle(response: Response, wall: Callable[[], float]) -> bytes | None:
    """Give an answer a Date if it has none (RFC 9110 §6.6.1), and take out its Content-Length, which framing writes;
    returns what that was."""
    own = response.own
    if response.shared.complete and b"content-length" not in own:
        return None
    told = response.get(b"content-length")
    response.drop(b"content-length")
    own, shared = response.own, response.shared
    if b"date" not in own and b"date" not in shared.fields:
        own[b"date"] = format_date(wall())
    return told
