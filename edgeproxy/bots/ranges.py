"""The address ranges crawlers' operators publish: ``{"prefixes": [{"ipv4Prefix": …}, {"ipv6Prefix": …}]}``, from URLs
or files, read in the background and kept while their source is away."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from edgeproxy.http.addresses import AddressSet

if TYPE_CHECKING:
    import aiohttp

LONGEST = 4 * 1024 * 1024  # bytes of a file
MOST = 50_000  # prefixes of a file
WIDEST = {4: 8, 6: 16}  # prefix lengths; nobody crawls from more, and one slip must not verify everyone
PATIENCE = 30.0  # seconds for one file
RETRY = 60.0  # seconds until a failed one is read again, then twice that, up to ``every``

Network = IPv4Network | IPv6Network
Load = Callable[[str], Awaitable[bytes]]

logger = logging.getLogger("edgeproxy")


class RangesError(ValueError):
    """A document holds no address ranges that could be used; the text says why."""


def parse(document: bytes) -> list[Network]:
    """The prefixes in a published file. Raises RangesError."""
    try:
        told = json.loads(document)
    except (ValueError, RecursionError):
        raise RangesError("it is not JSON") from None
    prefixes = told.get("prefixes") if isinstance(told, dict) else None
    if not isinstance(prefixes, list) or not 0 < len(prefixes) <= MOST:
        raise RangesError(f"it has no list named prefixes with 1 to {MOST} entries")
    return [_network(prefix) for prefix in prefixes]


def _network(prefix: object) -> Network:
    text = prefix.get("ipv4Prefix", prefix.get("ipv6Prefix")) if isinstance(prefix, dict) else None
    try:
        network = ip_network(str(text))
    except ValueError:
        raise RangesError(f"{str(prefix)[:80]} is no prefix") from None
    if network.prefixlen < WIDEST[network.version]:
        raise RangesError(f"{network} is too wide to be a crawler's")
    return network


class Ranges:
    """Keeps the ``sources`` (URLs and files, by crawler) read, every so many seconds, and gives each crawler's
    addresses. What a source said last counts until it says something else."""

    def __init__(self, sources: Mapping[str, tuple[str, ...]], load: Load, every: float) -> None:
        self._sources = {crawler: places for crawler, places in sources.items() if places}
        self._load = load
        self._every = every
        self._read: dict[str, list[Network]] = {}
        self._sets: dict[str, AddressSet] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def of(self, crawler: str) -> AddressSet | None:
        """A crawler's addresses; None as long as not all its sources have been read."""
        return self._sets.get(crawler)

    async def start(self) -> None:
        """Begin reading."""
        places = dict.fromkeys(place for listed in self._sources.values() for place in listed)
        self._tasks = [asyncio.create_task(self._keep(place)) for place in places]

    async def stop(self) -> None:
        """Read no further."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, place: str) -> None:
        failures = 0
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    self._take(place, parse(await self._load(place)))
                failures = 0
            except Exception as error:  # noqa: BLE001 -- whatever the source does, what it said last stays
                failures += 1
                kept = "keeping what there is" if place in self._read else "nothing there yet"
                logger.warning("crawlers: %s: %s: %s; %s", place, type(error).__name__, error, kept)
            pause = min(self._every, RETRY * 2 ** min(failures - 1, 16)) if failures else self._every
            await asyncio.sleep(pause * random.uniform(0.9, 1.0))

    def _take(self, place: str, networks: list[Network]) -> None:
        if self._read.get(place) == networks:
            return
        self._read[place] = networks
        for crawler, places in self._sources.items():
            if place in places and all(other in self._read for other in places):
                self._sets[crawler] = AddressSet(network for other in places for network in self._read[other])

    def __repr__(self) -> str:
        return f"<Ranges of {len(self._sets)} of {len(self._sources)} crawlers>"


def loader(http: Callable[[], aiohttp.ClientSession]) -> Load:
    """Reads a URL (status 200, no redirect) or a file, at most 4 MiB of it."""

    async def load(place: str) -> bytes:
        if not place.startswith(("http://", "https://")):
            return await asyncio.to_thread(_read_file, place)
        async with http().get(place, headers={"accept": "application/json"}, allow_redirects=False) as answer:
            if answer.status != 200:
                raise RangesError(f"it answered {answer.status}")
            document = bytearray()
            async for chunk in answer.content.iter_chunked(65536):
                document += chunk
                _check_size(len(document))
            return bytes(document)

    return load


def _read_file(path: str) -> bytes:
    with Path(path).open("rb") as file:
        document = file.read(LONGEST + 1)
    _check_size(len(document))
    return document


def _check_size(size: int) -> None:
    if size > LONGEST:
        raise RangesError(f"it has more than {LONGEST} bytes")
