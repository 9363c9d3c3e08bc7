"""Metrics added up over workers, those that are gone included, so that no counter ever goes backwards."""

from __future__ import annotations

from edgeproxy.observe.metrics import Dump, lasting, merge


class Totals:
    """The last dump of every live worker, by its pid, and the sum of the dead ones'."""

    def __init__(self) -> None:
        self._last: dict[int, Dump] = {}
        self._gone: Dump = []

    def seen(self, pid: int, dump: Dump) -> None:
        self._last[pid] = dump

    def gone(self, pid: int) -> None:
        dump = self._last.pop(pid, None)
        if dump is not None:
            self._gone = merge([self._gone, lasting(dump)])

    def sum(self, *others: Dump) -> Dump:
        """The sum of all workers there have been, and of ``others``."""
        return merge([*others, self._gone, *self._last.values()])

    def __repr__(self) -> str:
        return f"<Totals of {sorted(self._last)}>"
