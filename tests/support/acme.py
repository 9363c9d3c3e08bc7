"""A node's folder of certificates, and runs on it by a clock that a test sets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cryptography import x509

from edgeproxy.acme import state
from edgeproxy.acme.files import Files
from edgeproxy.acme.material import Lifetime, lifetime
from edgeproxy.acme.renewal import Outcome, Renewal
from edgeproxy.acme.state import State
from edgeproxy.acme.storage import Storage
from edgeproxy.clock import Clock, ManualClock
from edgeproxy.config.acme import AcmeConfig
from tests.support.pebble import Pebble


class Node:
    """``settings`` are ``acme``'s, beside those that lead to the server."""

    def __init__(self, pebble: Pebble, folder: Path, clock: ManualClock | None = None, **settings: Any) -> None:
        self.folder = folder
        self.files = Files(folder)
        self.clock = clock or ManualClock(time.time())
        self.settings: dict[str, Any] = {
            "agree_to_terms": True,
            "directory": pebble.directory,
            "ca": str(pebble.ca),
            "folder": str(folder),
            **settings,
        }

    @property
    def config(self) -> AcmeConfig:
        return AcmeConfig(**self.settings)

    def storage(self) -> Storage:
        return Storage(self.files)

    def renewal(self, *names: str) -> Renewal:
        return Renewal(self.config, names, self.storage(), Clock(self.clock.wall), _pause, lambda: 0.5)

    def run(self, *names: str, only: tuple[str, ...] = ()) -> Outcome:
        return self.renewal(*names).run(only)

    def pem(self, name: str) -> bytes | None:
        return self.files.read(f"certificates/{name}.pem")

    def leaf(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.pem(name) or b"")

    def life(self, name: str) -> Lifetime:
        return lifetime(self.pem(name) or b"")

    def state(self, name: str) -> State:
        return state.decode(self.files.read(f"states/{name}.json"))


def _pause(seconds: float) -> None:
    """Real time, since the authority is another process, but no more of it than that one needs."""
    time.sleep(min(seconds, 0.02))
