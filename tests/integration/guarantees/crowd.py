"""Many clients at once, each counting what became of every one of its requests."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Iterable
from typing import NamedTuple, Self, TypeVar

T = TypeVar("T")


class Cut(Exception):
    """The connection ended within an answer."""


class Unanswered(Exception):
    """The connection ended without a byte of an answer."""


class Got(NamedTuple):
    """One whole answer; of fields that came several times the last."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.fields.get(b"connection", b"").lower() == b"close"


class Line:
    """One connection of a client; an asynchronous context manager."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(*self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass

    def leave(self) -> None:
        """At once and for good: a FIN alone could come from a client that still wants its answer."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def ask(self, request: bytes) -> Got:
        """Raises Unanswered or Cut."""
        self.writer.write(request)
        return await self.answer()

    async def answer(self) -> Got:
        """The next answer on this connection. Raises Unanswered or Cut."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise (Cut if error.partial else Unanswered) from None
        except OSError:
            raise Unanswered from None
        first, *lines = head[:-4].split(b"\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        try:
            return Got(int(first.split(b" ")[1]), fields, await self._body(fields))
        except (asyncio.IncompleteReadError, OSError):
            raise Cut from None

    async def _body(self, fields: dict[bytes, bytes]) -> bytes:
        if b"content-length" in fields:
            return await self.reader.readexactly(int(fields[b"content-length"]))
        if fields.get(b"transfer-encoding") != b"chunked":
            return await self.reader.read()
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body


async def once(address: tuple[str, int], request: bytes) -> Got:
    """One request on a connection of its own. Raises Unanswered, Cut or OSError."""
    async with Line(address) as line:
        return await line.ask(request)


async def all_at_once(work: Iterable[Awaitable[T]], within: float = 20.0) -> list[T]:
    """The results in order; raises TimeoutError if they are not all there ``within`` seconds."""
    async with asyncio.timeout(within):
        return list(await asyncio.gather(*work))
