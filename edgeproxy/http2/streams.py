"""The life of one HTTP/2 stream as a table (RFC 9113 §5.1), and its two windows (§5.2)."""

from __future__ import annotations

from typing import Final

# States. Nothing is pushed, so none is reserved.
IDLE: Final = 0
OPEN: Final = 1
HALF_CLOSED_LOCAL: Final = 2  # we have ended our side
HALF_CLOSED_REMOTE: Final = 3  # the peer has ended its own
CLOSED: Final = 4

# What happens to a stream.
RECEIVED: Final = 0  # HEADERS or DATA
RECEIVED_END: Final = 1
SENT: Final = 2
SENT_END: Final = 3
RESET: Final = 4  # by either side

NOT_ALLOWED: Final = -1

STATES: Final = ("idle", "open", "half-closed (local)", "half-closed (remote)", "closed")

#: The state that follows, by state and by what happens.
NEXT: Final[tuple[tuple[int, ...], ...]] = (
    # RECEIVED           RECEIVED_END        SENT                SENT_END           RESET
    (OPEN, NOT_ALLOWED, OPEN, NOT_ALLOWED, NOT_ALLOWED),  # idle
    (OPEN, HALF_CLOSED_REMOTE, OPEN, HALF_CLOSED_LOCAL, CLOSED),  # open
    (HALF_CLOSED_LOCAL, CLOSED, NOT_ALLOWED, NOT_ALLOWED, CLOSED),  # half-closed (local)
    (NOT_ALLOWED, NOT_ALLOWED, HALF_CLOSED_REMOTE, CLOSED, CLOSED),  # half-closed (remote)
    (NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED),  # closed
)


class Stream:
    """One stream. ``outgoing``: bytes we may send; ``incoming``: bytes the peer may send; ``used``: bytes that came and
    were used, and of which the peer has not been told. ``headed``: the peer's head has come, an interim one aside.
    """

    __slots__ = ("headed", "incoming", "number", "outgoing", "state", "used")

    def __init__(self, number: int, outgoing: int, incoming: int) -> None:
        self.number = number
        self.state = OPEN
        self.outgoing = outgoing
        self.incoming = incoming
        self.used = 0
        self.headed = False

    def __repr__(self) -> str:
        return f"<Stream {self.number} {STATES[self.state]}, {self.outgoing} out, {self.incoming} in>"
