"""What is attacked: the proxy before a site, over HTTP/2 in the clear or over HTTP/3; and what an attack is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar

from tests.support.http2_attacks import TARGET
from tests.support.http3 import Http3Site
from tests.support.origin import answer
from tests.support.ports import free_port
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config

KEPT: Final = b"/"
LARGE: Final = b"/large"
MISSED: Final = b"/missed"
LARGE_SIZE: Final = 1_000_000  # bytes of body
IDLE: Final = 0.02  # seconds in which a worker that has nothing to do does next to nothing
# An answer that nobody takes is given up in a second, so that no attack has to be waited for longer.
LIMITS: Final[dict[str, Any]] = {"write_timeout": "1s", "handshakes": 10_000, "handshakes_per_client": 10_000}

Outcome = TypeVar("Outcome")


class Stand(NamedTuple):
    """``address`` is where clients go."""

    edge: EdgeProcess
    address: tuple[str, int]

    def spent(self, work: Callable[[Stand], Outcome]) -> tuple[Outcome, float]:
        """What ``work`` came to, and the seconds of the worker's CPU that it took until there was no more to do."""
        before = self._cpu()
        outcome = work(self)
        now = self._cpu()
        while True:
            time.sleep(IDLE)
            before_that, now = now, self._cpu()
            if now - before_that < IDLE / 20:
                return outcome, now - before

    def _cpu(self) -> float:
        """To the nanosecond (clock_getcpuclockid(3))."""
        (pid,) = self.edge.worker_pids()
        return time.clock_gettime(~pid << 3 | 2)


class Played(NamedTuple):
    """How many ``pieces`` went to the proxy, and whether it ended the connection."""

    pieces: int
    ended: bool


class Attack(NamedTuple):
    """``play`` has it once, on a connection of its own. ``piece``: what of it is counted; ``beside``: the honest work
    that one is compared with, a key of the protocol's ``honest``, and ``most`` how many of those it may cost. ``ends``:
    the proxy must end the connection. ``times``: how often it is played in one turn."""

    name: str
    piece: str
    play: Callable[[Stand], Played]
    beside: str
    ends: bool = True
    most: float = 1.5
    times: int = 5


class Protocol(NamedTuple):
    """``honest``: what well-behaved clients do, each with how many times it was done; ``open``: a connection alone."""

    name: str
    stand: Callable[[], Any]
    open: Callable[[Stand], object]
    honest: dict[str, Callable[[Stand], int]]
    attacks: tuple[Attack, ...]


def _furnish(site: Site) -> None:
    kept = b"Cache-Control: max-age=86400"
    site.on(KEPT, answer(200, b"kept", kept))
    site.on(LARGE, answer(200, bytes(LARGE_SIZE), kept))
    site.on(TARGET, lambda _: iter(()))


@contextmanager
def plain() -> Iterator[Stand]:
    """HTTP/2 in the clear."""
    address = ("127.0.0.1", free_port())
    listeners = [{"address": f"127.0.0.1:{address[1]}", "protocols": "h2"}]
    with Site() as site:
        _furnish(site)
        told = config(site.url, listeners=listeners, limits=LIMITS, middleware={"bot_check": False})
        with EdgeProcess(told) as edge:
            yield Stand(edge, address)


@contextmanager
def quic() -> Iterator[Stand]:
    """HTTP/3."""
    with Http3Site(limits=LIMITS) as site:
        _furnish(site.site)
        yield Stand(site.edge, site.address)
