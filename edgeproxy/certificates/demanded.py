"""Certificates of names that nobody has listed: taken from the store when they are asked for, and asked for where there
is none yet. The client that asked first gets what there is."""

from __future__ import annotations

import logging
import ssl
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edgeproxy.certificates.store import CertificateStore

logger = logging.getLogger("edgeproxy.tls")

KEPT: Final = 1_000  # names remembered, with their certificates
LOOK_EVERY: Final = 1.0  # seconds between looks at a name's file
WISHES: Final = 10  # new names a worker asks for in a second; a flood of names costs no more


class _Seen:
    """A name as it was looked up last."""

    __slots__ = ("at", "changed", "context")

    def __init__(self, at: float) -> None:
        self.at = at
        self.changed = 0
        self.context: ssl.SSLContext | None = None


class Demanded:
    """``permits`` says whether a name may have a certificate, ``load`` makes a context of a file."""

    def __init__(
        self,
        store: CertificateStore,
        permits: Callable[[str], bool],
        load: Callable[[Path], ssl.SSLContext],
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._permits = permits
        self._load = load
        self._wall = wall
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._second = 0
        self._wishes = 0

    def get(self, name: str) -> ssl.SSLContext | None:
        """The context of a name, None if there is none for it yet, or never."""
        now = self._wall()
        seen = self._seen.get(name)
        if seen is None:
            if not self._permits(name):
                return None
            seen = self._seen[name] = _Seen(-LOOK_EVERY)
            if len(self._seen) > KEPT:
                self._seen.popitem(last=False)
        else:
            self._seen.move_to_end(name)
        if now - seen.at >= LOOK_EVERY:
            seen.at = now
            self._look(name, seen)
        return seen.context

    def _look(self, name: str, seen: _Seen) -> None:
        try:
            path = self._store.certificate(name)
            try:
                changed = path.stat().st_mtime_ns
            except FileNotFoundError:
                self._wish(name)
                return
            if changed != seen.changed:
                seen.changed = changed
                seen.context = self._load(path)
        except (OSError, ValueError) as error:  # no name, or no certificate
            logger.debug("tls: no certificate for a name asked for: %s", error)

    def _wish(self, name: str) -> None:
        second = int(self._wall())
        if second != self._second:
            self._second, self._wishes = second, 0
        if self._wishes < WISHES:
            self._wishes += 1
            self._store.want(name)

    def __repr__(self) -> str:
        return f"<Demanded {len(self._seen)} names>"
