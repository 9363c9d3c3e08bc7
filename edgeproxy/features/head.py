"""A request's head as numbers, ``head/1``: what its agent says, which fields there are and in which order, and whether
they fit together.

The words of the agent are hashed into WORDS places; the other numbers stand in NAMES. No value of a field that says who
somebody is goes in.
"""

from __future__ import annotations

import re
from array import array
from typing import Final
from zlib import crc32

import numpy as np

from edgeproxy.http.message import Request
from edgeproxy.pipeline.memo import Memo
from edgeproxy.tensors import Array

WORDS: Final = 128
_LONGEST: Final = 512  # bytes of the agent that are looked at
_MOST: Final = 64  # words of it

# Whether there is a field of this name.
_FIELDS: Final = (
    *(b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"authorization", b"cache-control"),
    *(b"connection", b"cookie", b"dnt", b"from", b"if-modified-since", b"if-none-match", b"origin", b"pragma"),
    *(b"priority", b"range", b"referer", b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"sec-fetch-dest"),
    *(b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user", b"sec-gpc", b"te", b"upgrade-insecure-requests", b"via"),
)
_FACTS: Final = (
    *("agent: length", "agent: words", "agent: Mozilla/5.0", "agent: Chrome", "agent: Firefox", "agent: Safari alone"),
    *("Chrome without client hints", "client hints of another", "client hints of another version"),
    *("a browser without sec-fetch", "sec-fetch of nobody", "accept: everything", "accept: pages"),
    *("encodings: br", "encodings: zstd", "fields", "place of the agent", "place of accept", "host first", "HTTP/1.0"),
    *("agent before accept", "language before encoding"),
)
NAMES: Final = (
    *(f"word {place}" for place in range(WORDS)),
    *(f"has {name.decode()}" for name in _FIELDS),
    *_FACTS,
)
LENGTH: Final = len(NAMES)

_EMPTY: Final = bytes(4 * LENGTH)
_WORD: Final = re.compile(rb"[a-z]{2,32}|[0-9]+")
_CHROME: Final = re.compile(rb"chrom(?:e|ium)/(\d{1,4})")
_HINTED: Final = re.compile(rb'"(?:chromium|google chrome)";v="(\d{1,4})')


class _Agent:
    """What an agent says, worked out once: places of its words, and which browser's it is."""

    __slots__ = ("chrome", "firefox", "mozilla", "number", "places", "safari", "size")

    def __init__(self, agent: bytes) -> None:
        words = _WORD.findall(agent[:_LONGEST].lower())[:_MOST]
        # Of a number, how long it is: versions grow.
        self.places = [crc32(word if word[0] > 0x39 else b"#%d" % len(word)) % WORDS for word in words]
        self.number = len(words)
        self.size = len(agent)
        low = agent[:_LONGEST].lower()
        found = _CHROME.search(low)
        self.chrome = b"" if found is None else found[1]
        self.mozilla = low.startswith(b"mozilla/5.0")
        self.firefox = b"firefox/" in low
        self.safari = b"safari/" in low and not self.chrome


_agents: Final[Memo[bytes, _Agent]] = Memo(_Agent, 2_048, longest=_LONGEST)


def vector(request: Request) -> Array:
    """LENGTH numbers, float32, each 0 to about 1."""
    headers = request.headers
    agent = _agents[headers.get(b"user-agent", b"")]
    numbers = array("f", _EMPTY)
    for place in agent.places:
        numbers[place] += 0.25
    for place, name in enumerate(_FIELDS, WORDS):
        if name in headers:
            numbers[place] = 1.0
    for place, value in enumerate(_facts(request, agent), WORDS + len(_FIELDS)):
        numbers[place] = value
    return np.frombuffer(numbers, np.float32)


def _facts(request: Request, agent: _Agent) -> tuple[float, ...]:
    """The numbers of _FACTS, in their order."""
    headers = request.headers
    hints, accept = headers.get(b"sec-ch-ua"), headers.get(b"accept", b"")
    encodings = headers.get(b"accept-encoding", b"")
    hinted = None if hints is None else _HINTED.search(hints.lower())
    order = list(headers)
    count = len(order) or 1
    at = {name: place for place, name in enumerate(order)}
    fetched = b"sec-fetch-site" in headers
    browser = bool(agent.chrome) or agent.firefox or agent.safari
    here, there = at.get(b"user-agent", count), at.get(b"accept", count)
    return (
        min(1.0, agent.size / 256),
        agent.number / _MOST,
        float(agent.mozilla),
        float(bool(agent.chrome)),
        float(agent.firefox),
        float(agent.safari),
        float(bool(agent.chrome) and hints is None),
        float(hints is not None and not agent.chrome),
        float(bool(agent.chrome) and hinted is not None and hinted[1] != agent.chrome),
        float(browser and not fetched),
        float(fetched and not browser),
        float(accept == b"*/*"),
        float(b"text/html" in accept),
        float(b"br" in encodings),
        float(b"zstd" in encodings),
        min(1.0, count / 32),
        here / count,
        there / count,
        float(bool(order) and order[0] == b"host"),
        float(request.version == b"1.0"),
        float(here < there),
        float(at.get(b"accept-language", count) < at.get(b"accept-encoding", count)),
    )
