"""Attacks and honest work in turns, and what a piece of each attack costs beside what it is compared with."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.benchmarks.attacks.http2 import HTTP2
from tests.benchmarks.attacks.http3 import HTTP3
from tests.benchmarks.attacks.stand import LARGE, Attack, Played, Protocol, Stand
from tests.benchmarks.stats import Ratio, quantile
from tests.support.http2_client import Http2Client
from tests.support.quic import QuicClient

PROTOCOLS: Final = (HTTP2, HTTP3)
LEAST: Final = 1e-9  # seconds: what costs less than can be told


class Cost(NamedTuple):
    """Of one attack. ``each``: CPU of a piece beside what it is compared with; ``whole``: that of a connection, in
    hits; ``pieces``: how many there were on one; ``ended``: the proxy ended every one."""

    protocol: str
    attack: Attack
    each: Ratio
    whole: float
    pieces: int
    ended: bool

    @property
    def excess(self) -> str:
        """What is wrong with it: no turn kept its bound, or a connection went on that had to end; else nothing."""
        if self.attack.ends and not self.ended:
            return f"{self.attack.name}: goes on"
        if self.each.low > self.attack.most:
            return f"{self.attack.name}: costs {self.each.low:.2f} of a {self.attack.beside}"
        return ""


class _Turns:
    """What the turns of one attack came to: seconds a piece, seconds of the honest work, hits a connection."""

    def __init__(self) -> None:
        self.each: list[float] = []
        self.honest: list[float] = []
        self.hits: list[float] = []
        self.pieces: list[int] = []
        self.ended = True


def measure(protocol: Protocol, rounds: int) -> list[Cost]:
    """Every attack over a protocol, so many turns of each."""
    turns = [_Turns() for _ in protocol.attacks]
    with protocol.stand() as stand:
        _warm(protocol, stand)
        for _ in range(rounds):
            opening, honest = _honest(protocol, stand)
            for attack, told in zip(protocol.attacks, turns, strict=True):
                played, cpu = stand.spent(lambda stand, attack=attack: _play(attack, stand))  # type: ignore[misc]
                pieces = sum(one.pieces for one in played)
                told.each.append(max(LEAST, (cpu - len(played) * opening) / pieces))
                told.honest.append(honest[attack.beside])
                told.hits.append(cpu / len(played) / honest["hit"])
                told.pieces.append(pieces // len(played))
                told.ended &= all(one.ended for one in played)
        logs = stand.edge.logs()
        assert "Traceback" not in logs, logs
    return [
        Cost(
            protocol.name,
            attack,
            Ratio.of(told.each, told.honest),
            quantile(told.hits, 0.5),
            int(quantile(told.pieces, 0.5)),
            told.ended,
        )
        for attack, told in zip(protocol.attacks, turns, strict=True)
    ]


def _play(attack: Attack, stand: Stand) -> list[Played]:
    return [attack.play(stand) for _ in range(attack.times)]


def _warm(protocol: Protocol, stand: Stand) -> None:
    """Fill the cache, and let everything be done once that is slower for the first time."""
    client = Http2Client if protocol is HTTP2 else QuicClient
    with client(stand.address) as one:
        if isinstance(one, QuicClient):
            one.connect()
        one.get(LARGE)
    for work in protocol.honest.values():
        work(stand)


def _honest(protocol: Protocol, stand: Stand) -> tuple[float, dict[str, float]]:
    """Seconds of CPU of a connection that is opened and closed, and of each honest work."""
    _, opened = stand.spent(lambda stand: [protocol.open(stand) for _ in range(10)])
    seconds = {}
    for name, work in protocol.honest.items():
        count, cpu = stand.spent(work)
        seconds[name] = (cpu - opened / 10) / count
    return opened / 10, seconds
