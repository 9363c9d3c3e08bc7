"""Names that clients asked for and nobody has listed: which of them may have a certificate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable

import requests

from edgeproxy.acme.files import Files
from edgeproxy.config.acme import OnDemandConfig

AT_ONCE = 50  # names of one run
ASK_WITHIN = 5.0  # seconds
REFUSED_FOR = 3_600.0  # seconds a name that was refused is not asked about again
MOST_REFUSED = 300

REFUSED = "refused.json"

Ask = Callable[[str, str], bool]


def ask(url: str, name: str) -> bool:
    """Whether the operator's service says 200 for a name. False if it cannot be asked."""
    try:
        with requests.get(url, params={"name": name}, timeout=ASK_WITHIN, allow_redirects=False, stream=True) as answer:
            return answer.status_code == 200
    except requests.RequestException:
        return False


class Demand:
    """The names asked for, and those that were refused lately. Raises OSError."""

    def __init__(self, config: OnDemandConfig | None, files: Files, wall: Callable[[], float] = time.time) -> None:
        self._config = config
        self._files = files
        self._wall = wall
        self._refused = self._read()

    def allowed(self, known: Iterable[str], ask: Ask = ask) -> list[str]:
        """Names beside those that are ``known``, the ones asked for first at the head. What is known or refused is
        wanted no more; the others are until they are :meth:`met`."""
        config, store = self._config, self._files.store
        there = set(known)
        found: list[str] = []
        refused: list[str] = []
        for name in self._files.wanted()[:AT_ONCE]:
            full = config is None or len(there) >= config.most
            if config is None or full or name in there or name in self._refused:
                store.unwant(name)
            elif config.listed(name) or (config.ask is not None and ask(config.ask, name)):
                there.add(name)
                found.append(name)
            else:
                store.unwant(name)
                refused.append(name)
        if refused:
            self._refuse(refused)
        return found

    def still(self, name: str, ask: Ask = ask) -> bool:
        """Whether a name that has a certificate may have another."""
        config = self._config
        return config is not None and (config.listed(name) or (config.ask is not None and ask(config.ask, name)))

    def met(self, name: str) -> None:
        """What was asked for is there, or was tried."""
        self._files.store.unwant(name)

    def _refuse(self, names: Iterable[str]) -> None:
        self._refused |= dict.fromkeys(names, self._wall() + REFUSED_FOR)
        while len(self._refused) > MOST_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._files.store.put(self._files.folder / REFUSED, json.dumps(self._refused).encode())

    def _read(self) -> dict[str, float]:
        try:
            told = json.loads(self._files.read(REFUSED) or b"{}")
        except (ValueError, RecursionError):
            return {}
        now = self._wall()
        return {
            str(name): float(until)
            for name, until in (told.items() if isinstance(told, dict) else ())
            if isinstance(until, int | float) and now < until <= now + REFUSED_FOR
        }
