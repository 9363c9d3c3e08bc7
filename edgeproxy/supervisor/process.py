"""One worker process: started with its sockets, spoken to over its bus, and waited for."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from edgeproxy.supervisor.bus import Bus, Handler

NODE = secrets.token_hex(4)  # the name of the node all workers of this supervisor are, unless it is configured
START_WITHIN = 30.0
DRAIN_MARGIN = 5.0  # for a worker to stop its pools and stages after the grace

Changed = Callable[["WorkerProcess", list[dict[str, Any]]], Awaitable[None]]


class WorkerProcess:
    """A running worker. ``ready`` once it serves, ``leaving`` once it was told to drain."""

    def __init__(self, process: asyncio.subprocess.Process, bus: Bus) -> None:
        self._process = process
        self.bus = bus
        self.ready = False
        self.leaving = False
        self._serving = asyncio.get_running_loop().create_task(bus.run())

    @classmethod
    async def spawn(cls, sockets: Mapping[str, socket.socket], folder: Path, changed: Changed) -> WorkerProcess:
        """Start a process that holds ``sockets``, shares ``folder`` and waits on its bus for :meth:`start`. ``changed``
        is called with it and the purges that its requests amount to."""
        ours, theirs = socket.socketpair()
        lent = [theirs.fileno(), *(sock.fileno() for sock in sockets.values())]
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # never from the folder it happens to be started in
                "-m",
                "edgeproxy.supervisor.worker",
                str(theirs.fileno()),
                NODE,
                str(folder),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=lent,
                process_group=0,  # a terminal's Ctrl-C is for the supervisor, which drains first
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        handlers: dict[str, Handler] = {}
        worker = cls(process, await Bus.over(ours, handlers))
        handlers["changed"] = partial(changed, worker)
        return worker

    async def start(self, text: str, path: str, sockets: Mapping[str, socket.socket]) -> None:
        """Have it compile the configuration and serve. Raises BusError with the worker's reason."""
        descriptors = {address: sock.fileno() for address, sock in sockets.items()}
        await self.bus.ask("start", START_WITHIN, text=text, path=path, sockets=descriptors)
        self.ready = True

    async def drain(self, grace: float, delay: float) -> Any:
        """Have it end its exchanges and leave; returns its last metrics. Raises BusError."""
        self.leaving = True
        self.ready = False
        return await self.bus.ask("drain", grace + delay + DRAIN_MARGIN, grace=grace, delay=delay)

    async def wait(self) -> int:
        """Its exit status, once it has ended; negative: the signal that ended it."""
        status = await self._process.wait()
        self.ready = False
        await self.bus.close()
        await asyncio.wait((self._serving,))
        return status

    def kill(self) -> None:
        """End it at once."""
        self.ready = False
        try:
            self._process.kill()
        except ProcessLookupError:
            pass

    @property
    def pid(self) -> int:
        return self._process.pid

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.pid}{' ready' if self.ready else ''}{' leaving' if self.leaving else ''}>"


def ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
