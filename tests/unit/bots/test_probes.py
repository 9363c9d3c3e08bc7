"""Who looks for weak places that are not here, and for how long that is known."""

from __future__ import annotations

import pytest

from edgeproxy.bots.probes import ENOUGH, KEPT, MEMORY, Probes
from tests.support.stages import exchange


def ask(probes: Probes, target: bytes, status: int = 404, client: str = "192.0.2.7", at: float = 1000.0) -> None:
    x = exchange(target, client=client, started=at)
    x.status = status
    probes.note(x)


def made(probes: Probes, client: str = "192.0.2.7", at: float = 1000.0) -> bool:
    return probes.made(exchange(client=client, started=at))


@pytest.mark.parametrize(
    "target", [b"/.env", b"/.ENV", b"/.git/config", b"/phpMyAdmin/index.php", b"/wp-login.php?x=1"]
)
def test_a_few_probes_make_a_prober(target: bytes) -> None:
    probes = Probes()
    for _ in range(ENOUGH - 1):
        ask(probes, target)
    assert not made(probes)
    ask(probes, target)
    assert made(probes)
    assert not made(probes, "192.0.2.8")


@pytest.mark.parametrize(
    ("target", "status"), [(b"/wp-login.php", 200), (b"/wp-login.php", 302), (b"/missing", 404), (b"/.envy", 404)]
)
def test_what_is_here_or_not_looked_for_by_scanners_is_no_probe(target: bytes, status: int) -> None:
    probes = Probes()
    for _ in range(10):
        ask(probes, target, status)
    assert not made(probes)


def test_neighbours_in_one_ipv6_network_are_one_client() -> None:
    probes = Probes()
    for number in range(ENOUGH):
        ask(probes, b"/.env", client=f"2001:db8::{number}")
    assert made(probes, "2001:db8::ffff")
    assert not made(probes, "2001:db8:0:1::1")


def test_probes_are_forgotten() -> None:
    probes = Probes()
    for _ in range(ENOUGH):
        ask(probes, b"/.env")
    assert made(probes, at=1000.0 + MEMORY / 2)
    assert made(probes, at=1001.0 + MEMORY)
    assert not made(probes, at=1002.0 + 2 * MEMORY)


def test_after_a_long_quiet_time_nothing_is_held_against_anyone() -> None:
    probes = Probes()
    for _ in range(ENOUGH):
        ask(probes, b"/.env")
    assert not made(probes, at=1001.0 + 2 * MEMORY)
    assert len(probes) == 0


def test_a_flood_of_probers_is_bounded() -> None:
    probes = Probes()
    for number in range(KEPT + 5000):
        ask(probes, b"/.env", client=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert 0 < len(probes) <= KEPT
