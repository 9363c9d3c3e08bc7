"""Which answers may be made smaller without a change in what they mean. Pure."""

from __future__ import annotations

import re
from typing import Final

from edgeproxy.http.headers import tokens
from edgeproxy.http.message import Response

# Media types of the texts, by what they are called in configuration.
TYPES: Final[dict[str, tuple[bytes, ...]]] = {
    "html": (b"text/html",),
    "css": (b"text/css",),
    "js": (b"text/javascript", b"application/javascript", b"application/x-javascript"),
    "svg": (b"image/svg+xml",),
    "json": (b"application/json", b"application/ld+json", b"application/manifest+json", b"application/geo+json"),
}
# What stands in bytes below 0x80 is ASCII in these, and in no others for sure.
_CHARSETS: Final = frozenset((b"utf-8", b"utf8", b"us-ascii"))
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9a-z-]+"
_ESSENCE: Final = re.compile(rb"[ \t]*(%b/%b)[ \t]*" % (_TOKEN, _TOKEN))
# RFC 9110 §5.6.6
_PARAMETER: Final = re.compile(rb';[ \t]*(?:(%b)=(?:(%b)|"((?:[^"\\]|\\.)*)")[ \t]*)?' % (_TOKEN, _TOKEN))

_BODILESS: Final = frozenset((204, 205, 206, 304))
_DIGESTS: Final = frozenset((b"content-digest", b"repr-digest", b"digest", b"content-md5"))
# Coded already, a part of something, or with a digest or a map that holds for these bytes only.
_FIXED: Final = (b"content-encoding", b"content-range", b"sourcemap", b"x-sourcemap", *sorted(_DIGESTS))

# A text in which one of these stands is left alone.
_MAP: Final = rb"[#@][ \t]*sourceMappingURL="  # it tells lines and columns of these bytes
_LICENCE: Final = rb"@(?:license|preserve|cc_on)\b"  # only comments that begin with /*! stay
_CONTROLS: Final = rb"[\x00\x1b]"  # no text, or ISO-2022
_HASH: Final = rb"'sha(?:256|384|512)-"  # a policy that names inline scripts and styles by their bytes (CSP3 §2.3.1)
_LEFT_ALONE: Final = {
    "html": re.compile(b"|".join((_CONTROLS, _MAP, _LICENCE, _HASH, rb"xml:space"))),
    "css": re.compile(b"|".join((_CONTROLS, _MAP, _LICENCE))),
    "js": re.compile(b"|".join((_CONTROLS, _MAP, _LICENCE))),
    "svg": re.compile(b"|".join((_CONTROLS, rb"xml:space", rb"white-space"))),
    "json": re.compile(_CONTROLS),
}
_POLICIES: Final = (b"content-security-policy", b"content-security-policy-report-only")
_HASHED: Final = (b"'sha256-", b"'sha384-", b"'sha512-")


def kind_of(content_type: bytes, kinds: frozenset[str]) -> str:
    """Which of ``kinds`` a Content-Type is; "" for none of them, and for one in another encoding than UTF-8."""
    value = content_type.lower()
    match = _ESSENCE.match(value)
    if match is None:
        return ""
    at = match.end()
    while at < len(value):
        parameter = _PARAMETER.match(value, at)
        if parameter is None or (parameter[1] == b"charset" and (parameter[2] or parameter[3]) not in _CHARSETS):
            return ""
        at = parameter.end()
    return next((kind for kind in sorted(kinds) if match[1] in TYPES[kind]), "")


def may_change(response: Response, kind: str) -> bool:
    """Whether what is said of an answer of this kind allows for another body."""
    if response.status < 200 or response.status in _BODILESS:
        return False
    if any(response.get(name) is not None for name in _FIXED):
        return False
    if b"no-transform" in tokens(response.get(b"cache-control")):  # RFC 9110 §7.7
        return False
    if not _DIGESTS.isdisjoint(tokens(response.get(b"trailer"))):
        return False
    return kind != "html" or not any(names_hashes(response.get(name)) for name in _POLICIES)


def is_plain(text: bytes, kind: str) -> bool:
    """Whether nothing in a text depends on its very bytes, as far as can be told, and it is UTF-8."""
    if _LEFT_ALONE[kind].search(text):
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def names_hashes(policy: bytes | None) -> bool:
    """Whether a Content-Security-Policy names inline scripts or styles by their bytes (CSP3 §2.3.1)."""
    return policy is not None and any(source.startswith(_HASHED) for source in re.split(rb"[\s;,]+", policy.lower()))
