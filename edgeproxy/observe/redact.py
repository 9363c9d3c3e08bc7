"""Takes the values of sensitive query parameters out of a URL before it is written anywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_plus

MASK = b"***"

# Exact parameter names, in lower case; compared after percent-decoding, so that %74oken hides nothing.
SENSITIVE: tuple[str, ...] = (
    "access_token",
    "api_key",
    "api-key",
    "apikey",
    "auth",
    "authorization",
    "client_secret",
    "code_verifier",
    "credential",
    "id_token",
    "jwt",
    "key",
    "pass",
    "passwd",
    "password",
    "pwd",
    "refresh_token",
    "secret",
    "session",
    "session_id",
    "sessionid",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
)

_SEPARATOR = re.compile(rb"([&;])")


def redactor(names: Iterable[str] = SENSITIVE) -> Callable[[bytes], bytes]:
    """A function from a URL, or a path with its query, to the same with the named parameters' values masked."""
    hidden = frozenset(name.lower() for name in names)

    def redact(url: bytes) -> bytes:
        head, mark, query = url.partition(b"?")
        if not mark:
            return url
        query, hash_, fragment = query.partition(b"#")
        parts = _SEPARATOR.split(query)
        for i in range(0, len(parts), 2):
            name, equals, _ = parts[i].partition(b"=")
            if equals and unquote_plus(name.decode("latin-1")).strip().lower() in hidden:
                parts[i] = name + b"=" + MASK
        return head + mark + b"".join(parts) + hash_ + fragment

    return redact
