"""Metrics added up over workers, those that are gone included, so that no counter ever goes backwards."""

from __future__ import annotations

from edgeproxy.observe.metrics import Dump, lasting, merge


class Totals:
    """The last dump of every live worker, by its pid, and the sum of the dead ones'."""

    def __init__(self) -> None:
        self._last: dict[int, Dump] = {}
        self._gone: Dump = []

    def born(self, pid: int) -> None:
        self._last[pid] = []

    def seen(self, pid: int, dump: Dump) -> None:
        """Take a worker's dump; one that comes when the worker is gone already is not counted."""
        if pid in self._last:
            self._last[pid] = dump

    def gone(self, pid: int) -> None:
        self._gone = merge([self._gone, lasting(self._last.pop(pid))])

    def sum(self, *others: Dump) -> Dump:
        """The sum of all workers there have been, and of ``others``."""
        return merge([*others, self._gone, *self._last.values()])

    def __repr__(self) -> str:
        return f"<Totals of {sorted(self._last)}>"
