"""TLS sessions that QUIC clients may take up again, kept by all workers of a node together.

A ticket opens one session once: taking it out takes it away, under a lock, whichever worker does it. So early data that
is sent a second time finds no session, and is not read (RFC 8446 §8.1). The file has a fixed size, lies in the node's
folder, which is in memory where the system has a place for that, and goes with the node.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import mmap
import os
import struct
from collections.abc import Callable
from hashlib import blake2s
from pathlib import Path
from typing import Final

from qh3.tls import CipherSuite, SessionTicket

FILE: Final = "quic-sessions"
SLOTS: Final = 8192
SLOT: Final = 128  # bytes
SECRET_MOST: Final = 48  # of SHA-384
LIFETIME: Final = 86400.0  # seconds; what tickets are said to live
_RECORD: Final = struct.Struct("=16s16sdIHB48s")  # which ticket, of what settings, since when, age_add, cipher, secret


class Tickets:
    """The store. ``settings`` names what a session was made under: one of other settings is not taken up again.
    ``wall`` tells seconds. Raises OSError if the file cannot be made."""

    def __init__(self, folder: Path, settings: bytes, wall: Callable[[], float]) -> None:
        self._settings = blake2s(settings, digest_size=16).digest()
        self._wall = wall
        self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, SLOTS * SLOT)
        self._memory = mmap.mmap(self._file, SLOTS * SLOT)

    def put(self, ticket: SessionTicket) -> None:
        """Keep a session, in place of what stood there."""
        secret = ticket.resumption_secret
        if len(secret) > SECRET_MOST:
            return
        at, name = self._place(ticket.ticket)
        record = _RECORD.pack(
            name, self._settings, self._wall(), ticket.age_add, int(ticket.cipher_suite), len(secret), secret
        )
        self._swap(at, record)

    def take(self, ticket: bytes) -> SessionTicket | None:
        """The session of a ticket, which is then used up."""
        at, name = self._place(ticket)
        if self._memory[at : at + len(name)] != name:
            return None
        record = self._swap(at, bytes(_RECORD.size), name)
        found, settings, since, age_add, cipher, size, secret = _RECORD.unpack(record)
        if found != name or settings != self._settings or self._wall() - since > LIFETIME:
            return None
        begun = dt.datetime.fromtimestamp(since, dt.UTC).replace(tzinfo=None)  # qh3 counts so
        return SessionTicket(
            age_add=age_add,
            cipher_suite=CipherSuite(cipher),
            not_valid_after=begun + dt.timedelta(seconds=LIFETIME),
            not_valid_before=begun,
            resumption_secret=secret[:size],
            server_name="",
            ticket=ticket,
        )

    def close(self) -> None:
        self._memory.close()
        os.close(self._file)

    def _place(self, ticket: bytes) -> tuple[int, bytes]:
        name = blake2s(ticket, digest_size=16).digest()
        return int.from_bytes(name[:4], "big") % SLOTS * SLOT, name

    def _swap(self, at: int, record: bytes, name: bytes = b"") -> bytes:
        """Put a record in, if the one there is ``name``'s; returns what was there. One worker at a time."""
        end = at + _RECORD.size
        fcntl.lockf(self._file, fcntl.LOCK_EX, _RECORD.size, at)
        try:
            old = self._memory[at:end]
            if old.startswith(name):
                self._memory[at:end] = record
            return old
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _RECORD.size, at)

    def __repr__(self) -> str:
        return f"<Tickets {SLOTS} slots>"
