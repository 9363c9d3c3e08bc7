"""The bus between the supervisor and one worker: JSON lines over a socket pair, requests answered by number.

``{"id": 7, "do": "purge", "with": {"url": "…"}}`` is answered by ``{"id": 7, "is": 3}`` or ``{"id": 7, "error": "…"}``.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

logger = logging.getLogger("edgeproxy.supervisor")

LONGEST = 16 * 1024 * 1024  # bytes of one line; a large configuration's text fits
TIMEOUT = 5.0
LAST_ANSWERS = 1.0

Handler = Callable[..., Awaitable[Any]]


class BusError(Exception):
    """The other side did not do what it was asked to: it is gone, or too slow."""


class RefusedError(BusError):
    """The other side said why not."""


class Bus:
    """One end. ``handlers`` are what the other side may ask for, called with its arguments."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: Mapping[str, Handler]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def over(cls, sock: socket.socket, handlers: Mapping[str, Handler] | None = None) -> Bus:
        """A bus over one end of a socket pair, which belongs to it from then on."""
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=LONGEST)
        return cls(reader, writer, {} if handlers is None else handlers)

    async def ask(self, what: str, within: float = TIMEOUT, **arguments: Any) -> Any:
        """What the other side's handler ``what`` returns, ``within`` seconds. Raises BusError."""
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "do": what, "with": arguments})
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(within):
                return await answer
        except TimeoutError:
            raise BusError(f"no answer to {what!r} within {within:g}s") from None
        finally:
            del self._waiting[number]

    async def run(self) -> None:
        """Serve until the other side is gone, or says what is not the bus's language."""
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.error("bus: broken off: %s", error)
        finally:
            self._end()

    async def close(self) -> None:
        """Finish the answers at hand, and hang up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_ANSWERS)
        self._end()
        try:
            self._writer.close()
            await self._writer.wait_closed()
        except OSError:
            pass

    def _take(self, message: dict[str, Any]) -> None:
        if "do" in message:
            task = asyncio.get_running_loop().create_task(self._serve(message["id"], message["do"], message["with"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return  # it came too late
        if "error" in message:
            answer.set_exception(RefusedError(message["error"]))
        else:
            answer.set_result(message["is"])

    async def _serve(self, number: int, what: str, arguments: dict[str, Any]) -> None:
        try:
            handler = self._handlers.get(what)
            if handler is None:
                raise RefusedError(f"{what!r} is not known here")
            answer = {"id": number, "is": await handler(**arguments)}
        except Exception as error:  # noqa: BLE001 -- the rim: the one who asked is told
            answer = {"id": number, "error": str(error) or type(error).__name__}
        try:
            self._send(answer)
        except BusError as error:
            logger.warning("bus: no answer to %r could be given: %s", what, error)

    def _send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        if self._closed or self._writer.is_closing():
            raise BusError("the other side is gone")
        if len(line) > LONGEST:
            raise BusError(f"a message of {len(line)} bytes is too long")
        if self._writer.transport.get_write_buffer_size() > LONGEST:
            raise BusError("the other side does not listen")
        self._writer.write(line)

    def _end(self) -> None:
        self._closed = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(BusError("the other side is gone"))

    def __repr__(self) -> str:
        return f"<Bus {'closed' if self._closed else 'open'} {len(self._waiting)} waiting>"
