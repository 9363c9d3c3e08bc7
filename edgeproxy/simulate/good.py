"""Good clients: they read pages, keep their connection and their cookies, and are patient."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from typing import Final, NamedTuple

from edgeproxy.simulate.connection import Connection, connect
from edgeproxy.simulate.scenario import Scenario

PATIENCE: Final = 10.0  # seconds for an answer
GAP: Final = 0.02  # seconds between a page and what belongs to it

# What Chrome sends to a plain http site, in its order.
_HEAD: Final = (
    "GET {target} HTTP/1.1\r\n"
    "Host: {host}\r\n"
    "Connection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{chrome}.0.0.0"
    " Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
)
_CHROMES: Final = (138, 139, 140)


class Felt(NamedTuple):
    """One request of a good client: when it was made (monotonic seconds), its answer's status (0: none), and the
    seconds it took."""

    at: float
    status: int
    taken: float

    @property
    def answered(self) -> bool:
        return 200 <= self.status < 300 or self.status == 304


class GoodClient:
    """One of them, with an address of its own; what it felt is appended to ``felt``."""

    def __init__(
        self,
        number: int,
        scenario: Scenario,
        address: tuple[str, int],
        felt: list[Felt],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._scenario = scenario
        self._address = address
        self._source = f"127.1.{number // 250}.{number % 250 + 1}"
        self._felt = felt
        self._tls = tls
        self._chance = random.Random(number)
        self._head = _HEAD.replace("{host}", scenario.host).replace("{chrome}", str(_CHROMES[number % len(_CHROMES)]))
        self._cookies: dict[bytes, bytes] = {}
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Read page after page until cancelled."""
        try:
            await asyncio.sleep(self._chance.uniform(0, self._scenario.think))
            while True:
                for target in self._scenario.good_paths:
                    await self._get(target)
                    await asyncio.sleep(GAP)
                await asyncio.sleep(self._chance.expovariate(1 / self._scenario.think))
        finally:
            if self._connection is not None:
                self._connection.abort()

    async def _get(self, target: str) -> None:
        began = time.monotonic()
        connection = self._connection
        if connection is None or not connection.usable:
            connection = self._connection = Connection(self._note)
            connection.cookies = self._cookies
            if not await connect(connection, self._address, self._source, tls=self._tls):
                self._connection = None
                self._felt.append(Felt(began, 0, time.monotonic() - began))
                return
        cookies = b"; ".join([b"%b=%b" % crumb for crumb in self._cookies.items()])
        field = b"Cookie: %b\r\n" % cookies if cookies else b""
        connection.send(self._head.replace("{target}", target).encode() + field + b"\r\n")
        try:
            async with asyncio.timeout(PATIENCE):  # wait_for swallows a cancellation that comes along with the answer
                await connection.idle.wait()
        except TimeoutError:
            connection.abort()
            await connection.idle.wait()

    def _note(self, status: int, taken: float, _: bytes) -> None:
        self._felt.append(Felt(time.monotonic() - taken, status, taken))
