"""``request/1``: what a request asks for as numbers, the same from a request and from a line of an access log.

The shape of the path and of the query, the method, and whether agent and referrer are given. Values of parameters that
logs mask are left out on both sides. What only an answer has, its status, size and time, is no part of it: a model is
asked before there is one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from edgeproxy.http.message import Request
from edgeproxy.observe.redact import MASK, SENSITIVE

if TYPE_CHECKING:
    from edgeproxy.features.log import Record

NAMES: Final = (
    *("method: GET or HEAD", "method: POST", "method: PUT, PATCH or DELETE", "method: another"),
    *("path: 16ths of segments", "path: 128ths of bytes", "path: 64ths of bytes in the longest segment"),
    *("path: share of digits", "path: share of capitals", "path: share of what is no letter, digit or dash"),
    *("path: 8ths of escapes", "path: a hidden file", "path: a script", "path: dots or slashes in a row"),
    *("path: its first segment, hashed", "path: its ending, hashed"),
    *("query: 16ths of parameters", "query: 256ths of bytes", "query: 128ths of bytes in the longest value"),
    *("query: share of what is no letter, digit or dash", "query: 8ths of escapes", "query: brackets or quotes"),
    *("query: a URL or a path", "HTTP/1.0", "has a referrer", "has an agent", "agent: 256ths of bytes"),
)
LENGTH: Final = len(NAMES)

_LONGEST: Final = 1024  # bytes of a target that are looked at; logs cut longer ones
_MOST: Final = 32  # parameters that are looked at
_METHODS: Final = {
    **dict.fromkeys((b"GET", b"HEAD"), (1.0, 0.0, 0.0, 0.0)),
    **dict.fromkeys((b"POST",), (0.0, 1.0, 0.0, 0.0)),
    **dict.fromkeys((b"PUT", b"PATCH", b"DELETE"), (0.0, 0.0, 1.0, 0.0)),
}
_ANOTHER: Final = (0.0, 0.0, 0.0, 1.0)
_ESCAPE: Final = re.compile(rb"%[0-9A-Fa-f]{2}")
_PLAIN: Final = re.compile(rb"[A-Za-z0-9_\-]+")
_SCRIPT: Final = re.compile(rb"\.(?:php[0-9]?|aspx?|jsp|cgi|pl|exe|sh|bak|old|sql|ini|env)$", re.IGNORECASE)
_ROW: Final = re.compile(rb"\.\.|//|\\")
_BRACKETS: Final = re.compile(rb"[<>'\"(){}\[\]`]|%(?:22|27|28|29|3[ce]|5[bd]|60|7[bd])", re.IGNORECASE)
_ADDRESS: Final = re.compile(rb"(?:/|%2f)(?:/|%2f)|\.\.|etc(?:/|%2f)", re.IGNORECASE)
_MASKED: Final = frozenset(name.encode() for name in SENSITIVE)

_Numbers = npt.NDArray[np.float32]


def vector(request: Request) -> _Numbers:
    """float32[LENGTH], by NAMES; each 0 to 1."""
    headers = request.headers
    agent = len(headers.get(b"user-agent", b""))
    return _vector(request.method, request.target, request.version, b"referer" in headers, agent)


def of_record(record: Record) -> _Numbers:
    """The same from a log's line."""
    target, method, version = (text.encode() for text in (record.target, record.method, record.version))
    return _vector(method, target, version, bool(record.referer), len(record.user_agent.encode()))


def _vector(method: bytes, target: bytes, version: bytes, referred: bool, agent: int) -> _Numbers:
    path, _, query = target[:_LONGEST].partition(b"?")
    return np.array(
        (
            *_METHODS.get(method, _ANOTHER),
            *_path(path),
            *(_query(query) if query else _NO_QUERY),
            float(version == b"1.0"),
            float(referred),
            float(agent > 0),
            min(1.0, agent / 256),
        ),
        np.float32,
    )


def _path(path: bytes) -> tuple[float, ...]:
    segments = path.split(b"/")[1:]
    last = segments[-1] if segments else b""
    stem, dot, ending = last.rpartition(b".")
    plain = b"".join(_PLAIN.findall(path))
    size = len(path) or 1
    return (
        min(1.0, len(segments) / 16),
        min(1.0, len(path) / 128),
        min(1.0, max([len(segment) for segment in segments], default=0) / 64),
        sum([0x30 <= byte <= 0x39 for byte in path]) / size,
        sum([0x41 <= byte <= 0x5A for byte in path]) / size,
        (len(path) - len(plain) - path.count(b"/") - path.count(b".")) / size,
        min(1.0, len(_ESCAPE.findall(path)) / 8),
        float(b"." in [segment[:1] for segment in segments]),
        float(_SCRIPT.search(path) is not None),
        float(_ROW.search(path) is not None),
        _hashed(segments[0]) if segments else 0.0,
        _hashed(ending) if dot and stem else 0.0,
    )


_NO_QUERY: Final = (0.0,) * 7


def _query(query: bytes) -> tuple[float, ...]:
    """Of a query whose masked values are left out."""
    longest = 0
    kept: list[bytes] = []
    for part in query.split(b"&", _MOST)[:_MOST]:
        name, _, value = part.partition(b"=")
        if value == MASK or name.lower() in _MASKED:
            kept.append(name)
        else:
            kept.append(part)
            longest = max(longest, len(value))
    said = b"&".join(kept)
    size = len(said) or 1
    escapes = len(_ESCAPE.findall(said))
    odd = size - len(b"".join(_PLAIN.findall(said))) - said.count(b"&") - said.count(b"=")
    return (
        min(1.0, len(kept) / 16),
        min(1.0, len(said) / 256),
        min(1.0, longest / 128),
        max(0.0, odd / size),
        min(1.0, escapes / 8),
        float(_BRACKETS.search(said) is not None),
        float(_ADDRESS.search(said) is not None),
    )


def _hashed(word: bytes) -> float:
    """Somewhere from 0.1 to 1, the same for the same word: what was never seen is likely to lie apart."""
    return 0.1 + 0.9 * (crc32(word) / 0xFFFFFFFF)
