"""The node that is attacked: where it is, and what state it says it is in."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from pathlib import Path
from typing import Final

from edgeproxy.config.units import AddressValue, parse_address
from edgeproxy.simulate.connection import Connection

_STATE: Final = re.compile(r'^edgeproxy_flood_state\{scope="([^"]*)"\} ([0-9.]+)$', re.MULTILINE)
WAIT: Final = 2.0  # seconds for an answer


def loopback(text: str) -> tuple[str, int]:
    """An address that may be attacked: IPv4 loopback, for that is where the attackers' addresses are. Raises
    ValueError for any other."""
    address = parse_address(text)
    ip = ipaddress.ip_address(address.host) if address.host else None
    if ip is not None and ip.is_unspecified and ip.version == 4:
        return "127.0.0.1", address.port  # a listener on all addresses is on this one
    if not isinstance(ip, ipaddress.IPv4Address) or not ip.is_loopback or not address.port:
        raise ValueError(
            f"{text} is not a loopback address like 127.0.0.1:8080; attacks are played on this machine only"
        )
    return str(ip), address.port


def configured(file: Path, *, tls: bool) -> tuple[tuple[str, int], str | None]:
    """The first listener of a configuration that speaks TLS or does not, and the admin listener's address.

    Raises ConfigErrors if the file cannot be served, ValueError if there is no such listener.
    """
    from edgeproxy.config.trial import load_and_build

    config, _ = load_and_build(file)
    for listener in config.listeners:
        if (listener.tls is not None) == tls and not listener.address.startswith("unix:"):
            return loopback(listener.address), None if config.admin is None else str(config.admin.address)
    raise ValueError(f"{file} has no TCP listener {'with' if tls else 'without'} TLS")


class Admin:
    """A node's admin listener. ``token`` is sent where there is one."""

    def __init__(self, address: AddressValue, token: str | None) -> None:
        self._address = address
        field = f"Authorization: Bearer {token}\r\n" if token else ""
        self._head = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\n{field}Connection: close\r\n\r\n".encode()

    async def state(self) -> int | None:
        """The highest state of the node and its routes; None if it does not say."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[int, bytes]] = loop.create_future()

        def answered(status: int, _: float, body: bytes) -> None:
            if not answer.done():
                answer.set_result((status, body))

        connection = Connection(answered, keeps=True)
        try:
            if self._address.path:
                await loop.create_unix_connection(lambda: connection, self._address.path)
            else:
                await loop.create_connection(lambda: connection, self._address.host, self._address.port)
            connection.send(self._head)
            async with asyncio.timeout(WAIT):
                status, body = await answer
        except (OSError, TimeoutError):
            return None
        finally:
            connection.abort()
        states = [int(float(value)) for _, value in _STATE.findall(body.decode(errors="replace"))]
        return max(states) if status == 200 and states else None
