"""What a purge names and what it matches, and which purges were lately.

A purge is a value. Whoever keeps answers asks :class:`PurgeLog` before it stores one: what was being fetched when a
purge came may be what the purge was about, and is not stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Literal, NamedTuple, get_args

from edgeproxy.cache import key as cache_key
from edgeproxy.cache.tags import LONGEST as LONGEST_TAG
from edgeproxy.errors import EdgeError
from edgeproxy.http.target import parse_authority

Kind = Literal["url", "prefix", "host", "tag", "all"]
KINDS: tuple[Kind, ...] = get_args(Kind)

REMEMBERED = 600.0  # seconds a purge is remembered: longer than a fetch may take by default
LIMIT = 10_000  # purges remembered; past that, what was fetched before the oldest is not stored
LONGEST = 8_192  # bytes of what a purge names


class Purge(NamedTuple):
    """``value`` is what it names, normalised as keys are: a URL, the beginning of URLs, a host without its port, a tag,
    b"" for everything. ``soft``: what matches is marked stale instead of forgotten. ``at`` is the wall time in seconds
    at which this node heard of it; other nodes' clocks do not matter.
    """

    kind: Kind
    value: bytes
    soft: bool
    at: float

    def matches(self, key: bytes, tags: Collection[bytes]) -> bool:
        """Whether it is about the answer with this key, in whatever partition and variant, and these tags."""
        kind, value = self.kind, self.value
        if kind == "tag":
            return value in tags
        if kind == "url":
            return key.startswith(value) and (len(key) == len(value) or key[len(value)] == 0x23)  # "#": a partition
        return key.startswith(self.beginnings())

    def beginnings(self) -> tuple[bytes, ...]:
        """What the keys it is about begin with; for a URL these are a few too many, and a tag is about other keys."""
        if self.kind == "host":
            return tuple(
                [b"%b://%b%b" % (scheme, self.value, end) for scheme in (b"http", b"https") for end in (b"/", b":")]
            )
        return (self.value,)

    def to_json(self) -> dict[str, Any]:
        """As it travels to other processes and nodes; each notes its own time."""
        return {"kind": self.kind, "value": self.value.decode("latin-1"), "soft": self.soft}

    def __str__(self) -> str:
        named = self.value.decode("latin-1")
        return f"{'soft ' if self.soft else ''}{self.kind}{' ' + named if named else ''}"


def named(kind: str, value: str, at: float, *, soft: bool = False) -> Purge:
    """The purge an operator asks for. Raises ValueError with what is wrong."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of purge; there are {', '.join(KINDS)}")
    if len(value) > LONGEST:
        raise ValueError(f"a purge names at most {LONGEST} characters")
    return Purge(kind, _NORMAL[kind](value), soft, at)


def from_json(message: dict[str, Any], at: float) -> Purge:
    """What another process or node sent. Raises ValueError, KeyError or TypeError for what is none."""
    kind, value, soft = message["kind"], message["value"], message["soft"]
    if kind not in KINDS or not isinstance(soft, bool) or not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError("no purge")
    return Purge(kind, value.encode("latin-1"), soft, at)


def _host(value: str) -> bytes:
    try:
        parsed = parse_authority(value.encode("idna" if not value.isascii() else "ascii"), b"http")
    except (EdgeError, UnicodeError):
        raise ValueError(f"{value!r} is no host; write it like www.example.com") from None
    if not parsed.host or parsed.authority != parsed.host:
        raise ValueError(f"{value!r} names a port; a host is purged on all its ports: {parsed.host.decode()}")
    return parsed.host


def _tag(value: str) -> bytes:
    tag = value.encode("utf-8")
    if not tag or len(tag) > LONGEST_TAG or any(byte <= 0x20 or byte in {0x2C, 0x7F} for byte in tag):
        raise ValueError(f"{value!r} is no tag: 1 to {LONGEST_TAG} bytes without blanks and commas")
    return tag


def _everything(value: str) -> bytes:
    if value:
        raise ValueError("a purge of everything names nothing")
    return b""


_NORMAL: dict[str, Callable[[str], bytes]] = {
    "url": cache_key.of_url,
    "prefix": cache_key.of_url,
    "host": _host,
    "tag": _tag,
    "all": _everything,
}


class PurgeLog:
    """The purges of the last ten minutes, the oldest first, bounded in number."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._purges: deque[Purge] = deque()
        self._known_since = 0.0  # wall time; what was purged before that is forgotten here

    def add(self, purge: Purge) -> None:
        """Remember one; a log is told of purges in the order in which they are heard."""
        self._purges.append(purge)
        while len(self._purges) > LIMIT or self._purges[0].at < purge.at - REMEMBERED:
            self._known_since = max(self._known_since, self._purges.popleft().at)

    def allows(self, key: bytes, tags: Collection[bytes], began: float) -> bool:
        """Whether what a fetch brought that began at this wall time may be stored: no purge of it came since."""
        if began <= self._known_since <= self._wall():  # in the future it would be a clock that was put back
            return False
        return not self.purged(key, tags, began)

    def purged(self, key: bytes, tags: Collection[bytes], began: float, *, softly: bool = True) -> bool:
        """Whether one that is remembered, and was heard at this wall time or later, is about it; ``softly``: a soft one
        counts too."""
        for purge in reversed(self._purges):
            if purge.at < began:
                return False
            if (softly or not purge.soft) and purge.matches(key, tags):
                return True
        return False

    def since(self, at: float) -> list[Purge]:
        """Those heard at this wall time or later, the oldest first."""
        return [purge for purge in self._purges if purge.at >= at]

    def __repr__(self) -> str:
        return f"<PurgeLog {len(self._purges)}>"
