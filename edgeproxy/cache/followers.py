"""What was asked for after a page, learned in bounded memory: two generations of pages, a few counters each."""

from __future__ import annotations

PAGES = 2_048  # of a generation
COUNTERS = 16  # targets counted for one page
LEAST = 3  # times that something must have followed
LONGEST = 1_024  # bytes of a page's URL or a target; what is longer is not learned


class Followers:
    """By page, how often it was seen and what followed. Pages are whole URLs, targets paths with their query."""

    def __init__(self) -> None:
        self._new: dict[bytes, _Page] = {}
        self._old: dict[bytes, _Page] = {}

    def visited(self, page: bytes) -> None:
        """A page was answered."""
        known = self._find(page)
        if known is not None:
            known.views += 1
        elif len(page) <= LONGEST:
            if len(self._new) >= PAGES:
                self._old, self._new = self._new, {}
            self._new[page] = _Page()

    def followed(self, page: bytes, target: bytes) -> None:
        """A page named itself as where a request came from. Of pages that were not answered here nothing is learned."""
        known = self._find(page)
        if known is None or len(target) > LONGEST:
            return
        counts = known.counts
        if target not in counts and len(counts) >= COUNTERS:
            rarest = min(counts, key=counts.__getitem__)
            counts[target] = counts.pop(rarest)  # Space-Saving: it may have been counted before, up to so often
        counts[target] = counts.get(target, 0) + 1

    def likely(self, page: bytes, share: float) -> list[bytes]:
        """What followed at least this share of the page's views, most often first."""
        known = self._find(page)
        if known is None:
            return []
        least = max(LEAST, share * known.views)
        found = [(count, target) for target, count in known.counts.items() if count >= least]
        return [target for _, target in sorted(found, key=lambda item: -item[0])]

    def _find(self, page: bytes) -> _Page | None:
        known = self._new.get(page)
        if known is None and page in self._old:
            known = self._old.pop(page)
            if len(self._new) >= PAGES:
                self._old, self._new = self._new, {}
            self._new[page] = known
        return known

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def __repr__(self) -> str:
        return f"<Followers of {len(self)} pages>"


class _Page:
    __slots__ = ("counts", "views")

    def __init__(self) -> None:
        self.views = 1
        self.counts: dict[bytes, int] = {}
