"""What is asked for most, in bounded memory: Space-Saving, made for batches.

Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams", ICDT
2005) takes the place of its smallest counter for every newcomer. Here newcomers gather until there are ``MOST``
counters, and then all but the ``KEPT`` largest go at once. Who comes later may have been among them, and is ranked as
if it had been: whatever makes up more than a ``KEPT``-th of the requests is there. A worker that is busy counts one
exchange in ``EACH``, that many times: there are enough of them then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest
from typing import TYPE_CHECKING, Final

from edgeproxy.http.message import Request
from edgeproxy.observe.analytics import NO_HIT, tier_of

if TYPE_CHECKING:
    from edgeproxy.pipeline.exchange import Exchange

KEPT: Final = 256
MOST: Final = 1024
LONGEST: Final = 512  # bytes of a target that tell it from others; what is longer is counted with what begins like it
TURN: Final = 150.0  # seconds of a generation; what is reported is of this one and the one before
EACH: Final = 8
SHOWN: Final = 50  # URLs that a worker reports

# A URL, its requests, those answered without the origin, body bytes sent; as JSON carries it.
Row = tuple[str, int, int, int]


class Tally:
    """What is counted for one URL. ``missed`` are the requests there may have been before it was counted."""

    __slots__ = ("hits", "missed", "number", "scheme", "size")

    def __init__(self, scheme: bytes, missed: int) -> None:
        self.scheme = scheme
        self.missed = missed
        self.number = 0
        self.hits = 0
        self.size = 0


class Top:
    """The URLs asked for most, lately, by authority and target. ``now`` gives monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._tallies: dict[tuple[bytes, bytes], Tally] = {}
        self._before: dict[tuple[bytes, bytes], Tally] = {}
        self._floor = 0  # the most requests that one that had to go may have had
        self._now = now
        self._since = now()
        self._before_since = self._since
        self._turns = 0

    def __len__(self) -> int:
        return len(self._tallies)

    def count(self, records: Sequence[Exchange], *, busy: bool) -> None:
        """Count exchanges that ended."""
        self._turn()
        tallies = self._tallies
        hits: dict[bytes, int] = {}
        weight = EACH if busy else 1
        self._turns += 1
        for x in records[self._turns % weight :: weight]:
            request, verdict = x.request, x.verdict
            tally = tallies.get((request.authority, request.target))
            if tally is None:
                tally = self._admit(request)
            hit = hits.get(verdict)
            if hit is None:
                hit = hits[verdict] = 0 if tier_of(verdict) in NO_HIT else weight
            tally.number += weight
            tally.hits += hit
            tally.size += x.sent * weight

    def _admit(self, request: Request) -> Tally:
        """The counters of a URL that is not there as it stands."""
        key = (request.authority, request.target[:LONGEST])
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= MOST:
                self._make_room()
            tally = self._tallies[key] = Tally(request.scheme, self._floor)
        return tally

    def _turn(self) -> None:
        """Begin a new generation when its time has come."""
        now = self._now()
        if now - self._since >= TURN:
            self._before, self._tallies = self._tallies, {}
            self._before_since, self._since = self._since, now
            self._floor = 0

    def report(self, redact: Callable[[bytes], bytes]) -> tuple[float, list[Row]]:
        """The seconds that were counted, and the rows, largest first; ``redact`` takes secrets out of a URL."""
        self._turn()
        rows = [
            (
                redact(b"%b://%b%b" % (tally.scheme, *key)).decode("utf-8", "backslashreplace"),
                tally.number,
                tally.hits,
                tally.size,
            )
            for generation in (self._before, self._tallies)
            for key, tally in nlargest(KEPT, generation.items(), key=_rank)
        ]
        return self._now() - self._before_since, merged([rows])

    def _make_room(self) -> None:
        """In place, for whoever counts holds on to the tallies."""
        ranked = sorted(self._tallies.items(), key=_rank, reverse=True)
        self._floor = _rank(ranked[KEPT])
        for key, _ in ranked[KEPT:]:
            del self._tallies[key]

    def __repr__(self) -> str:
        return f"<Top {len(self._tallies)} URLs>"


def _rank(item: tuple[tuple[bytes, bytes], Tally]) -> int:
    """The number of requests at most."""
    return item[1].number + item[1].missed


def merged(reports: Iterable[Iterable[Row]]) -> list[Row]:
    """Rows of several processes as one list of at most ``SHOWN``, largest first."""
    sums: dict[str, list[int]] = {}
    for rows in reports:
        for url, *numbers in rows:
            present = sums.setdefault(url, [0, 0, 0])
            present[:] = map(int.__add__, present, numbers)
    largest = nlargest(SHOWN, sums.items(), key=lambda item: item[1][0])
    return [(url, number, hits, size) for url, (number, hits, size) in largest]
