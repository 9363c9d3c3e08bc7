"""Fetches that no task waits for.

A task, and a coroutine for each room it passes, cost a small answer from the origin as much as all the rest. So an
origin that can send a request without waiting is asked to call back: the answer is finished in the read that brings
it. Whatever has to wait for more goes on in a task, from where it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange

# Takes the answer once its head is here, or the work that still leads to one.
Take = Callable[[Response | Coroutine[Any, Any, Response]], None]


class Asked:
    """A request that is with an origin."""

    def give_up(self) -> None:
        """Nobody wants the answer any more, and nobody is to be told of it."""
        raise NotImplementedError


class Prompt:
    """An origin that can send at once."""

    def begin(self, x: Exchange, take: Take) -> Asked | Coroutine[Any, Any, Response]:
        """Send the request, a GET without a body, and call ``take``, once, when there is an answer, or when it has to
        be waited for otherwise. Where it must be waited for before, that is what is returned. Raises EdgeError.
        """
        raise NotImplementedError


class Onlooker:
    """A detour (exchange.Detour) on which the request goes as it is and the answer comes as it is."""

    keeps: ClassVar[bool] = False

    def before(self, x: Exchange) -> None:
        """The request is about to go."""
        raise NotImplementedError

    def after(self, x: Exchange, response: Response) -> None:
        """The answer's head is here."""
        raise NotImplementedError

    async def fetch(
        self,
        x: Exchange,
        fetch: Callable[[Exchange], Awaitable[Response]],
        store: Callable[[Exchange, Response], Awaitable[None]],
    ) -> Response:
        """The origin's answer. Raises EdgeError."""
        self.before(x)
        response = await fetch(x)
        self.after(x, response)
        return response
