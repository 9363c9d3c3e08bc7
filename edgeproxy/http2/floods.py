"""What a peer of HTTP/2 may do for nothing, counted: frames that cost us work and bring no request any farther.

Each kind has a budget that time refills, and honest work too: who fetches much may ping, open windows and cancel more
often than who fetches nothing. A budget that is used up ends the connection with ENHANCE_YOUR_CALM (RFC 9113 §10.5).
The clock is asked only where something is counted: an honest request costs one addition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http2.errors import ConnectionFailure
from edgeproxy.http2.frames import ENHANCE_YOUR_CALM

RESET: Final = 0  # streams the peer broke off before they were answered (CVE-2023-44487)
BROKEN: Final = 1  # streams that it made us break off (CVE-2025-8671)
REFUSED: Final = 2  # streams beyond those it may have open
PING: Final = 3
SETTINGS: Final = 4
EMPTY: Final = 5  # DATA, HEADERS and CONTINUATION that hold nothing and end nothing
PRIORITY: Final = 6
WINDOW: Final = 7  # windows opened by next to nothing
TINY: Final = 8  # pieces that we had to cut small, for windows had no more
UNKNOWN: Final = 9  # frames of types nobody knows (RFC 9113 §4.1), and for streams that are over
HEADS: Final = 10  # field sections beyond the limit: HPACK bombs
STALLED: Final = 11  # answers whose window was not opened in time


class Budget:
    """``kind``: its name in metrics. ``most`` at once; ``rate`` a second, and ``credit`` for a piece of honest work."""

    __slots__ = ("credit", "kind", "most", "rate")

    def __init__(self, kind: str, most: float, rate: float, credit: float = 0.0) -> None:
        self.kind = kind
        self.most = most
        self.rate = rate
        self.credit = credit


# By the numbers above. A browser that leaves a page breaks off a hundred streams at once; clients that measure the
# way's delay ping once for a window; some open windows after each piece of a body, the stream's and the connection's.
BUDGETS: Final[tuple[Budget, ...]] = (
    Budget("rapid_reset", 300, 30, 0.25),
    Budget("made_reset", 50, 5),
    Budget("refused_streams", 200, 20),
    Budget("ping", 100, 10, 1),
    Budget("settings", 50, 2),
    Budget("empty_frames", 100, 10),
    Budget("priority", 300, 30, 2),
    Budget("window_updates", 500, 50, 3),
    Budget("tiny_windows", 500, 50),
    Budget("useless_frames", 300, 10, 2),
    Budget("large_heads", 20, 1),
    Budget("stalled_windows", 10, 0.1),
)
CONTINUATION_FLOOD: Final = "continuation"  # has no budget: one field section in too many pieces is enough
KINDS: Final = (*(budget.kind for budget in BUDGETS), CONTINUATION_FLOOD)


class Floods:
    """One connection's account. ``worked``: pieces of honest work: requests taken, frames with something in them."""

    __slots__ = ("_clock", "_left", "_since", "_worked", "worked")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.worked = 0
        self._left: dict[int, float] = {}  # of the kinds that were counted
        self._since: dict[int, float] = {}
        self._worked: dict[int, int] = {}

    def count(self, kind: int) -> None:
        """One more of ``kind``. Raises ConnectionFailure where that is one too many."""
        budget = BUDGETS[kind]
        now = self._clock()
        earned = budget.credit * (self.worked - self._worked.get(kind, 0))
        waited = budget.rate * (now - self._since.get(kind, now))
        left = min(self._left.get(kind, budget.most) + earned + waited, budget.most) - 1
        self._left[kind] = left
        self._since[kind] = now
        self._worked[kind] = self.worked
        if left < 0:
            raise ConnectionFailure(ENHANCE_YOUR_CALM, f"too many: {budget.kind}", budget.kind)

    def __repr__(self) -> str:
        return f"<Floods { ({BUDGETS[kind].kind: round(left) for kind, left in self._left.items()}) }>"
