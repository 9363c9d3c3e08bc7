"""What every client connection does with its socket, whatever it speaks: back-pressure both ways, deadline, closing."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable, Iterable
from typing import Any, Final

from edgeproxy.config.schema import LimitsConfig
from edgeproxy.errors import EdgeError, Kind

WRITE_HIGH_WATER: Final = 256 * 1024
LINGER_TIME: Final = 2.0


class _Nowhere(asyncio.Transport):
    """Where a socket was, or will be: what is written is lost, as to any client that is gone."""

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        pass

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


_NOWHERE: Final = _Nowhere()


class Flow(asyncio.Protocol):
    """A client's socket. ``deadline`` is when it has waited long enough, in monotonic seconds."""

    def __init__(self, limits: LimitsConfig, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self.transport: asyncio.Transport = _NOWHERE
        self._deaf = False  # nothing is taken any more; what comes in is thrown away
        self._closing = False  # nothing more will be written
        self._holds = 0
        self._writable: asyncio.Future[None] | None = None
        self.paused_writing = False
        self._owed = 0  # bytes the client had still to take when that was looked at last
        self.deadline = 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the socket: it holds on to us, and with TLS to 300 KB, which would wait for the next collection of
        garbage."""
        self._deaf = self._closing = True
        self.transport = _NOWHERE

    # Reading stops while anybody holds it.

    def hold(self) -> None:
        self._holds += 1
        if self._holds == 1 and not self._closing:
            self.transport.pause_reading()

    def unhold(self) -> None:
        if self._holds:
            self._holds -= 1
            if not self._holds and not self._closing:
                self.transport.resume_reading()

    # Writing waits while the client does not take what was written.

    def pause_writing(self) -> None:
        self.paused_writing = True
        self._owed = self._unsent()

    def resume_writing(self) -> None:
        self.paused_writing = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def put(self, data: bytes) -> None:
        """Send bytes, if the client is still there to hear them: uvloop writes a line for each that come too late."""
        if not self._closing:
            self.transport.write(data)

    def write(self, head: bytes, body: bytes) -> None:
        """Send a head, and a body behind it if there is one, without copying the body."""
        if self._closing:
            return
        if body:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head)

    async def drain(self) -> None:
        """Wait until the client has taken enough to go on. Raises EdgeError if it left."""
        deadline, self.deadline = self.deadline, self._clock() + self._limits.write_timeout
        self._writable = asyncio.get_running_loop().create_future()
        try:
            await self._writable
        finally:
            self._writable = None
            self.deadline = deadline
        if self._closing:
            raise EdgeError(Kind.CLIENT_GONE, "client")

    def _takes(self, now: float) -> bool:
        """Whether the client has taken enough since that was looked at last to be waited for again."""
        limits, owed = self._limits, self._unsent()
        taken, self._owed = self._owed - owed, owed
        if taken < max(1, limits.write_rate * limits.write_timeout):
            return False
        self.deadline = now + limits.write_timeout
        return True

    def _unsent(self) -> int:
        """Bytes that the client has not acknowledged: here, and in the kernel (tcp(7), SIOCOUTQ)."""
        size = self.transport.get_write_buffer_size()
        socket = self.transport.get_extra_info("socket")
        if socket is None:
            return size
        queued: int = struct.unpack("i", fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        return size + queued

    # Closing.

    def close(self, *, linger: bool = False) -> None:
        """Send what is written, then close. With ``linger``, a client still sending is listened to for a moment, so
        that its unread bytes do not reset the connection before it has read the answer (RFC 9112 §9.6)."""
        if self._closing:
            return
        self._deaf = self._closing = True
        if linger and self.transport.can_write_eof():
            self.deadline = self._clock() + LINGER_TIME
            self.transport.write_eof()
            self.transport.resume_reading()
        else:
            self.transport.close()

    def abort(self) -> None:
        self.transport.abort()
