"""Tokens on the wire, checked by the real proxy: the hostile set, and an issuer that changes its keys under load."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import time
from collections import Counter
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from tests.support.client import ask
from tests.support.hostile_tokens import SHARED, good, hostile, key_set
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request
from tests.support.tokens import claims, jwk, private_key, token

CLIENTS, ROTATIONS = 8, 3


def status(edge: EdgeProcess, bearer: bytes) -> int:
    (got,) = ask(edge.address, request(b"/", b"Authorization: Bearer " + bearer)).final
    return got.status


def test_no_hostile_token_comes_in_over_the_wire_and_every_good_one_does() -> None:
    jwt = {"keys": "${JWKS}", "issuer": "https://issuer.example", "audience": "shop", "failures": "1000000/s"}
    environment = os.environ | {"JWKS": json.dumps(key_set())}
    now = time.time()
    with Site() as site, _edge(site, jwt, environment) as edge:
        answers = {name: status(edge, made) for name, made in hostile(now).items()}
        assert {name: one for name, one in answers.items() if one not in (400, 401)} == {}
        assert sum(one == 401 for one in answers.values()) > 0.99 * len(answers)
        assert site.requests == []
        accepted = {name: status(edge, made) for name, made in good(now).items() if name not in SHARED}
        assert {name: one for name, one in accepted.items() if one != 200} == {}
        assert "Traceback" not in edge.logs()
        assert "internal" not in edge.logs()


def _edge(site: Site, jwt: dict[str, Any], environment: dict[str, str] | None = None) -> EdgeProcess:
    whole = config(site.url, workers=2, middleware={"jwt": jwt}, log={"access": False})
    return EdgeProcess(whole, environment=environment)


class Issuer:
    """Publishes a key set, to which keys are added; :meth:`sign` signs with a key of it, the newest most of all."""

    def __init__(self) -> None:
        self.names = ["key-0"]
        self.asked = 0
        for number in range(ROTATIONS + 1):
            private_key("ES256", f"key-{number}")

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/jwks.json", self._handle)
        return app

    def rotate(self) -> None:
        self.names.append(f"key-{len(self.names)}")

    def sign(self, dice: random.Random) -> bytes:
        name = self.names[-1] if dice.random() < 0.7 else dice.choice(self.names)
        payload = claims(exp=int(time.time()) + 600, jti=f"{dice.random()}")
        return token(payload, "ES256", private_key("ES256", name), header={"kid": name})

    async def _handle(self, _: web.Request) -> web.Response:
        self.asked += 1
        published = [jwk("ES256", name) for name in self.names]
        await asyncio.sleep(0.05)  # an answer that was read before a rotation may arrive after it
        return web.json_response({"keys": published})


@pytest.mark.slow
async def test_a_rotation_under_load_loses_no_valid_request(aiohttp_server: AiohttpServer) -> None:
    issuer = Issuer()
    server = await aiohttp_server(issuer.app())
    jwt = {"jwks_url": str(server.make_url("/jwks.json")), "refresh_min": "1s", "pass": {"jti": "x-jti"}}
    async with contextlib.AsyncExitStack() as stack:
        edge = _edge(stack.enter_context(Site()), jwt)
        stack.push_async_callback(asyncio.to_thread, edge.__exit__)
        await asyncio.to_thread(edge.__enter__)
        over = asyncio.Event()
        clients = [asyncio.create_task(_client(edge, issuer, seed, over)) for seed in range(CLIENTS)]
        for _ in range(ROTATIONS):
            await asyncio.sleep(0.8)
            issuer.rotate()
        await asyncio.sleep(0.8)
        over.set()
        async with asyncio.timeout(15):
            seen = sum(await asyncio.gather(*clients), Counter[int]())
    assert set(seen) == {200}, seen
    assert seen[200] > 20 * CLIENTS
    assert issuer.asked <= 2 * (ROTATIONS + 3), "each worker asks once a rotation, and no more often than it may"


async def _client(edge: EdgeProcess, issuer: Issuer, seed: int, over: asyncio.Event) -> Counter[int]:
    """Asks with a new token each time, until it is over; the statuses it was answered."""
    seen: Counter[int] = Counter()
    dice = random.Random(seed)
    reader, writer = await asyncio.open_connection(*edge.address)
    while not over.is_set():
        writer.write(request(b"/", b"Authorization: Bearer " + issuer.sign(dice)))
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: "))
        await reader.readexactly(int(length.partition(b": ")[2]))
        seen[int(head.split(b" ", 2)[1])] += 1
    writer.close()
    return seen
