"""Host names to addresses and services: /etc/hosts, DNS with its TTL, and the system for what DNS does not know."""

from __future__ import annotations

import asyncio
import importlib
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgeproxy.config.connections import ResolverConfig
from edgeproxy.config.units import parse_name_server
from edgeproxy.config.watch import Status, status

if TYPE_CHECKING:
    import dns.asyncresolver

MOST = 64  # addresses of one family, or services of one name, that are used
AT_ONCE = 32  # questions of one pool under way
KEPT = 2048  # answers kept until their TTL is over, so that endpoints of one name ask once
UNKNOWN_TTL = 0.5  # seconds that there is no such name: it may come at any time
HOSTS, SERVERS = "/etc/hosts", "/etc/resolv.conf"
HOSTS_BYTES = 1_000_000
LASTING = float("inf")  # the TTL of what tells none

Addresses = tuple[str, ...]


class Found(NamedTuple):
    """What a name leads to: addresses by family, in ascending order; None: it could not be found out now. ``ttl``:
    seconds for which it holds."""

    ipv4: Addresses | None
    ipv6: Addresses | None
    ttl: float = LASTING


class Service(NamedTuple):
    """One SRV record (RFC 2782): the lowest ``priority`` first, by ``weight`` among equals."""

    priority: int
    weight: int
    host: str
    port: int


class UnresolvedError(Exception):
    """A name has no answer now; its text says why."""


class _Answer(NamedTuple):
    """``records``: () if there are certainly none, None if that is not known; ``why``, of both. ``until``: its end, in
    monotonic seconds."""

    records: Sequence[Any] | None
    until: float
    why: str = ""

    @property
    def ttl(self) -> float:
        return max(0.0, self.until - time.monotonic()) if self.records else LASTING


class Names:
    """Looks names up as one pool is told to; made before the loop runs, asks within it."""

    def __init__(self, config: ResolverConfig) -> None:
        self._config = config
        self._hosts = None if config.servers else Hosts(HOSTS)
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._servers: Status = None  # of the system's, as the resolver knows them
        self._kept: dict[tuple[str, str], _Answer] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def addresses(self, host: str) -> Found:
        """All addresses of ``host``. Raises UnresolvedError if it has none, or there is no telling."""
        if self._hosts is not None and (static := self._hosts.find(host)):
            return Found(*by_family(static))
        ipv4, ipv6 = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"))
        found = Found(_addresses(ipv4.records), _addresses(ipv6.records), min(ipv4.ttl, ipv6.ttl))
        if found.ipv4 or found.ipv6:
            return found
        if self._hosts is not None and (found.ipv4, found.ipv6) != (None, None):  # DNS answered, so the system will
            return Found(*by_family(await self._of_system(host)))
        raise UnresolvedError(ipv4.why)

    async def services(self, name: str) -> tuple[tuple[Service, ...], float]:
        """The services at ``name`` by priority, heaviest first, and their TTL. Raises UnresolvedError if there are
        none."""
        answer = await self._ask(name, "SRV")
        services = sorted(
            (each.priority, -each.weight, each.target.to_text(), each.port)
            for each in answer.records or ()
            if each.port and each.target.to_text() != "."  # RFC 2782: a service decidedly not there
        )
        if not services:
            raise UnresolvedError(answer.why or "there is no such service")
        found = tuple(Service(priority, -weight, host, port) for priority, weight, host, port in services[:MOST])
        return found, answer.ttl

    async def _ask(self, name: str, kind: str) -> _Answer:
        """What DNS says; what it said is kept while it holds."""
        kept = self._kept.get((name, kind))
        if kept is not None and time.monotonic() < kept.until:
            return kept
        async with self._places:
            answer = await self._answer(name, kind)
        if len(self._kept) >= KEPT:
            self._kept.clear()
        self._kept[name, kind] = answer
        return answer

    async def _answer(self, name: str, kind: str) -> _Answer:
        if self._resolver is None:  # loading what it is made of takes a tenth of a second, the first time
            await asyncio.to_thread(importlib.import_module, "dns.asyncresolver")
        import dns.exception
        import dns.resolver

        soon = time.monotonic() + UNKNOWN_TTL
        try:
            answer = await self._current().resolve(name, kind, lifetime=self._config.timeout)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return _Answer((), soon, "there is no such name")
        except dns.resolver.NoResolverConfiguration:
            return _Answer((), soon, "no name server is configured")
        except dns.exception.Timeout:
            return _Answer(None, 0, "no name server answered in time")
        except (dns.exception.DNSException, UnicodeError) as error:
            return _Answer(None, 0, str(error)[:200] or type(error).__name__)
        return _Answer(list(answer), time.monotonic() + max(0, answer.chaining_result.minimum_ttl))

    def _current(self) -> dns.asyncresolver.Resolver:
        """The resolver; another one when the system's name servers have changed."""
        servers = None if self._config.servers else status(SERVERS)
        if self._resolver is None or servers != self._servers:
            self._resolver, self._servers = self._made(), servers
        return self._resolver

    def _made(self) -> dns.asyncresolver.Resolver:
        import dns.asyncresolver
        import dns.nameserver

        resolver = dns.asyncresolver.Resolver(SERVERS, configure=not self._config.servers)
        if self._config.servers:
            resolver.nameservers = [
                dns.nameserver.Do53Nameserver(*parse_name_server(server)) for server in self._config.servers
            ]
        resolver.use_search_by_default = True
        resolver.timeout = min(resolver.timeout, self._config.timeout)
        return resolver

    async def _of_system(self, host: str) -> list[str]:
        """Names that only the system knows: other sources of nsswitch.conf, multicast DNS."""
        try:
            async with asyncio.timeout(self._config.timeout):
                answers = await asyncio.get_running_loop().getaddrinfo(host.rstrip("."), None, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise UnresolvedError("the system's resolver did not answer in time") from None
        except (OSError, UnicodeError) as error:
            raise UnresolvedError(getattr(error, "strerror", None) or str(error)) from None
        return [str(address[0]) for *_, address in answers]

    def __repr__(self) -> str:
        return f"<Names by {', '.join(self._config.servers) or 'the system'}>"


class Hosts:
    """The names of a hosts file, read again when it changes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._status: Status = None
        self._known: Mapping[str, Sequence[str]] = {}

    def find(self, host: str) -> Sequence[str]:
        """The addresses of ``host`` there; none if it is not listed."""
        now = status(self._path)
        if now != self._status:
            self._status = now
            self._known = self._read()
        return self._known.get(host.rstrip(".").lower(), ())

    def _read(self) -> Mapping[str, Sequence[str]]:
        try:
            with Path(self._path).open("rb") as file:
                return parse_hosts(file.read(HOSTS_BYTES).decode("utf-8", "replace"))
        except OSError:
            return {}


def parse_hosts(text: str) -> dict[str, list[str]]:
    """Names, in lower case, to addresses (hosts(5)). Lines that are none are passed over."""
    known: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if is_address(address):
            for name in names:
                known.setdefault(name.lower(), []).append(address)
    return known


def by_family(addresses: Iterable[str]) -> tuple[Addresses, Addresses]:
    """IPv4 and IPv6 addresses, each once and in order; others are left out. A zone stays with its address."""
    found: tuple[set[str], set[str]] = (set(), set())
    for address in addresses:
        if is_address(address):
            found[":" in address].add(address)
    ipv4, ipv6 = (tuple(sorted(each, key=ip_address)[:MOST]) for each in found)
    return ipv4, ipv6


def together(found: Found, last: Found | None) -> Found:
    """``found`` with the ``last`` of a family that could not be found out."""
    if last is None:
        return found
    return Found(
        last.ipv4 if found.ipv4 is None else found.ipv4, last.ipv6 if found.ipv6 is None else found.ipv6, found.ttl
    )


def ways(found: Found) -> list[Addresses]:
    """One entry for each machine a name leads to: its address, then those it is reached by else.

    A name's two families lead to the same machines as a rule, so that using each address would count them twice. IPv4
    stands for a machine if there is any; which IPv6 address is the same one's nobody tells, so they are dealt out.
    """
    first, second = found.ipv4 or (), found.ipv6 or ()
    if not first:
        first, second = second, ()
    return [(address, *second[i :: len(first)]) for i, address in enumerate(first)]


def is_address(host: str) -> bool:
    """Whether ``host`` is an IP literal and needs no look-up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(records: Sequence[Any] | None) -> Addresses | None:
    if records is None:
        return None
    ipv4, ipv6 = by_family(record.address for record in records)
    return ipv4 or ipv6
