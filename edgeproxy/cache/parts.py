"""Bodies of which only parts are here (RFC 9111 §3.3, §3.4).

A Range request that misses is sent on as it is: the whole may be a film of which a minute is watched, and fetching it
for a few bytes is a way to attack an origin. Its answer is kept as a part, and the parts of one representation grow
together until they are the whole.
"""

from __future__ import annotations

from typing import Final

from edgeproxy.http import ranges
from edgeproxy.http.headers import Headers
from edgeproxy.http.ranges import Range

MOST: Final = 256  # pieces; a part that would be one more takes the place of them all
LARGEST: Final = 4 * 1024 * 1024  # bytes of a part that is kept: it is held beside the cache until it is all here


class Parts:
    """Pieces of a body of ``length`` bytes, in order, never overlapping. ``size`` is what they have together."""

    __slots__ = ("length", "pieces", "size")

    def __init__(self, length: int) -> None:
        self.length = length
        self.size = 0
        self.pieces: list[tuple[int, bytes]] = []

    def add(self, first: int, data: bytes) -> None:
        """Take a piece that begins at ``first``, as far as it is not here yet."""
        end, position = first + len(data), first
        new: list[tuple[int, bytes]] = []
        for at, piece in self.pieces:
            if at >= end:
                break
            if at > position:
                new.append((position, data[position - first : at - first]))
            position = max(position, at + len(piece))
        if position < end:
            new.append((position, data[position - first :]))
        self.pieces = [(first, data)] if len(self.pieces) + len(new) > MOST else sorted(self.pieces + new)
        self.size = sum([len(piece) for _, piece in self.pieces])

    def get(self, part: Range) -> bytes | None:
        """The bytes from the first to the last position, both inclusive; None if they are not all here."""
        position, last = part
        found: list[bytes] = []
        for at, piece in self.pieces:
            if at > position:
                break
            if at + len(piece) > position:
                found.append(piece[position - at : last + 1 - at])
                position = at + len(piece)
                if position > last:
                    return b"".join(found)
        return None

    def whole(self) -> bytes | None:
        """The body, if nothing is missing."""
        return self.get((0, self.length - 1))

    def beginning(self) -> bytes:
        """What is here from the first byte on without a gap."""
        end = 0
        for at, piece in self.pieces:
            if at > end:
                break
            end = at + len(piece)
        return (self.get((0, end - 1)) or b"") if end else b""

    def cover(self, headers: Headers) -> bool:
        """Whether a GET with these fields can be answered: every part it asks for is here, or none exists."""
        field = headers.get(b"range")
        wanted = None if field is None else ranges.parse_range(field, self.length)
        if wanted is None:
            return False
        return isinstance(wanted, ranges.Unsatisfiable) or all(self._has(part) for part in wanted)

    def _has(self, part: Range) -> bool:
        position, last = part
        for at, piece in self.pieces:
            if at <= position < at + len(piece):
                position = at + len(piece)
        return position > last

    def __repr__(self) -> str:
        return f"<Parts {self.size} of {self.length} B in {len(self.pieces)}>"


def passing_key(key: bytes) -> bytes:
    """What stands for a key's parts among the keys that are not worth collapsing: a whole that is too large to be kept
    says nothing of its parts."""
    return key + b"\0part"


def strong(etag: bytes | None) -> bytes | None:
    """The validator that parts of one representation share (RFC 9111 §3.4), None if there is none."""
    return etag if etag is not None and etag[:1] == b'"' else None
