"""One MMDB file (MaxMind DB File Format 2.0), read by maxminddb's C reader."""

from __future__ import annotations

from pathlib import Path

import maxminddb

from edgeproxy.geo.copies import mappable
from edgeproxy.geo.layout import place
from edgeproxy.geo.verify import DamagedError, verify_apart
from edgeproxy.http.addresses import to_text
from edgeproxy.pipeline.exchange import NOWHERE, Place

# Addresses all over IPv4 and 2000::/3, which is what IANA gives out of IPv6: the golden
# ratio's multiples, which spread evenly.
_PROBES = tuple(
    to_text(base + number * ratio % (1 << bits))
    for base, bits, ratio in ((0xFFFF << 32, 32, 0x9E3779B1), (0x2000 << 112, 125, 0x9E3779B97F4A7C15F39CC0605CEDC835))
    for number in range(2048)
)


class Database:
    """An MMDB file, open. ``built`` is when it was made, in seconds since 1970; ``copy`` the file that is mapped."""

    def __init__(self, copy: Path) -> None:
        """Of a file that is whole. Raises DamagedError for one that says nothing of places and networks."""
        self.copy = copy
        try:
            self._reader = maxminddb.open_database(str(copy), maxminddb.MODE_MMAP_EXT)
        except (maxminddb.InvalidDatabaseError, ValueError):
            raise DamagedError("its metadata are of no known form") from None
        metadata = self._reader.metadata()
        self.built = float(metadata.build_epoch)
        self._knows_ipv6 = metadata.ip_version == 6
        records = [record for address in _PROBES if (record := self._record(address)) is not None]
        if records and all(place(record) == NOWHERE for record in records):
            raise DamagedError("it says neither country nor network of an address")

    def find(self, address: str) -> Place:
        """What it says of an IP address (canonical text)."""
        try:
            record = self._record(address)
        except DamagedError:  # that part of the tree goes in circles
            return NOWHERE
        return NOWHERE if record is None else place(record)

    def _record(self, address: str) -> object:
        if ":" in address and not self._knows_ipv6:
            return None
        try:
            return self._reader.get(address)
        except (maxminddb.InvalidDatabaseError, ValueError) as error:
            raise DamagedError(str(error)) from None

    def __repr__(self) -> str:
        return f"<Database {self._reader.metadata().database_type}>"


def open_database(path: str, folder: Path | None) -> Database:
    """The file at ``path``, gone through, by a copy in ``folder`` if there is one. Raises DamagedError and OSError."""
    try:
        return _open(path, folder)
    except FileNotFoundError:  # another worker may have removed the copy just now, being done with it
        return _open(path, folder)


def _open(path: str, folder: Path | None) -> Database:
    with mappable(path, folder, verify_apart) as copy:
        return Database(copy)
