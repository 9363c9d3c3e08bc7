"""Clients that keep asking, at an even pace, over connections they keep."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tests.support.site import request


class Asked(NamedTuple):
    """How many answers there were by status (0: the connection was lost), in how many seconds."""

    answers: Counter[int]
    took: float

    @property
    def served(self) -> int:
        return self.answers[200]

    @property
    def errors(self) -> int:
        return sum(count for status, count in self.answers.items() if status >= 500)


async def keep_asking(
    addresses: Sequence[tuple[str, int]], seconds: float, *, connections: int = 16, pause: float = 0.005
) -> Asked:
    """GET ``/`` again and again, ``connections`` to each address, with a pause after each answer."""
    answers: Counter[int] = Counter()
    began = time.monotonic()

    async def one(address: tuple[str, int]) -> None:
        while True:
            writer = None
            try:
                reader, writer = await asyncio.open_connection(*address)
                while True:
                    writer.write(request())
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
                    await reader.readexactly(int(length))
                    answers[int(head[9:12])] += 1
                    await asyncio.sleep(pause)
            except (OSError, asyncio.IncompleteReadError):
                answers[0] += 1
                await asyncio.sleep(pause)
            finally:
                if writer is not None:
                    writer.close()

    asking = [asyncio.create_task(one(address)) for address in addresses for _ in range(connections)]
    await asyncio.wait(asking, timeout=seconds)
    took = time.monotonic() - began
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    return Asked(answers, took)
