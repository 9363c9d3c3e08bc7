"""Asks a node for URLs, at a steady rate and a few at a time, and says what it answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from yarl import URL

from edgeproxy import __version__
from edgeproxy.cache import key as cache_key
from edgeproxy.http.headers import members
from edgeproxy.http.target import parse_authority

TRIES = 3  # of a URL, when the node says that it has had enough
LONGEST_PAUSE = 60.0  # seconds a node's Retry-After is followed
FAILURES = 10  # in a row without any answer: the node is not there
TIMEOUT = aiohttp.ClientTimeout(total=300, connect=10, sock_read=60)

# What browsers accept, so that the variants kept are those that browsers will ask for.
FIELDS: Mapping[str, str] = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "User-Agent": f"edgeproxy-warm/{__version__}",
}


class Outcome(NamedTuple):
    """One URL's answer. ``status`` is 0 where there was none, and ``error`` then says why. ``verdict``: ``hit``,
    ``stored``, ``passed``, or ``no cache`` where no cache of ours spoke (RFC 9211). ``size``: bytes of the body."""

    url: str
    status: int
    verdict: str
    size: int
    error: str = ""


class UnreachableError(Exception):
    """Nobody answers; the message says what was tried and what came of it."""


class Pacer:
    """Hands out turns, ``rate`` a second, none of them saved up."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._next = 0.0

    def turn(self, now: float) -> float:
        """Seconds from ``now`` until the caller's turn."""
        at = max(now, self._next)
        self._next = at + self._gap
        return at - now

    def hold(self, now: float, seconds: float) -> None:
        """No turn before that many seconds have passed."""
        self._next = max(self._next, now + seconds)


class Walk:
    """A client of one node; an asynchronous context manager.

    ``nodes``: where the node listens, by scheme: ``{"http": "127.0.0.1:8080"}``. ``rate`` a second, ``concurrency`` at
    a time. ``fields`` are sent beside :data:`FIELDS`. ``verify``: whether https must show a certificate that is good
    for the URL's host.
    """

    def __init__(
        self, nodes: Mapping[str, str], *, rate: float, concurrency: int, fields: Mapping[str, str], verify: bool = True
    ) -> None:
        self._nodes = nodes
        self._pacer = Pacer(rate)
        self._concurrency = concurrency
        self._fields = {**FIELDS, **fields}
        self._verify = verify
        self._failures = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self._concurrency, ssl=self._verify)
        self._session = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, auto_decompress=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, urls: Sequence[str], done: Callable[[Outcome], None]) -> None:
        """Ask for every URL; ``done`` is called with each outcome. Raises UnreachableError, and ValueError before
        anything is asked if there are URLs the node has no address for."""
        for scheme in ("http", "https"):
            count = sum(url.startswith(f"{scheme}://") for url in urls)
            if count and scheme not in self._nodes:
                raise ValueError(f"no {scheme} address of the node is given, and {count} of the URLs are {scheme}")
        left = iter(urls)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(self._work(left, done))
        except* UnreachableError as errors:
            raise errors.exceptions[0] from None

    async def _work(self, left: Iterator[str], done: Callable[[Outcome], None]) -> None:
        for url in left:
            done((await self.get(url))[0])

    async def get(self, url: str, largest: int = 0) -> tuple[Outcome, bytes]:
        """One URL's outcome, and its body as far as ``largest`` bytes. Raises UnreachableError; ValueError for a URL
        the node has no address for."""
        scheme = url.partition("://")[0]
        if scheme not in self._nodes:
            raise ValueError(f"no {scheme} address of the node is given for {url}")
        body = bytearray()
        for attempt in range(1, TRIES + 1):
            await asyncio.sleep(self._pacer.turn(asyncio.get_running_loop().time()))
            body.clear()
            try:
                outcome, pause = await self._once(url, body, largest)
            except (aiohttp.ClientError, TimeoutError) as error:
                self._failures += 1
                outcome, pause = Outcome(url, 0, "", 0, str(error) or type(error).__name__), 0.0
                if self._failures >= FAILURES:
                    raise UnreachableError(
                        f"{FAILURES} URLs in a row got no answer, {url} last: {outcome.error}"
                    ) from None
            else:
                self._failures = 0
            if not pause or attempt == TRIES:
                break
            self._pacer.hold(asyncio.get_running_loop().time(), pause)
        return outcome, bytes(body)

    async def _once(self, url: str, body: bytearray, largest: int) -> tuple[Outcome, float]:
        """The outcome, and for how long the node wants to be left alone: seconds, 0 for not at all."""
        site, target = cache_key.split(url.encode("ascii"))
        scheme, _, authority = site.decode("ascii").partition("://")
        if self._session is None:
            raise RuntimeError("not entered")
        host = parse_authority(authority.encode("ascii"), scheme.encode("ascii")).host.decode("ascii")
        size = 0
        async with self._session.get(
            URL(f"{scheme}://{self._nodes[scheme]}{target.decode('ascii')}", encoded=True),
            headers={"Host": authority, **self._fields, **({"Accept-Encoding": "identity"} if largest else {})},
            server_hostname=host if scheme == "https" else None,
            allow_redirects=False,
        ) as answer:
            async for chunk in answer.content.iter_any():
                size += len(chunk)
                body += chunk[: max(0, largest - len(body))]
            told = answer.headers.get("Retry-After", "")
            pause = min(float(told), LONGEST_PAUSE) if answer.status in {429, 503} and told.isdigit() else 0.0
            verdict = verdict_of(", ".join(answer.headers.getall("Cache-Status", [])))
        return Outcome(url, answer.status, verdict, size), pause


def verdict_of(cache_status: str) -> str:
    """What the nearest cache did (RFC 9211 §2): the last member is the one next to the client."""
    caches = members(cache_status.encode("latin-1"))
    if not caches:
        return "no cache"
    words = {part.strip() for part in caches[-1].split(b";")[1:]}
    return "hit" if b"hit" in words else "stored" if b"stored" in words else "passed"
