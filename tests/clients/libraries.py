"""Python's clients: httpx, aiohttp, and the HTTP/3 of aioquic and qh3."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from typing import Any

import aiohttp
import httpx

from tests.clients.cases import Answer, Case
from tests.clients.run import Client, in_turn
from tests.clients.stand import Stand

PATIENCE = 30.0
_VERSIONS = {"HTTP/1.1": "h1", "HTTP/2": "h2"}
MESSAGES = ("one", "two words", "x" * 30_000)


async def with_httpx(stand: Stand, protocol: str, cases: Sequence[Case]) -> list[Answer]:
    limits = httpx.Limits(max_connections=6)
    async with httpx.AsyncClient(verify=stand.trust, http2=protocol == "h2", limits=limits, timeout=PATIENCE) as client:

        async def ask(case: Case) -> Answer:
            url, sent = stand.origin(protocol) + case.path, case.sent or None
            async with client.stream(case.method, url, headers=dict(case.fields), content=sent) as answer:
                body = b"".join([chunk async for chunk in answer.aiter_raw()])
            fields = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(_VERSIONS.get(answer.http_version, answer.http_version), answer.status_code, fields, body)

        return [answer for group in in_turn(cases) for answer in await asyncio.gather(*map(ask, group))]


def _session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    return aiohttp.ClientSession(auto_decompress=False, timeout=timeout)


async def with_aiohttp(stand: Stand, protocol: str, cases: Sequence[Case]) -> list[Answer]:
    async with _session() as session:

        async def ask(case: Case) -> Answer:
            url, sent = stand.origin(protocol) + case.path, case.sent or None
            async with session.request(case.method, url, headers=case.fields, data=sent) as answer:
                fields = {name.lower(): value for name, value in answer.headers.items()}
                return Answer("h1", answer.status, fields, await answer.read())

        return [answer for group in in_turn(cases) for answer in await asyncio.gather(*map(ask, group))]


async def echo_with_aiohttp(stand: Stand, protocol: str) -> tuple[int, int]:
    right = 0
    async with _session() as session, session.ws_connect(f"{stand.origin(protocol)}/ws/echo") as socket:
        for message in MESSAGES:
            await socket.send_str(message)
            right += await socket.receive_str(timeout=PATIENCE) == message
    return right, len(MESSAGES)


class Http3:
    """aioquic's client, or that of qh3, which began as a copy of it and has kept its names."""

    def __init__(self, library: str) -> None:
        self._library = library

    async def ask(self, stand: Stand, protocol: str, cases: Sequence[Case]) -> list[Answer]:
        """All at once on one connection."""
        quic = importlib.import_module(f"{self._library}.quic.configuration")
        connect = importlib.import_module(f"{self._library}.asyncio.client").connect
        configuration = quic.QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost")
        configuration.load_verify_locations(cafile=str(stand.authority))
        made = _protocol(self._library)
        async with connect(
            "127.0.0.1", stand.secure_port, configuration=configuration, create_protocol=made
        ) as connection:
            authority = f"localhost:{stand.secure_port}"
            answers: list[Answer] = []
            for group in in_turn(cases):
                asked = [connection.ask(authority, case) for case in group]
                answers += await asyncio.wait_for(asyncio.gather(*asked), PATIENCE)
            return answers


def _protocol(library: str) -> Any:
    """The protocol of one connection, made of the library's own."""
    base: Any = importlib.import_module(f"{library}.asyncio.protocol").QuicConnectionProtocol
    h3 = importlib.import_module(f"{library}.h3.connection")
    events = importlib.import_module(f"{library}.h3.events")

    class Protocol(base):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._h3: Any = h3.H3Connection(self._quic)
            self._heads: dict[int, dict[str, str]] = {}
            self._bodies: dict[int, bytearray] = {}
            self._done: dict[int, asyncio.Future[Answer]] = {}

        def ask(self, authority: str, case: Case) -> asyncio.Future[Answer]:
            stream = self._quic.get_next_available_stream_id()
            head = {
                ":method": case.method,
                ":scheme": "https",
                ":authority": authority,
                ":path": case.path,
                **case.fields,
            }
            self._bodies[stream] = bytearray()
            done = self._done[stream] = asyncio.get_running_loop().create_future()
            fields = [(name.encode(), value.encode()) for name, value in head.items()]
            self._h3.send_headers(stream, fields, end_stream=not case.sent)
            if case.sent:
                self._h3.send_data(stream, case.sent, end_stream=True)
            self.transmit()
            return done

        def quic_event_received(self, event: Any) -> None:
            for each in self._h3.handle_event(event):
                if isinstance(each, events.HeadersReceived) and each.stream_id not in self._heads:
                    told = {name.decode(): value.decode("latin-1") for name, value in each.headers}
                    if not told[":status"].startswith("1"):
                        self._heads[each.stream_id] = told
                elif isinstance(each, events.DataReceived):
                    self._bodies[each.stream_id] += each.data
                if getattr(each, "stream_ended", False) and not self._done[each.stream_id].done():
                    told = self._heads[each.stream_id]
                    answer = Answer("h3", int(told[":status"]), told, bytes(self._bodies[each.stream_id]))
                    self._done[each.stream_id].set_result(answer)

    return Protocol


CLIENTS = (
    Client("httpx", ("h1", "h2"), with_httpx),
    Client("aiohttp", ("h1",), with_aiohttp, specials={"WebSocket": echo_with_aiohttp}),
    Client(
        "aioquic",
        ("h3",),
        Http3("aioquic").ask,
        left_out=("HEAD",),
        note="aioquic's client takes the length that the answer to a HEAD tells for that of a body, against RFC 9114 "
        "§4.1.2, and ends the connection; it is not asked for any.",
    ),
    Client("qh3", ("h3",), Http3("qh3").ask),
)
