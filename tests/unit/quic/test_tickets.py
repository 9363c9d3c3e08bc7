"""Sessions are taken up once, by whichever worker, under the settings they were made under, for a day."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from qh3.tls import CipherSuite, SessionTicket

from edgeproxy.quic.tickets import FILE, LIFETIME, SLOT, SLOTS, Tickets


class Wall:
    def __init__(self) -> None:
        self.now = dt.datetime.now(dt.UTC).timestamp()

    def __call__(self) -> float:
        return self.now


def ticket(secret: bytes = b"k" * 48, suite: CipherSuite = CipherSuite.AES_256_GCM_SHA384) -> SessionTicket:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    return SessionTicket(7, suite, now + dt.timedelta(days=1), now, secret, "", os.urandom(64))


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def tickets(tmp_path: Path, wall: Wall) -> Tickets:
    return Tickets(tmp_path, b"settings", wall)


def test_another_worker_finds_a_session_and_then_nobody_does(tmp_path: Path, tickets: Tickets, wall: Wall) -> None:
    kept = ticket()
    tickets.put(kept)
    other = Tickets(tmp_path, b"settings", wall)
    found = other.take(kept.ticket)
    assert found is not None
    assert (found.resumption_secret, found.cipher_suite, found.age_add) == (b"k" * 48, kept.cipher_suite, 7)
    assert found.is_valid
    assert tickets.take(kept.ticket) is None
    assert other.take(kept.ticket) is None


def test_a_short_secret_is_the_same_afterwards(tickets: Tickets) -> None:
    kept = ticket(b"k" * 32, CipherSuite.AES_128_GCM_SHA256)
    tickets.put(kept)
    found = tickets.take(kept.ticket)
    assert found is not None
    assert found.resumption_secret == b"k" * 32


def test_an_unknown_ticket_opens_nothing(tickets: Tickets) -> None:
    assert tickets.take(b"") is None
    assert tickets.take(os.urandom(64)) is None


def test_a_session_of_other_settings_is_not_taken_up(tmp_path: Path, tickets: Tickets, wall: Wall) -> None:
    kept = ticket()
    tickets.put(kept)
    assert Tickets(tmp_path, b"other settings", wall).take(kept.ticket) is None


def test_a_session_lives_for_a_day(tickets: Tickets, wall: Wall) -> None:
    kept = ticket()
    tickets.put(kept)
    wall.now += LIFETIME + 1
    assert tickets.take(kept.ticket) is None


def test_the_file_keeps_its_size_and_is_nobody_elses_to_read(tmp_path: Path, tickets: Tickets) -> None:
    for _ in range(100):
        tickets.put(ticket())
    stat = (tmp_path / FILE).stat()
    assert stat.st_size == SLOTS * SLOT
    assert stat.st_mode & 0o077 == 0
    assert repr(tickets) == "<Tickets 8192 slots>"
    tickets.close()


def test_a_secret_no_slot_has_room_for_is_not_kept(tickets: Tickets) -> None:
    kept = ticket(b"k" * 64)
    tickets.put(kept)
    assert tickets.take(kept.ticket) is None
