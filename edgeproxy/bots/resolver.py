"""The system's resolver, on threads of its own: slow name servers of strangers are nobody else's business."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

from edgeproxy.http.addresses import canonical

THREADS = 4
_NO_NAME = frozenset((socket.EAI_NONAME, socket.EAI_NODATA))


class SystemResolver:
    """Asks as the system is set up to: hosts file, name servers, their patience. Both methods raise OSError or
    ValueError when there is no telling."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(THREADS)

    async def name_of(self, address: str) -> str | None:
        """The name of an address, None if it has none."""
        flags = socket.NI_NAMEREQD | socket.NI_NUMERICSERV
        found = await self._ask(lambda: socket.getnameinfo((address, 0), flags))
        return None if found is None else str(found[0])

    async def addresses_of(self, name: str) -> frozenset[str]:
        """The addresses of a name, as RFC 5952 writes them."""
        found = await self._ask(lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)) or []
        return frozenset(address for *_, place in found if (address := canonical(str(place[0]))) is not None)

    async def _ask(self, question: Callable[[], Any]) -> Any:
        """The answer, None if there is no such name. A thread keeps its place until the system gives up, however long
        that takes; it is a daemon, so that the process need not wait for it."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            self._places.release()
            if answer.done():  # nobody waits for it any more
                return
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        def run() -> None:
            result, error = _outcome(question)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=run, name="edgeproxy-dns", daemon=True).start()
        return await answer


def _outcome(question: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return question(), None
    except socket.gaierror as error:
        return None, None if error.errno in _NO_NAME else error
    except (OSError, ValueError) as error:
        return None, error
