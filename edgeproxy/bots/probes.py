"""Clients that look for what is not there: known weak places that this site answered with 404.

The answer decides, not the path alone: a site that has a /wp-login.php is not probed by who logs in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgeproxy.pipeline.callers import Networks
from edgeproxy.pipeline.exchange import Exchange

ENOUGH: Final = 3  # probes that make a prober
MEMORY: Final = 600.0  # seconds after which a probe is forgotten, at the latest after twice as many
KEPT: Final = 32_768  # clients
_REFUSALS: Final[frozenset[int]] = frozenset((403, 404, 405, 410))


class Probes:
    """Counts each client's probes (an IPv6 client's as its /64's) in two generations, which time or number replace."""

    def __init__(self) -> None:
        text = Path(__file__).with_name("data").joinpath("probes.txt").read_text(encoding="utf-8")
        places = [line.encode() for line in text.splitlines() if not line.startswith("#")]
        self._exact: frozenset[bytes] = frozenset(places)
        self._below: tuple[bytes, ...] = tuple(place for place in places if place.endswith(b"/"))
        self._networks = Networks(32, 64)
        self._new: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}
        self._begun = 0.0

    def note(self, x: Exchange) -> None:
        """Look at an exchange that has ended."""
        if x.status not in _REFUSALS:
            return
        path = x.request.path.lower()
        if path in self._exact or path.startswith(self._below):
            self._turn(x.started)
            client = self._networks.key(x)
            self._new[client] = self._new.get(client, 0) + 1

    def made(self, x: Exchange) -> bool:
        """Whether the exchange's client has probed before."""
        if not (self._new or self._old):
            return False
        self._turn(x.started)
        client = self._networks.key(x)
        return self._new.get(client, 0) + self._old.get(client, 0) >= ENOUGH

    def _turn(self, now: float) -> None:
        passed = now - self._begun
        if passed > MEMORY or len(self._new) >= KEPT // 2:
            self._old = self._new if passed <= 2 * MEMORY else {}
            self._new = {}
            self._begun = now

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def __repr__(self) -> str:
        return f"<Probes of {len(self)} clients>"
