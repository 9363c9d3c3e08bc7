"""Keeps a key set fresh, from a URL or a file, in the background; the last good one stays while its source is away."""

from __future__ import annotations

import asyncio
import logging
import pathlib
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from edgeproxy.clock import Clock
from edgeproxy.jose.keys import KeysError, KeySet, from_document

if TYPE_CHECKING:
    import aiohttp

MAX_BYTES = 256 * 1024
TIMEOUT = 10.0
JWK_SET = "application/jwk-set+json, application/json"
EAGER = 1.0  # seconds between attempts as long as there are no keys at all

Load = Callable[[], Awaitable[bytes]]

logger = logging.getLogger("edgeproxy")


class KeySource:
    """Where keys come from; this one has them, once and for all.

    ``renews``: newer ones may come. ``begun`` and ``ended`` count the attempts to get them, ``failures`` those that
    failed since the last good one.
    """

    def __init__(self, keys: KeySet | None) -> None:
        self.keys = keys
        self.renews = False
        self.begun = 0
        self.ended = 0
        self.failures = 0

    async def start(self, patience: float) -> None:
        """Begin background work, waiting up to ``patience`` seconds for its first result."""

    async def stop(self) -> None:
        """End background work."""

    def want(self) -> None:
        """A token needs a key that is not here: look for a newer set as soon as that may be."""

    async def attempted(self) -> None:
        """Wait for the end of the attempt under way, or else of the next; also returns when the source stops."""


class FreshKeys(KeySource):
    """A key set that renews itself every ``every`` seconds, and when :meth:`want` says that it is stale, then at most
    once in ``at_most`` seconds. A failed attempt is repeated after ``at_most``, then twice that, up to ``every``; from
    one second on as long as there are no keys at all.

    ``keys`` may be None until the first success. ``parse`` makes a set of what was loaded. ``count`` is told the
    outcome of each attempt, ``ok`` or ``failed``.
    """

    def __init__(
        self,
        load: Load,
        name: str,
        clock: Clock,
        *,
        keys: KeySet | None,
        every: float,
        at_most: float,
        count: Callable[[str], None],
        parse: Callable[[bytes], KeySet] = from_document,
    ) -> None:
        super().__init__(keys)
        self._load = load
        self._name = name
        self._clock = clock
        self._every = every
        self._at_most = at_most
        self._count = count
        self._parse = parse
        self._document = b""
        self._attempted = -at_most
        self._wanted = asyncio.Event()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, patience: float) -> None:
        self._task = asyncio.create_task(self._run())
        self.renews = True
        try:
            async with asyncio.timeout(patience):
                await self.attempted()
        except TimeoutError:
            logger.warning("keys: no answer yet from %s; going on without, trying further", self._name)

    async def stop(self) -> None:
        task, self._task = self._task, None
        self.renews = False
        self._tell()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def want(self) -> None:
        self._wanted.set()

    async def attempted(self) -> None:
        await self._news.wait()

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            self.begun += 1
            await self._attempt()
            self.ended = self.begun
            self._tell()
            try:
                # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the event.
                async with asyncio.timeout(self._pause()):
                    await self._wanted.wait()
                    await asyncio.sleep(self._attempted + self._least() - self._clock.monotonic())
            except TimeoutError:
                pass

    def _tell(self) -> None:
        """Wake who waits; who comes from now on waits for the next attempt."""
        self._news.set()
        self._news = asyncio.Event()

    def _pause(self) -> float:
        """Seconds to the next attempt; spread by a tenth, so that workers do not ask all at once."""
        pause = self._every
        if self.failures:
            pause = min(pause, self._least() * 2 ** min(self.failures - 1, 16))
        return pause * random.uniform(0.9, 1.0)

    def _least(self) -> float:
        return self._at_most if self.keys else min(EAGER, self._at_most)

    async def _attempt(self) -> None:
        self._attempted = self._clock.monotonic()
        try:
            document = await self._load()
            keys = self.keys if document == self._document else self._parse(document)
        except Exception as error:  # noqa: BLE001 -- whatever the source does, the last good keys stay
            self.failures += 1
            self._count("failed")
            kept = "keeping the keys there are" if self.keys else "no keys yet"
            logger.warning("keys: %s: %s: %s; %s", self._name, type(error).__name__, error, kept)
            return
        self.failures = 0
        self._count("ok")
        if keys is not self.keys:
            self.keys = keys
            self._document = document
            logger.info("keys: %s: %d keys", self._name, len(keys.keys) if keys else 0)

    def __repr__(self) -> str:
        return f"<FreshKeys {self._name} {self.keys!r} after {self.failures} failures>"


def from_url(url: str, http: Callable[[], aiohttp.ClientSession], accept: str = JWK_SET) -> Load:
    """A loader for a JWK Set at ``url``: status 200, no redirect, at most 256 KiB, within 10 s."""

    async def load() -> bytes:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        headers = {"accept": accept}
        async with http().get(url, timeout=timeout, headers=headers, allow_redirects=False) as answer:
            if answer.status != 200:
                raise KeysError(f"it answered {answer.status}")
            document = bytearray()
            async for chunk in answer.content.iter_chunked(65536):
                document += chunk
                if len(document) > MAX_BYTES:
                    raise KeysError(f"it sent more than {MAX_BYTES} bytes")
            return bytes(document)

    return load


def from_file(path: str) -> Load:
    """A loader for PEM or a JWK Set in a file, read away from the loop."""

    async def load() -> bytes:
        return await asyncio.to_thread(read_file, path)

    return load


def read_file(path: str) -> bytes:
    with pathlib.Path(path).open("rb") as file:
        document = file.read(MAX_BYTES + 1)
    if len(document) > MAX_BYTES:
        raise KeysError(f"{path} has more than {MAX_BYTES} bytes")
    return document
