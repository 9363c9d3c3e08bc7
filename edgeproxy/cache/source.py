"""A body that is not held in memory: how long it is, what it is made of, and how to read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgeproxy.http.body import Body


class Source(NamedTuple):
    """``read`` opens the bytes from the first to the last position, both inclusive, as a streamed body. ``digests`` are
    the digests of its chunks, all of which but the last are ``chunk`` bytes long."""

    length: int
    chunk: int
    digests: tuple[bytes, ...]
    read: Callable[[int, int], Body]
