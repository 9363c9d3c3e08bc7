"""Host names to addresses, through the system's resolver."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

TIMEOUT = 10.0
MOST = 64  # addresses of one name that are used


async def lookup(host: str, port: int) -> tuple[str, ...]:
    """All addresses of ``host``, in the resolver's order. Raises OSError, TimeoutError if there is no answer."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(TIMEOUT):
        return addresses(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def addresses(answers: Iterable[tuple[Any, ...]]) -> tuple[str, ...]:
    """The addresses of one family in what getaddrinfo said, each once: IPv4 if there is any.

    A name's two families lead to the same machines as a rule. Using both would count each twice, and every other
    connection would fail where one of them is not routed or not listened on.
    """
    found: dict[Any, dict[str, None]] = {}
    for family, _, _, _, address in answers:
        found.setdefault(family, {})[str(address[0])] = None
    chosen = found.get(socket.AF_INET) or found.get(socket.AF_INET6) or {}
    return tuple(chosen)[:MOST]


def is_address(host: str) -> bool:
    """Whether ``host`` is an IP literal and needs no look-up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
