"""The fields HPACK knows beforehand (RFC 7541 Appendix A)."""

from __future__ import annotations

from typing import Final

from edgeproxy.http.headers import usual_name

# A field a line; by number, which begins at 1.
_TEXT: Final = b"""\
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
"""


def _parse(text: bytes) -> list[tuple[bytes, bytes]]:
    fields = [(b"", b"")]
    for told in text.splitlines():
        name, _, value = told.partition(b" ")
        fields.append((usual_name(name), value))  # the objects that look-ups of fields are made with
    return fields


FIELDS: Final[list[tuple[bytes, bytes]]] = _parse(_TEXT)
SIZE: Final = len(FIELDS) - 1

NUMBERS: Final[dict[tuple[bytes, bytes], int]] = {field: number for number, field in enumerate(FIELDS) if number}
NAMES: Final[dict[bytes, int]] = {FIELDS[number][0]: number for number in range(SIZE, 0, -1)}  # the first of each name
