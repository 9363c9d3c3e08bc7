"""Paths whose name says what they hold, and whether an answer is that: the guard against web cache deception.

``/account/x.css`` is a private page for an origin that ignores what follows ``/account``. A stylesheet it is not, and
its Content-Type says so.
"""

from __future__ import annotations

import re

from edgeproxy.http.headers import Headers
from edgeproxy.http.media import media_matcher

_AUDIO_VIDEO = ("audio/*", "video/*", "application/ogg", "application/mp4")
_FONT = ("font/*", "application/font-*", "application/x-font-*", "application/vnd.ms-fontobject")
_PACKED = ("application/zip", "application/gzip", "application/zstd", "application/x-*", "application/vnd.rar")
_SCRIPT = ("text/javascript", "application/javascript", "application/x-javascript", "application/ecmascript")
_XML = ("text/xml", "application/xml", "application/rss+xml", "application/atom+xml")

# Extensions of what sites serve to everybody alike, and the types it comes as.
_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("css", ("text/css",)),
    ("js mjs cjs", _SCRIPT),
    ("map", ("application/json", "text/plain", *_SCRIPT)),
    ("wasm", ("application/wasm",)),
    ("avif bmp cur gif heic heif ico jpeg jpg jxl png svg svgz tif tiff webp", ("image/*",)),
    ("eot otf ttf woff woff2", _FONT),
    ("aac flac m4a m4v mid mkv mov mp3 mp4 mpeg mpg oga ogg ogv opus wav weba webm", _AUDIO_VIDEO),
    ("7z bz2 gz jar rar tar tgz xz zip zst", _PACKED),
    ("pdf", ("application/pdf",)),
    ("csv", ("text/csv", "text/plain", "application/csv")),
    ("txt", ("text/plain",)),
    ("rss xml", _XML),
    ("webmanifest", ("application/manifest+json", "application/json")),
)
# What servers say of files they do not know; text/plain is nginx's own default. Pages and data are neither.
_UNKNOWN = ("application/octet-stream", "binary/octet-stream", "text/plain")
_IS = {
    extension.encode(): media_matcher((*types, *_UNKNOWN))
    for extensions, types in _KINDS
    for extension in extensions.split()
}
_EXTENSION = re.compile(rb"\.([A-Za-z0-9]{1,12})\Z")

# What one server takes for a separator or the end of a path, and another for a part of a name.
_TWO_WAYS = re.compile(rb"//|[;\\]|%(?:2F|5C|3B|3F|23|[01][0-9A-F]|7F)")

# A name with a digest of the content in it: app.3f2a91bc.js. Hexadecimal with a letter, so that no date is one.
HASHED = r"[./_-](?=[0-9a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,64}\.[A-Za-z0-9.]{1,20}$"


def agrees(path: bytes, fields: Headers) -> bool | None:
    """Whether an answer is what its path's extension says; None if the extension is none of something static.

    ``path`` is the decoded one, but for %2F.
    """
    extension = _EXTENSION.search(path)
    fits = None if extension is None else _IS.get(extension[1].lower())
    return None if fits is None else fits(fields.get(b"content-type", b""))


def reads_two_ways(target: bytes) -> bool:
    """Whether servers may disagree about which resource a target's path names."""
    return _TWO_WAYS.search(target.partition(b"?")[0]) is not None
