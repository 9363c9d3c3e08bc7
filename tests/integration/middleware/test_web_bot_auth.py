"""Signed agents on the wire: their directories fetched from a real server, their requests from a real client."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from pytest_aiohttp.plugin import AiohttpServer

from edgeproxy.http.headers import serialize
from tests.support.client import ask
from tests.support.processes import EdgeProcess
from tests.support.signed import sign
from tests.support.site import Site, config
from tests.support.stages import exchange
from tests.support.tokens import pem

KEYS: defaultdict[str, Ed25519PrivateKey] = defaultdict(Ed25519PrivateKey.generate)


class Directory:
    """An agent's directory, at its well-known place."""

    def __init__(self) -> None:
        self.names = ["one"]
        self.accepts: list[str] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/http-message-signatures-directory", self._handle)
        return app

    async def _handle(self, asked: web.Request) -> web.Response:
        self.accepts.append(asked.headers["accept"])
        keys = [OKPAlgorithm.to_jwk(KEYS[name].public_key(), as_dict=True) for name in self.names]
        answer = web.json_response({"keys": keys})
        answer.content_type = "application/http-message-signatures-directory+json"
        return answer


def get(edge: EdgeProcess, name: str, agent: str, *, target: bytes = b"/?a=b", lifted: bool = False) -> int:
    """The status a request signed by this key is answered, which says it is from that agent."""
    headers = {b"host": b"a.example", b"signature-agent": f'sig1="{agent}"'.encode()}
    x = exchange(target, headers, authority=b"a.example")
    now = int(time.time())
    covered = ("@authority", "@method", "@path", "@query", 'signature-agent;key="sig1"')
    sign(x, KEYS[name], covered, created=now, expires=now + 60)
    sent = b"GET %b HTTP/1.1\r\n%b\r\n" % (b"/lifted" if lifted else target, serialize(x.request.headers))
    (got,) = ask(edge.address, sent).final
    return got.status


async def test_an_agent_is_known_by_the_keys_it_publishes_and_keeps_its_name_when_it_changes_them(
    aiohttp_server: AiohttpServer,
) -> None:
    directory = Directory()
    server = await aiohttp_server(directory.app())
    url = f"http://127.0.0.1:{server.port}"
    agents = [{"name": "gobbler", "directory_url": url, "refresh": "1s", "refresh_min": "1s"}]
    async with contextlib.AsyncExitStack() as stack:
        site = stack.enter_context(Site())
        edge = EdgeProcess(config(site.url, middleware={"web_bot_auth": {"agents": agents, "required": True}}))
        stack.push_async_callback(asyncio.to_thread, edge.__exit__)
        await asyncio.to_thread(edge.__enter__)

        async def status(name: str, agent: str = url, *, lifted: bool = False) -> int:
            return await asyncio.to_thread(get, edge, name, agent, lifted=lifted)

        async def becomes(wanted: int, name: str) -> None:
            async with asyncio.timeout(10):
                while await status(name) != wanted:  # noqa: ASYNC110 -- the proxy tells nobody when it has fetched
                    await asyncio.sleep(0.05)

        await becomes(200, "one")
        assert [await status("one", lifted=True), await status("stranger")] == [403, 403]
        assert await status("one", "http://127.0.0.1:1") == 403, "only the listed place is looked at, and it is another"
        directory.names = ["one", "two"]
        await becomes(200, "two")
        directory.names = ["two"]
        await becomes(403, "one")
        assert await status("two") == 200
        assert await asyncio.to_thread(edge.stop) == 0
        assert '"agent":"gobbler"' in edge.logs()
        assert '"tags":"web_bot_auth"' in edge.logs()
        assert "Traceback" not in edge.logs()
    assert "application/http-message-signatures-directory+json" in directory.accepts[0]


@pytest.fixture(scope="module")
def plain() -> Iterator[EdgeProcess]:
    agents = [{"name": "gobbler", "keys": pem(KEYS["one"]).decode()}]
    with Site() as site, EdgeProcess(config(site.url, middleware={"web_bot_auth": {"agents": agents}})) as edge:
        yield edge


@pytest.mark.parametrize(
    "fields",
    [
        b"Signature-Input: \xff\r\nSignature: \xff\r\n",
        b'Signature-Input: a=();tag="web-bot-auth"\r\n',
        b'Signature-Input: a=("@query-param");tag="web-bot-auth";keyid="k"\r\nSignature: a=:AA==:\r\n',
        b'Signature-Input: a=();tag="web-bot-auth";created=999999999999999\r\nSignature: a=::\r\nSignature-Agent: a=(',
        b"Signature-Input: " + b", ".join(b'a%d=();tag="web-bot-auth"' % number for number in range(100)) + b"\r\n",
    ],
)
def test_whatever_the_fields_hold_there_is_an_answer_and_no_fault(plain: EdgeProcess, fields: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a.example\r\n" + fields.removesuffix(b"\r\n")
    (got,) = ask(plain.address, head + b"\r\n\r\n").final
    assert got.status in (200, 403)
    assert "internal error" not in plain.logs()
