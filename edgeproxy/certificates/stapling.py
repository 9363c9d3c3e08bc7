"""Answers of OCSP responders, ahead of time: fetched once for all workers of a node, shown with their certificates.

They lie in the node's folder, so that one worker fetches what all show. No handshake ever waits for one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edgeproxy.certificates.leaf import Leaf
from edgeproxy.certificates.ocsp import LARGEST, Answer, answer, question

logger = logging.getLogger("edgeproxy.tls")

LOOK_EVERY: Final = 5.0  # seconds
TRY_EVERY: Final = 300  # seconds between questions about one certificate, of all workers together
WITHIN: Final = 10.0  # seconds for an answer

Fetch = Callable[[str, bytes], Awaitable[bytes]]


class Staples:
    """The answers a worker shows. ``folder`` is the node's."""

    def __init__(self, folder: Path, wall: Callable[[], float], fetch: Fetch | None = None) -> None:
        self._folder = folder / "ocsp"
        self._wall = wall
        self._fetch = fetch or fetch_answer
        self._answers: dict[str, Answer] = {}
        self._looked = 0.0
        self._task: asyncio.Task[None] | None = None

    def of(self, leaf: Leaf) -> Callable[[], bytes] | None:
        """What tells the answer for a certificate, b"" while there is none; None if nobody is to be asked about it."""
        if not leaf.responder:
            return None
        if len(leaf.chain) < 2:
            logger.warning("tls: no OCSP answers for %s: its file has no certificate of the authority", leaf.name)
            return None
        name = _file(leaf)
        return lambda: self._shown(name)

    def _shown(self, name: str) -> bytes:
        found = self._answers.get(name)
        return b"" if found is None or found.until <= self._wall() else found.response

    def look(self, leaves: Callable[[], Iterable[Leaf]]) -> None:
        """See to it that there are answers; to be called often, costs nothing as a rule."""
        now = self._wall()
        if now - self._looked < LOOK_EVERY or (self._task is not None and not self._task.done()):
            return
        self._looked = now
        due = [leaf for leaf in leaves() if leaf.responder and len(leaf.chain) > 1 and self._is_due(leaf, now)]
        if due:
            self._task = asyncio.get_running_loop().create_task(self._get(due))

    def _is_due(self, leaf: Leaf, now: float) -> bool:
        found = self._answers.get(_file(leaf))
        return found is None or now >= found.due

    async def _get(self, due: list[Leaf]) -> None:
        for leaf in due:
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                if not self._take(leaf) and self._claim(leaf):
                    await self._ask(leaf)
            except (OSError, ValueError) as error:
                missed = leaf.must_staple and not self._shown(_file(leaf))
                so = ", without which clients refuse it" if missed else ""
                logger.warning("tls: no OCSP answer for %s%s: %s", leaf.name, so, error)

    def _take(self, leaf: Leaf) -> bool:
        """Take what another worker has fetched. Raises OSError, ValueError."""
        name, now = _file(leaf), self._wall()
        try:
            found = answer(leaf, (self._folder / name).read_bytes(), now)
        except (FileNotFoundError, ValueError):  # its time is over: whoever wrote it has read it
            return False
        self._answers[name] = found
        return now < found.due

    def _claim(self, leaf: Leaf) -> bool:
        """Whether this worker is the one that asks, of all of the node, in this stretch of time. Raises OSError."""
        claim = self._folder / f"{_file(leaf)}.{int(self._wall() // TRY_EVERY)}"
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
        for other in self._folder.glob(f"{_file(leaf)}.*"):
            if other != claim:
                other.unlink(missing_ok=True)
        return True

    async def _ask(self, leaf: Leaf) -> None:
        """Raises OSError, ValueError."""
        try:
            response = await self._fetch(leaf.responder, question(leaf))
        except TimeoutError:
            raise ValueError(f"{leaf.responder} does not answer within {WITHIN:g}s") from None
        found = answer(leaf, response, self._wall())
        name = _file(leaf)
        whole = self._folder / f".{name}"
        whole.write_bytes(response)
        whole.replace(self._folder / name)
        self._answers[name] = found

    async def settled(self) -> None:
        """Wait until what the last look began has ended."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await self.settled()

    def __repr__(self) -> str:
        return f"<Staples {len(self._answers)}>"


async def fetch_answer(url: str, asked: bytes) -> bytes:
    """Put a question to a responder (RFC 6960 appendix A). Raises OSError, TimeoutError, ValueError."""
    import aiohttp  # late: for nobody whose certificates name no responder

    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError(f"{url!r} is no address of a responder")
    kind = {"content-type": "application/ocsp-request"}
    timeout = aiohttp.ClientTimeout(total=WITHIN)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=asked, headers=kind, allow_redirects=False) as told,
        ):
            if told.status != 200:
                raise ValueError(f"{url} answers {told.status}")
            body = await told.content.read(LARGEST + 1)
            while len(body) <= LARGEST and not told.content.at_eof():
                body += await told.content.read(LARGEST + 1 - len(body))
    except aiohttp.ClientError as error:
        raise ValueError(f"{url}: {type(error).__name__}") from None
    if len(body) > LARGEST:
        raise ValueError(f"{url} answers with more than {LARGEST} bytes")
    return body


def _file(leaf: Leaf) -> str:
    return hashlib.sha256(leaf.chain[0]).hexdigest()
