"""The picture a variant is made of: how it is asked for, whether anything may be made of it, and its bytes."""

from __future__ import annotations

from typing import Final

from edgeproxy.http.body import Body, Continued
from edgeproxy.http.headers import Headers, tokens
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.sources import source_fields

# The types that are looked at; what is written on another file is believed.
SOURCE_TYPES: Final = frozenset(
    (
        *(b"image/jpeg", b"image/jpg", b"image/pjpeg", b"image/png", b"image/apng", b"image/webp", b"image/avif"),
        b"image/gif",
    )
)

# Fields whose bearer may be answered otherwise than nobody is.
_PERSONAL: Final = frozenset((b"cookie", b"authorization"))


def original_request(request: Request) -> Request:
    """A request for the picture itself, in nobody's name."""
    fields = source_fields(request)
    return Request(
        b"GET",
        request.target,
        fields,
        request.scheme,
        request.authority,
        request.host,
        request.path,
        request.query,
        request.version,
    )


def unfit(source: Response, largest: int) -> str:
    """Why nothing is to be made of an answer, as its fields tell; "" if they tell nothing of the kind."""
    told = source.get(b"content-type", b"") or b""
    if b"no-transform" in tokens(source.get(b"cache-control")):  # RFC 9110 §7.7
        return "no-transform"
    if told.partition(b";")[0].strip().lower() not in SOURCE_TYPES:
        return "format"
    if source.get(b"content-encoding") is not None or source.filters is not None:
        return "format"
    length = len(source.body) if isinstance(source.body, bytes) else source.body.length
    return "bytes" if length is not None and length > largest else ""


async def read(body: bytes | Body, largest: int) -> bytes | Body:
    """All of a body; if that is over ``largest`` bytes, a body that begins with what was read. Raises EdgeError."""
    if isinstance(body, bytes):
        return body
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := await body.read():
            chunks.append(chunk)
            size += len(chunk)
            if size > largest:
                return Continued(b"".join(chunks), body)
    except BaseException:
        body.close()
        raise
    body.close()
    return b"".join(chunks)


def is_personal(source: Response, headers: Headers) -> bool:
    """Whether the client may be given something else than nobody was."""
    if source.status in {401, 403} or b"private" in tokens(source.get(b"cache-control")):
        return True
    return not (_PERSONAL & tokens(source.get(b"vary"))).isdisjoint(headers)


def close(response: Response) -> None:
    """Nobody will read its body."""
    if not isinstance(response.body, bytes):
        response.body.close()
