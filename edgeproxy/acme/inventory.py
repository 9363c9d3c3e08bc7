"""Which certificates there are to be, and what there is of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from edgeproxy.acme import schedule, state
from edgeproxy.acme.demand import Demand
from edgeproxy.acme.files import CHALLENGES
from edgeproxy.acme.material import Lifetime, lifetime
from edgeproxy.acme.state import State
from edgeproxy.acme.storage import Storage
from edgeproxy.clock import Clock
from edgeproxy.config.acme import AcmeConfig

LEFT_BEHIND = 3_600.0  # seconds after which a challenge is nobody's any more
GIVEN_UP = 7 * 86_400.0  # seconds that what was asked for on demand is kept after it has ended, or was last tried


class Certificate(NamedTuple):
    """A certificate there is to be: its names, the first of which names it; when what is there is valid, None where
    nothing is or it is for other names; what is known."""

    names: tuple[str, ...]
    life: Lifetime | None
    state: State

    @property
    def name(self) -> str:
        return self.names[0]


class Inventory:
    """``listed``: the names of the configuration. Raises OSError of the folder."""

    def __init__(self, config: AcmeConfig, listed: Iterable[str], storage: Storage, clock: Clock) -> None:
        self._config = config
        self._groups = tuple(dict.fromkeys(config.group_of(name) for name in listed))
        self._storage = storage
        self._clock = clock

    def certificates(self, demand: Demand) -> list[Certificate]:
        """All: those that are listed, those that were got on demand, and those asked for now."""
        found = [self._look(names) for names in self._groups]
        listed = {name for group in self._groups for name in group}
        before: dict[str, Certificate] = {}
        tried: dict[str, Certificate] = {}
        for path in self._storage.files.paths("states"):
            name = self._storage.files.name_of(path)
            if name not in listed and self.known(path).on_demand:
                one = self._look((name,), on_demand=True)
                last = one.state.retry if one.life is None else one.state.expires
                if self._clock.wall() >= last + GIVEN_UP:
                    self.forget(name)
                else:
                    (tried if one.life is None else before)[name] = one
        new = demand.allowed(before.keys() | listed)
        return [
            *found,
            *before.values(),
            *(tried.get(name) or self._look((name,), on_demand=True) for name in new),
        ]

    def known(self, path: str) -> State:
        """What a file says of a certificate or the authority."""
        return state.decode(self._storage.read(path))

    def remember(self, one: Certificate) -> Certificate:
        path, content = self._state_path(one.name), state.encode(one.state)
        if self._storage.read(path) != content:
            self._storage.write(path, content)
        return one

    def forget(self, name: str) -> None:
        """Remove the certificate that a name is in, and what is known of it."""
        for one in self._config.group_of(name):
            self._storage.drop(self.path(one))
        self._storage.drop(self._state_path(name))

    def path(self, name: str) -> str:
        """Where a name's certificate lies."""
        files = self._storage.files
        return files.store.certificate(name).relative_to(files.folder).as_posix()

    def sweep(self) -> None:
        """Remove the challenges of a run that was killed."""
        files, now = self._storage.files, self._clock.wall()
        for path in files.paths():
            if path.startswith(CHALLENGES) and now - (files.folder / path).stat().st_mtime > LEFT_BEHIND:
                self._storage.drop(path)

    def _look(self, names: tuple[str, ...], *, on_demand: bool = False) -> Certificate:
        known = self.known(self._state_path(names[0]))._replace(on_demand=on_demand)
        lives = [self._life(name) for name in names]
        life = lives[0]
        if life is None or any(one != life for one in lives) or not life.names >= set(names):
            return Certificate(names, None, known._replace(due=0.0, expires=0.0, asked=0.0, suggested=0.0))
        if known.expires != life.ends:
            known = State(on_demand=on_demand)
        due = schedule.due(names[0], life.begins, life.ends, self._config.renew_before, self._config.spread)
        return self.remember(Certificate(names, life, known._replace(due=known.suggested or due, expires=life.ends)))

    def _life(self, name: str) -> Lifetime | None:
        pem = self._storage.read(self.path(name))
        try:
            return None if pem is None else lifetime(pem)
        except ValueError:
            return None

    def _state_path(self, name: str) -> str:
        return f"states/{self._storage.files.store.certificate(self._config.group_of(name)[0]).stem}.json"
