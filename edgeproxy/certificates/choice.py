"""Which certificate a handshake gets: from files, from an authority's store, or one made up until there is another."""

from __future__ import annotations

import hashlib
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeproxy.certificates.challenge import PROTOCOL, Proofs
from edgeproxy.certificates.demanded import Demanded
from edgeproxy.certificates.leaf import Leaf, read
from edgeproxy.certificates.stopgap import self_signed
from edgeproxy.certificates.store import SETTLED, CertificateStore
from edgeproxy.config.tls import TlsConfig
from edgeproxy.tls import openssl
from edgeproxy.tls.context import Pair, load, load_bytes, new_context
from edgeproxy.tls.tickets import TicketKeys

if TYPE_CHECKING:
    from edgeproxy.config.acme import AcmeConfig

logger = logging.getLogger("edgeproxy.tls")

PROTOCOLS: Final = ("http/1.1",)
COMPLAIN_EVERY: Final = 12 * 3600.0  # seconds

Status = tuple[tuple[int, int, int], ...]
"""Of each file: modified (ns), size, inode."""


class Served:
    """A certificate in use, and the state of its files when they were read."""

    __slots__ = ("leaf", "pair", "status")

    def __init__(self, pair: Pair, leaf: Leaf, status: Status) -> None:
        self.pair = pair
        self.leaf = leaf
        self.status = status


class Certificates:
    """One listener's certificates. A connection begins with :attr:`context`; its handshake moves on to another one if
    the name asked for has that.

    :meth:`reload` reads the files that have changed: handshakes from then on see the new ones, connections that stand
    are not touched. What cannot be read leaves all as it was and raises OSError or ValueError. :meth:`look` does so for
    the store, and never raises.
    """

    def __init__(
        self,
        config: TlsConfig,
        acme: AcmeConfig | None = None,
        *,
        secret: bytes = b"",
        protocols: Sequence[str] = PROTOCOLS,
        staple: Callable[[Leaf], Callable[[], bytes] | None] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._acme = acme
        self._protocols = protocols
        self._staple = staple
        self._wall = wall
        self._secret = secret
        self._tickets = TicketKeys(b"", b"", wall)
        self._known: dict[Pair, Served] = {}
        self._contexts: dict[tuple[Served, ...], ssl.SSLContext] = {}
        self._names: Mapping[str, ssl.SSLContext] = {}
        self._served: list[Served] = []
        self._named: Mapping[str, Served] = {}
        self._named_of: list[Served] | None = None  # the list that was made of
        self._stopgap: ssl.SSLContext | None = None
        self._authority: Status = ()
        self._failed: set[Pair] = set()
        self._missing: tuple[str, ...] = ()
        self._complain_at = 0.0
        self._store: CertificateStore | None = None
        self._store_moved = 0
        self._demanded: Demanded | None = None
        self.proofs: Proofs | None = None
        if acme is not None and (config.acme or config.on_demand):
            self._store = CertificateStore(Path(acme.folder))
            self.proofs = Proofs(self._store, self._proof, wall)
            if config.on_demand and acme.on_demand is not None:
                self._demanded = Demanded(self._store, acme.on_demand.permits, self._alone, wall)
        self.context: ssl.SSLContext
        self.reload()

    # Reading.

    def reload(self) -> None:
        """Read what has changed. Raises OSError or ValueError."""
        files = [(pair.certificate, pair.key) for pair in self._config.certificates]
        authority = () if self._config.client_ca is None else _status((self._config.client_ca,))
        if authority != self._authority:
            self._contexts.clear()
        served = [self._read(pair) for pair in files]
        served += self._stored()
        self._use(served)
        self._authority = authority
        self._seal()

    def look(self) -> None:
        """Take what the store has got meanwhile, say what has not long to live, change keys of tickets when it is
        time."""
        if self._moved():
            files = self._served[: len(self._config.certificates)]
            try:
                self._use(files + self._stored())
            except (OSError, ValueError) as error:
                logger.error("tls: certificates not taken from the store: %s", error)
        self._tickets.give(self.context)
        if self._wall() >= self._complain_at:
            self._complain()

    def _moved(self) -> bool:
        """Whether a file may have come into the store or gone from it."""
        if self._store is None or not self._config.acme:
            return False
        try:
            moved = self._store.certificates.stat().st_mtime_ns
        except OSError:
            return False
        if moved == self._store_moved and self._wall() - moved / 1e9 > SETTLED:
            return False
        self._store_moved = moved
        return True

    def _read(self, pair: Pair) -> Served:
        status = _status(pair)
        known = self._known.get(pair)
        return known if known is not None and known.status == status else Served(pair, read(pair[0]), status)

    def _stored(self) -> list[Served]:
        """The certificates of ``tls.acme`` that are there; of one that cannot be read, what was there before."""
        found: dict[Pair, Served] = {}
        missing = []
        for name in self._config.acme:
            pair = self._file(name)
            if pair is None:
                missing.append(name)
            elif pair not in found:
                one = self._try(name, pair)
                if one is None:
                    missing.append(name)
                else:
                    found[pair] = one
        if missing and tuple(missing) != self._missing:
            logger.warning("tls: no certificate yet for %s", ", ".join(missing[:10]) + ", …" * (len(missing) > 10))
        self._missing = tuple(missing)
        return list(found.values())

    def _file(self, name: str) -> Pair | None:
        """The file in the store that has the certificate of a name: its own, or its group's."""
        if self._store is None or self._acme is None:
            return None
        for one in (name, *self._acme.group_of(name)):
            path = self._store.certificate(one)
            if path.is_file():
                return str(path), str(path)
        return None

    def _try(self, name: str, pair: Pair) -> Served | None:
        try:
            one = self._read(pair)
            self._context_for((one,))
        except (OSError, ValueError) as error:
            if pair not in self._failed:
                self._failed.add(pair)
                logger.error("tls: the certificate of %s in the store cannot be used: %s", name, error)
            return self._known.get(pair)
        self._failed.discard(pair)
        return one

    def _use(self, served: list[Served]) -> None:
        """Put these into service, or raise and leave those that are."""
        names: dict[str, list[Served]] = {}
        for one in served:
            for name in one.leaf.names:
                group = names.setdefault(name, [])
                if all(other.leaf.kind != one.leaf.kind for other in group):
                    group.append(one)
        contexts = {name: self._context_for(group) for name, group in names.items()}
        first = contexts.get(served[0].leaf.name) or self._context_for(served[:1]) if served else self._made_up()
        if set(served) - set(self._served):
            self._complain_at = 0.0
        first.sni_callback = self._choose
        self.context, self._names, self._served = first, contexts, served
        self._known = {one.pair: one for one in served}
        alive = {id(context) for context in contexts.values()} | {id(first)}
        self._contexts = {key: context for key, context in self._contexts.items() if id(context) in alive}

    def _context_for(self, group: Sequence[Served]) -> ssl.SSLContext:
        key = tuple(group)
        context = self._contexts.get(key)
        if context is None:
            context = new_context(self._config, self._protocols)
            for one in group:
                self._show(context, one)
            self._contexts[key] = context
        return context

    def _show(self, context: ssl.SSLContext, one: Served) -> None:
        """Raises OSError or ValueError."""
        try:
            load(context, *one.pair)
        except (OSError, ValueError) as error:
            raise ValueError(f"{error} ({', '.join(dict.fromkeys(one.pair))})") from None
        response = None if self._staple is None else self._staple(one.leaf)
        if response is not None:
            openssl.staple(context, response)

    def _alone(self, path: Path) -> ssl.SSLContext:
        """A context with one file of the store. Raises OSError or ValueError."""
        context = new_context(self._config, self._protocols)
        load(context, str(path), str(path))
        return context

    def _proof(self, path: Path) -> ssl.SSLContext:
        context = new_context(self._config, (PROTOCOL,))
        load(context, str(path), str(path))
        return context

    def _made_up(self) -> ssl.SSLContext:
        if self._stopgap is None:
            self._stopgap = new_context(self._config, self._protocols)
            load_bytes(self._stopgap, self_signed(self._config.acme, self._wall()))
            logger.warning("tls: a self-signed certificate is shown until there is another")
        return self._stopgap

    def _seal(self) -> None:
        """Keys of tickets: from the secret, and for clients that are checked in the same way."""
        checked = self._config.client_certificate.encode()
        if self._config.client_ca is not None:
            checked += Path(self._config.client_ca).read_bytes()
        self._tickets.replace(self._config.tickets() or self._secret, hashlib.sha256(checked).digest())
        self._tickets.give(self.context)

    # Choosing.

    def _choose(self, connection: ssl.SSLObject, server_name: str | None, now: ssl.SSLContext) -> None:
        name = (server_name or "").lower()
        connection.server_name = name  # type: ignore[attr-defined]
        names = self._names
        context = names.get(name) or names.get("*." + name.partition(".")[2])
        if context is None:
            demanded = self._demanded
            context = (demanded.get(name) if demanded is not None else None) or self.context
        if context is not now:  # a sixth of a handshake
            connection.context = context

    def served(self, name: str) -> Served | None:
        """The certificate for a name, for those who shake hands without a context: QUIC. None while there is none."""
        names = self._by_name()
        return (
            names.get(name) or names.get("*." + name.partition(".")[2]) or (self._served[0] if self._served else None)
        )

    def _by_name(self) -> Mapping[str, Served]:
        if self._named_of is not self._served:
            self._named_of = self._served
            self._named = {name: one for one in reversed(self._served) for name in one.leaf.names}
        return self._named

    # Showing.

    def leaves(self) -> list[Leaf]:
        """Those in service, each once."""
        return [one.leaf for one in self._served]

    def stapled(self) -> list[Leaf]:
        """Those that are to be shown with OCSP answers."""
        return [] if self._staple is None else self.leaves()

    def _complain(self) -> None:
        now = self._wall()
        self._complain_at = now + COMPLAIN_EVERY
        for one in self._served:
            complaint = one.leaf.complaint(now)
            if complaint:
                logger.warning("tls: the certificate of %s %s (%s)", one.leaf.name, complaint, one.pair[0])

    def __repr__(self) -> str:
        return f"<Certificates {len(self._served)} for {len(self._names)} names>"


def _status(files: Iterable[str]) -> Status:
    """Raises OSError."""
    found = []
    for file in files:
        stat = Path(file).stat()
        found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
