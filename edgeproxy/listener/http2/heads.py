"""Response heads as HTTP/2 writes them (RFC 9113 §8.3.2): HPACK blocks that refer to nothing said before.

So the block of a stored answer's fields is made once, and serves every connection. Blocks are joined as HTTP/1.1 joins
field lines: the status, what is shared, what changes from one answer to the next, the answer's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http import pseudo
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import FieldBlock, Request, Response
from edgeproxy.http2.hpack import encode, line, packed
from edgeproxy.listener.answer_head import LENGTHS_KEPT, has_body, settle

_STATUSES: Final[list[bytes]] = [line(b":status", b"%d" % status) for status in range(1000)]
_lengths: Final[dict[int, bytes]] = {}


def whole(request: Request, response: Response, body: bytes, wall: Callable[[], float]) -> bytes:
    """The head of an answer that is all here. ``wall`` tells wall time in seconds."""
    told = settle(response, wall)
    status = response.status
    if has_body(request, status):
        length = _length(len(body))
    elif body or (told is not None and status != 204):  # what a GET would have had (RFC 9110 §8.6)
        length = line(b"content-length", told or b"%d" % len(body))
    else:
        length = b""
    return b"%b%b%b%b%b" % (
        _STATUSES[status],
        shared(response.shared),
        shared(response.stamp),
        _own(response.own),
        length,
    )


def streamed(response: Response, length: int | None, wall: Callable[[], float]) -> bytes:
    """The head of an answer whose body follows."""
    settle(response, wall)
    return encode(pseudo.response(response)) + (b"" if length is None else _length(length))


def interim(status: int, fields: Headers) -> bytes:
    """A 1xx answer before the final one (RFC 9110 §15.2)."""
    return _STATUSES[status] + encode(pseudo.section(fields))


def trailers(fields: Headers | None) -> bytes:
    """The fields behind a body, b"" if there are none."""
    return encode(pseudo.section(fields)) if fields else b""


def shared(fields: FieldBlock) -> bytes:
    """The block of fields that never change; made when it is first asked for."""
    block = fields.block
    if block is None:
        block = b"".join([packed(name, value) for name, value in pseudo.section(fields.fields)])
        fields.block = block
    return block


def _own(fields: Headers) -> bytes:
    if len(fields) == 1:  # what most hits add of their own: the request's id
        for name, value in fields.items():
            if name != b"set-cookie" and name not in pseudo.CONNECTION:
                return line(name, value)
    return encode(pseudo.section(fields)) if fields else b""


def _length(length: int) -> bytes:
    known = _lengths.get(length)
    if known is None:
        known = line(b"content-length", b"%d" % length)
        if len(_lengths) < LENGTHS_KEPT:
            _lengths[length] = known
    return known
