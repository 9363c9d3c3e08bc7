"""One feed, kept fresh in the background; the last good list stays while its source is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgeproxy.clock import Clock
from edgeproxy.feeds.fetch import UnavailableError, fetch
from edgeproxy.feeds.judge import Listed
from edgeproxy.feeds.parse import LARGEST, Broadest, FeedError, Form, Parsed, parse
from edgeproxy.feeds.store import NOTHING, Kept, Store, digest_of

if TYPE_CHECKING:
    import aiohttp

LOOK_EVERY = 5.0  # seconds between looks at the file, or at what another worker has fetched
EAGER = 0.5  # the same as long as there is no list at all
PATIENCE = 2.0  # seconds a start waits for the first list
RETRY, RETRY_MOST = 30.0, 3_600.0  # seconds to the second attempt after a failure, and at most
RETRY_WITHOUT = 2.0  # seconds to the second attempt as long as there is no list at all
SHRINKS_TO = 0.1  # a list of LARGE networks that is suddenly less than this share of itself is not believed
LARGE = 100

logger = logging.getLogger("edgeproxy")


class Reading(NamedTuple):
    """What all feeds need. ``listed`` is filled, and ``changed`` called each time it has been; ``told`` hears the
    feed's name and the outcome of each attempt to have a newer list: ``ok``, ``unchanged``, ``failed`` (it could not be
    had) or ``refused`` (it is damaged)."""

    listed: Listed
    form: Form
    broadest: Broadest
    clock: Clock
    changed: Callable[[], None]
    told: Callable[[str, str], None]


class Feed:
    """What file and URL have in common."""

    def __init__(self, reading: Reading) -> None:
        self.name = reading.listed.name
        self.networks = 0
        self.confirmed: float | None = None
        """When the source last said that the list in service is its own, in seconds since 1970."""
        self._reading = reading
        self._clock = reading.clock
        self._digest = ""
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, and wait a moment for the first list."""
        first = asyncio.Event()
        self._task = asyncio.create_task(self._run(first))
        try:
            async with asyncio.timeout(PATIENCE):
                await first.wait()
        except TimeoutError:
            logger.warning("feeds: %s: no list yet; going on without, trying further", self.name)

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self) -> None:
        """See whether there is a newer list, and take it."""
        raise NotImplementedError

    async def _run(self, first: asyncio.Event) -> None:
        while True:
            await self.look()
            first.set()
            await asyncio.sleep(LOOK_EVERY if self._digest else EAGER)

    async def _judge(self, content: bytes) -> Parsed:
        """Raises FeedError if the list is not to be believed."""
        found = await asyncio.to_thread(parse, content, self._reading.form, self._reading.broadest, _pause)
        self._believe(found)
        return found

    def _believe(self, found: Parsed) -> None:
        if self.networks >= LARGE and found.networks < SHRINKS_TO * self.networks:
            raise FeedError(f"{found.networks} networks, after {self.networks}")

    def _take(self, found: Parsed, digest: str, confirmed: float) -> None:
        self.networks, self._digest, self.confirmed = found.networks, digest, confirmed
        self._reading.listed.addresses = found.addresses
        self._reading.changed()
        skipped = f", {found.skipped} lines skipped" if found.skipped else ""
        logger.info("feeds: %s: %d networks%s", self.name, found.networks, skipped)

    def _failed(self, error: Exception) -> None:
        self._reading.told(self.name, "refused" if isinstance(error, FeedError) else "failed")
        if not self._failing:  # once, not at every attempt
            self._failing = True
            ours = isinstance(error, FeedError | UnavailableError)  # others may quote the URL
            said = error if ours else type(error).__name__
            kept = "keeping the list there is" if self._digest else "no list yet"
            logger.warning("feeds: %s: %s; %s", self.name, said, kept)

    def _succeeded(self, outcome: str) -> None:
        self._reading.told(self.name, outcome)
        if self._failing:
            self._failing = False
            logger.info("feeds: %s: its source is back", self.name)

    def __repr__(self) -> str:
        return f"<Feed {self.name}: {self.networks} networks>"


class FileFeed(Feed):
    """A list in a file, read again when it has changed and stands still."""

    def __init__(self, reading: Reading, path: str) -> None:
        """Read it for the first time. Raises ValueError naming the file if it cannot be used."""
        super().__init__(reading)
        self._path = Path(path)
        try:
            self._tried = self._seen = self._signature()
            content = self._read()
            self._take(parse(content, reading.form, reading.broadest), digest_of(content), self._clock.wall())
        except (OSError, FeedError) as error:
            raise ValueError(f"{path} cannot be used: {error}") from None

    async def look(self) -> None:
        try:
            before, self._seen = self._seen, self._signature()
            if self._seen == self._tried and not self._failing:
                self.confirmed = self._clock.wall()
            if self._seen == self._tried or self._seen != before:
                return
            self._tried = self._seen
            content = await asyncio.to_thread(self._read)
            self._take(await self._judge(content), digest_of(content), self._clock.wall())
        except (OSError, FeedError) as error:
            self._failed(error)
        else:
            self._succeeded("ok")

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            return file.read(LARGEST + 1)

    def _signature(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_ino, found.st_size


class UrlFeed(Feed):
    """A list at a URL, asked for anew every ``refresh`` seconds by one of the node's workers, which the others follow:
    publishers count how often they are asked."""

    def __init__(
        self, reading: Reading, url: str, refresh: float, folder: Path, http: Callable[[], aiohttp.ClientSession]
    ) -> None:
        """``folder`` is where the workers keep it."""
        super().__init__(reading)
        self._url = url
        self._refresh = refresh
        self._http = http
        self._store = Store(folder, self.name, url)
        self._own = NOTHING

    async def look(self) -> None:
        try:
            state = await self._follow()
            if self._due(state):
                with self._store.turn() as ours:
                    if ours:
                        state = await self._follow()  # somebody else may just have been
                        if self._due(state):
                            await self._ask(state)
        except OSError as error:  # the folder
            self._failed(error)

    async def _follow(self) -> Kept:
        """Take what is kept, if it is another list than the one in service."""
        state = await asyncio.to_thread(self._store.state)
        if self._own.asked > state.asked:  # what could not be written
            return self._own
        if not state.digest or state.digest == self._digest:
            self.confirmed = state.confirmed or self.confirmed
            return state
        content = await asyncio.to_thread(self._store.content, state.digest)
        if content is None:
            return NOTHING  # half of it is lost: it is fetched whole
        try:
            self._take(await self._judge(content), state.digest, state.confirmed)
        except FeedError as error:
            self._failed(error)
            return NOTHING
        return state

    def _due(self, state: Kept) -> bool:
        now = self._clock.wall()
        if state.failures:
            first = RETRY if state.digest else RETRY_WITHOUT
            wait = min(first * 2 ** min(state.failures - 1, 16), RETRY_MOST)
            return not state.asked <= now < state.asked + wait
        return not state.confirmed <= now < state.confirmed + self._refresh  # also when the clock was set back

    async def _ask(self, state: Kept) -> None:
        """Ask the source, and keep what it says: the list, that it is unchanged, or that it failed once more."""
        now = self._clock.wall()
        content: bytes | None = None
        try:
            fetched = await fetch(self._url, self._http, state)
            if fetched is not None:
                found = await self._judge(fetched.content)
                content, digest = fetched.content, digest_of(fetched.content)
                self._take(found, digest, now)
                state = Kept(digest, fetched.etag, fetched.modified)
        except Exception as error:  # noqa: BLE001 -- whatever the source does, the last good list stays
            self._failed(error)
            state = state._replace(asked=now, failures=state.failures + 1)
        else:
            self._succeeded("unchanged" if content is None else "ok")
            self.confirmed = now
            state = state._replace(confirmed=now, asked=now, failures=0)
        self._own = state
        await asyncio.to_thread(self._store.keep, state, content)


def _pause() -> None:
    """Let the loop's thread on: it would wait five milliseconds for the interpreter's lock."""
    time.sleep(0.0002)
