"""A request whose answer is handed on by the read that brings it: nobody waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeproxy.errors import EdgeError
from edgeproxy.http.message import Response
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.tries import Tries
from edgeproxy.pipeline.errand import Asked, Take

if TYPE_CHECKING:
    from edgeproxy.origin.pool import Pool


class Direct(Asked):
    """The first try of a request, ``tries``, at ``endpoint``; its connection's waiter (way.Waiter)."""

    __slots__ = ("_done", "_endpoint", "_pool", "_take", "_tries")

    def __init__(self, pool: Pool, tries: Tries, endpoint: Endpoint, take: Take) -> None:
        self._pool = pool
        self._tries = tries
        self._endpoint = endpoint
        self._take: Take = take
        self._done = False

    def done(self) -> bool:
        return self._done

    def set_result(self, response: Response, /) -> None:
        self._done = True
        self._take(self._pool.came(self._tries, self._endpoint, response))

    def set_exception(self, error: EdgeError, /) -> None:
        self._done = True
        self._take(self._pool.came(self._tries, self._endpoint, error))

    def give_up(self) -> None:
        if not self._done:
            self._done = True
            self._pool.left(self._tries, self._endpoint)

    def __repr__(self) -> str:
        return f"<Direct {self._tries.call!r} {'over' if self._done else 'under way'}>"
