"""Who may write next on a connection that many answers share (RFC 9218)."""

from __future__ import annotations

from collections import deque
from typing import Final

from edgeproxy.http.structured import Item, parse_dictionary

URGENCIES: Final = 8
MEMO_MOST: Final = 256
MEMO_LONGEST: Final = 32  # bytes
TURN: Final = 64 * 1024  # bytes in one turn of an answer that is of no use in parts
TURN_INCREMENTAL: Final = 16 * 1024

_memo: Final[dict[bytes, tuple[int, bool]]] = {}

#: Without a word from the client (RFC 9218 §4).
DEFAULT: Final = (3, False)


def parse(value: bytes | None) -> tuple[int, bool]:
    """A ``priority`` field's urgency, 0 (first) to 7, and whether the answer is of use in parts. What is no such field
    says nothing (RFC 9218 §4)."""
    if value is None:
        return DEFAULT
    known = _memo.get(value)
    if known is None:
        known = _parse(value)
        if len(value) <= MEMO_LONGEST:
            if len(_memo) >= MEMO_MOST:
                _memo.clear()
            _memo[value] = known
    return known


def _parse(value: bytes) -> tuple[int, bool]:
    told = parse_dictionary(value) or {}
    urgency, incremental = told.get("u"), told.get("i")
    first, parts = DEFAULT
    if isinstance(urgency, Item) and type(urgency.value) is int and 0 <= urgency.value < URGENCIES:
        first = urgency.value
    if isinstance(incremental, Item) and type(incremental.value) is bool:
        parts = incremental.value
    return first, parts


class Turns:
    """Streams with something to be written, by urgency. Those of one urgency take turns, long ones where an answer is
    of no use in parts (RFC 9218 §10), so that none waits for the end of a long one."""

    __slots__ = ("_members", "_queues")

    def __init__(self) -> None:
        self._queues: dict[int, deque[int]] = {}
        self._members: dict[int, int] = {}  # each one's urgency

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, stream: int) -> bool:
        return stream in self._members

    def add(self, stream: int, urgency: int) -> None:
        """Let it take turns, behind those that do; one that does already keeps its place if its urgency is the same."""
        before = self._members.get(stream)
        if before == urgency:
            return
        if before is not None:
            self._queues[before].remove(stream)
        self._members[stream] = urgency
        queue = self._queues.get(urgency)
        if queue is None:
            queue = self._queues[urgency] = deque()
        queue.append(stream)

    def discard(self, stream: int) -> None:
        """It has nothing more to write, or no window."""
        urgency = self._members.pop(stream, None)
        if urgency is not None:
            self._queues[urgency].remove(stream)

    def next(self) -> int:
        """Whose turn it is, 0 if nobody's; the next turn is another's of the same urgency."""
        if self._members:
            for urgency in range(URGENCIES):
                queue = self._queues.get(urgency)
                if queue:
                    stream = queue[0]
                    queue.rotate(-1)
                    return stream
        return 0

    def __repr__(self) -> str:
        return f"<Turns { ({urgency: list(queue) for urgency, queue in self._queues.items()}) }>"
