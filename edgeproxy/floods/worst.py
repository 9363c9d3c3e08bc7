"""Which fingerprints a surge is made of and usual traffic is not: a bounded sample of each, compared."""

from __future__ import annotations

from typing import Final

KEPT: Final = 128  # fingerprints of a sample
FADED: Final = 20_000  # counts after which a sample of usual traffic is halved
SURGE_LEAST: Final = 200  # counts before a surge is judged
USUAL_LEAST: Final = 50  # counts before usual traffic is known


class Heavy:
    """The most frequent of many things, in bounded memory.

    Space-Saving (Metwally et al. 2005), with places freed many at a time (Anderson et al. 2017, "A High-Performance
    Algorithm for Identifying Frequent Items in Data Streams"): what comes new begins with the count of what last gave
    way, so a count is never too small, and too large by at most the total over ``kept``.
    """

    __slots__ = ("_base", "_counts", "_kept", "total")

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._base = 0
        self._counts: dict[bytes, int] = {}
        self.total = 0

    def add(self, thing: bytes) -> None:
        self.total += 1
        counts = self._counts
        counts[thing] = counts.get(thing, self._base) + 1
        if len(counts) > 2 * self._kept:
            ordered = sorted(counts.items(), key=_count, reverse=True)
            self._base = ordered[self._kept][1]
            self._counts = dict(ordered[: self._kept])

    def share(self, thing: bytes) -> float:
        """Its part of all, at most."""
        return min(1.0, self._counts.get(thing, self._base) / self.total) if self.total else 0.0

    def above(self, share: float) -> list[bytes]:
        """What certainly has more than this part of all."""
        least = self._base + share * self.total
        return [thing for thing, count in self._counts.items() if count >= least]

    def halve(self) -> None:
        """Let what was count half of what is to come."""
        self.total //= 2
        self._base //= 2
        self._counts = {thing: count // 2 for thing, count in self._counts.items() if count > 1}

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"<Heavy {len(self._counts)} of {self.total}>"


class Worst:
    """Fingerprints to refuse: of the surge at least ``share``, of usual traffic at most ``usual``.

    Each kind of fingerprint (a network, a way to ask) has a sample of its own. While too little is known of either
    traffic, nothing is refused: what is usual here is never taken for an attack because nobody had looked.
    """

    def __init__(self, kinds: int, share: float, usual: float) -> None:
        self._share = share
        self._usual = usual
        self._normal = [Heavy() for _ in range(kinds)]
        self._surge = [Heavy() for _ in range(kinds)]
        self.refused: frozenset[bytes] = frozenset()

    def note(self, fingerprints: tuple[bytes, ...], *, surge: bool) -> None:
        """Add one request, by its fingerprint of each kind, to the sample of usual traffic or of a surge."""
        for heavy, fingerprint in zip(self._surge if surge else self._normal, fingerprints, strict=True):
            heavy.add(fingerprint)
            if not surge and heavy.total >= FADED:
                heavy.halve()

    def judge(self) -> frozenset[bytes]:
        """Find anew what is to be refused."""
        found: set[bytes] = set()
        for normal, surge in zip(self._normal, self._surge, strict=True):
            if surge.total >= SURGE_LEAST and normal.total >= USUAL_LEAST:
                found.update(one for one in surge.above(self._share) if normal.share(one) <= self._usual)
        self.refused = frozenset(found)
        return self.refused

    def over(self) -> None:
        """The surge has ended: nothing is refused, and the next one begins with an empty sample."""
        self._surge = [Heavy() for _ in self._surge]
        self.refused = frozenset()

    def __repr__(self) -> str:
        return f"<Worst {len(self.refused)} refused>"


def _count(item: tuple[bytes, int]) -> int:
    return item[1]
