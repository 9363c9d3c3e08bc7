"""Better copies of what is kept: a stage says how one is made, the cache says when, and whether at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgeproxy.http.headers import Headers


class Better(NamedTuple):
    """A better body, and the fields that differ from those kept; b"" takes one out."""

    body: bytes
    headers: Headers


class Improvement:
    """How one kept answer is made better. Held for as long as the answer waits for its turn, so it is small."""

    async def prepare(self, body: bytes, headers: Headers) -> Better | Callable[[], Better | None] | None:
        """What has to run aside, for an answer kept with this body and these fields; None if there is nothing to gain.

        Called on the loop; the function it gives runs on a thread of the lowest priority and must not touch the loop.
        None from that: what is kept is as good. Work that runs in a process of its own is awaited here, and gives the
        better copy itself. Raises whatever it likes, which ends this attempt alone.
        """
        raise NotImplementedError
