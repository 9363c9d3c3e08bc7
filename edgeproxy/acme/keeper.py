"""The supervisor's part: starts a run when something is due, and keeps the folder as new as what other nodes have.

A run is a process of its own (``edgeproxy certificates renew``): what it loads serves nobody, and an authority that
hangs holds nothing up. Workers see for themselves what changes in the folder.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import random
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgeproxy.acme import state
from edgeproxy.acme.files import AUTHORITY, Files
from edgeproxy.acme.names import listed
from edgeproxy.clock import Clock
from edgeproxy.config.acme import AcmeConfig
from edgeproxy.config.redis import RedisConfig
from edgeproxy.config.schema import Config
from edgeproxy.observe.metrics import Metrics
from edgeproxy.redis.link import UnavailableError, end

if TYPE_CHECKING:
    from edgeproxy.acme.region import Region

logger = logging.getLogger("edgeproxy.acme")

LOOK = 1.0  # seconds between looks at what clients asked for and other nodes have written
READ = 300.0  # seconds after which all states are read again, whatever has changed
AGAIN, AGAIN_LONGEST = 10.0, 60.0  # seconds between runs that leave something due
BROKEN_WAIT = 600.0  # seconds after a run that did not come to its end
MEND = 60.0  # seconds between looks at a folder that cannot be used
TOGETHER = 5.0  # seconds over which nodes that share certificates begin
RUN_MOST = 1_900.0  # seconds of a run, beside the time for its last order
STOP_WITHIN = 10.0  # seconds for a run to take its challenges away

DONE, FAILED, BROKEN = "done", "failed", "broken"
_OUTCOMES = {0: DONE, 1: FAILED}


class Keeper:
    """One node's. ``use`` begins, or goes on with another configuration; ``close`` ends."""

    def __init__(self, metrics: Metrics, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._config: AcmeConfig | None = None
        self._settings: RedisConfig | None = None
        self._text, self._path = "", ""
        self._names: tuple[str, ...] = ()
        self._files: Files | None = None
        self._region: Region | None = None
        self._node = secrets.token_hex(8)
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._next = 0.0  # when something is due, by what was read last
        self._authority_retry = 0.0  # until when the authority is left alone
        self._read_at = -math.inf
        self._not_before = -math.inf  # when the next run may begin, monotonic
        self._changed = True
        self._missed = False  # the log was told that Redis is away
        self._counts = {"valid": 0, "missing": 0, "failing": 0}
        self._runs = metrics.counter("edgeproxy_acme_runs_total", "Runs that order certificates.", ("outcome",))
        metrics.gauge(
            "edgeproxy_acme_certificates",
            "Certificates that renew themselves: valid, missing, or failing to be renewed.",
            ("state",),
            lambda: [((name,), float(count)) for name, count in self._counts.items()],
        )

    async def use(self, text: str, path: str, config: Config) -> None:
        """Look after what this configuration names. ``text`` and ``path`` are where it stands."""
        acme, names, shared = config.acme, listed(config), config.cache.redis
        same = acme == self._config and (acme is None or acme.storage == "folder" or self._settings == shared)
        self._text, self._path, self._names = text, path, names
        self._changed, self._not_before = True, -math.inf
        if same:
            return
        await self.close()
        self._config, self._settings = acme, shared
        if acme is None:
            return
        self._files = Files(Path(acme.folder))
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._renew_always(acme, self._files))]
        if acme.storage == "redis" and shared is not None:
            region = await asyncio.to_thread(importlib.import_module, "edgeproxy.acme.region")  # it takes its time
            self._region = region.Region(shared.settings(), acme.sealing(), self._files, self._node)
            self._tasks.append(loop.create_task(self._share_always(self._region)))

    async def close(self) -> None:
        """End a run, and what looks whether one is due."""
        await end(self._tasks)
        self._tasks = []
        await self._stop()
        region, self._region = self._region, None
        if region is not None:
            await region.close()
        self._config = self._files = None
        self._counts = dict.fromkeys(self._counts, 0)

    async def _share_always(self, region: Region) -> None:
        while True:
            try:
                if await region.same():
                    self._changed = True
                    if region.unread:
                        logger.error("%d files in redis cannot be opened: storage_key differs", region.unread)
                if self._missed:
                    self._missed = False
                    logger.info("redis answers again: certificates are shared")
            except (UnavailableError, OSError) as error:
                if not self._missed:
                    self._missed = True
                    logger.warning("certificates are not shared, and none is renewed, until this is mended: %s", error)
            await asyncio.sleep(LOOK)

    async def _renew_always(self, config: AcmeConfig, files: Files) -> None:
        wait = AGAIN
        if config.storage == "redis":
            await asyncio.sleep(random.uniform(0, TOGETHER))
        while True:
            try:
                due = await asyncio.to_thread(self._is_due, config, files)
            except OSError as error:
                logger.error("certificates are not renewed: %s", error)
                await asyncio.sleep(MEND)
                continue
            if not due:
                wait = AGAIN
            elif self._clock.monotonic() >= self._not_before:
                self._runs.inc(outcome := await self._run(config))
                self._changed = True
                self._not_before = self._clock.monotonic() + (BROKEN_WAIT if outcome == BROKEN else wait)
                wait = min(2 * wait, AGAIN_LONGEST)
            await asyncio.sleep(LOOK)

    def _is_due(self, config: AcmeConfig, files: Files) -> bool:
        now = self._clock.wall()
        if self._changed or now - self._read_at > READ:
            self._changed, self._read_at = False, now
            self._read(config, files)
        return now >= self._next or (config.on_demand is not None and self._is_wanted(files, now))

    def _is_wanted(self, files: Files, now: float) -> bool:
        """Whether there is a name asked for that may be ordered now. What is there or was tried lately is wanted no
        more."""
        for name in files.wanted():
            path = files.store.certificate(name)
            if not path.exists() and now >= state.decode(files.read(f"states/{path.stem}.json")).retry:
                return now >= self._authority_retry
            files.store.unwant(name)
        return False

    def _read(self, config: AcmeConfig, files: Files) -> None:
        """Find out what is due when, from the states the last run left."""
        files.prepare()
        authority = state.decode(files.read(AUTHORITY))
        soonest, counts = math.inf, dict.fromkeys(self._counts, 0)
        names = {config.group_of(name) for name in self._names}
        grouped = {name for group in names for name in group}
        names |= {(name,) for name in map(files.name_of, files.paths("states")) if name not in grouped}
        for group in names:
            known = state.decode(files.read(f"states/{files.store.certificate(group[0]).stem}.json"))
            if not (known.on_demand or set(group) & set(self._names)):
                continue  # listed no more
            there = all(files.store.certificate(name).exists() for name in group)
            counts["failing" if known.failures else "valid" if there else "missing"] += 1
            if there:
                soonest = min(soonest, known.next)
            elif not known.on_demand:  # those wait to be asked for again
                soonest = min(soonest, known.retry)
        self._counts = counts
        self._authority_retry = authority.retry
        self._next = max(soonest, authority.retry)

    async def _run(self, config: AcmeConfig) -> str:
        """One run; how it ended."""
        command = (sys.executable, "-P", "-m", "edgeproxy", "certificates", "renew", "--given", self._path)
        pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=none, process_group=0
            )
            async with asyncio.timeout(RUN_MOST + config.timeout):
                await process.communicate(self._text.encode())
        except TimeoutError:
            logger.error("certificates: a run did not end, and is stopped")
        except OSError as error:
            logger.error("certificates: no run could be started: %s", error)
            return BROKEN
        await self._stop()
        return _OUTCOMES.get(process.returncode if process.returncode is not None else -1, BROKEN)

    async def _stop(self) -> None:
        """Have a run end, if there is one."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        try:
            process.terminate()
            async with asyncio.timeout(STOP_WITHIN):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        except ProcessLookupError:
            pass

    def __repr__(self) -> str:
        return f"<Keeper {self._counts}>"
