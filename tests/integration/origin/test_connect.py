"""Connections opened to real sockets: their options, happy eyeballs, TLS."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgeproxy.config.pools import PoolConfig, TimeoutsConfig
from edgeproxy.config.units import parse_endpoint
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Request
from edgeproxy.origin import connect
from edgeproxy.origin.connect import Connector
from edgeproxy.origin.wire import Call
from tests.support.certificates import Authority
from tests.support.ports import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Owner:
    """Whom a connection belongs to that a test opens."""

    timeouts = TimeoutsConfig(connect=5)

    def ended(self, connection, error, status):
        """What is asked comes to who asked."""

    def lost(self, connection):
        """It is not kept."""


async def echo(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


@pytest.fixture
async def dial():
    """``dial(url, *addresses, key=value)``: a dialer for an endpoint of a pool with these settings."""
    connectors = []

    def make(url, *addresses, **settings):
        connector = Connector("site", PoolConfig.model_validate({"endpoints": [url], **settings}))
        connector.start()
        connectors.append(connector)
        value = parse_endpoint(url)
        return connector.dialer(value, addresses or (value.host,))

    yield make
    for connector in connectors:
        await connector.stop()


async def opened(dialer, seconds=5.0):
    return await dialer.open(Owner(), asyncio.get_running_loop().time() + seconds)


async def ask(dialer):
    """Ask over a connection of its own; the TLS session is learned. What the socket says about ``options``."""
    connection = await opened(dialer)
    call = Call(Request(b"GET", b"/", {}), asyncio.get_running_loop().time() + 5)
    response = await connection.send(call, call.head(b"origin.example"))
    assert response.status == 200
    dialer.learn(connection)
    connection.abort()


def option(connection, level, name, length=0):
    wire = connection.transport.get_extra_info("socket")
    return wire.getsockopt(level, name, length) if length else wire.getsockopt(level, name)


async def test_small_writes_are_sent_at_once_and_dead_peers_noticed(serve, dial):
    connection = await opened(dial((await serve(echo)).url))
    assert option(connection, socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert option(connection, socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    connection.abort()


async def test_connections_come_from_the_address_they_are_told_to(serve, dial):
    peers = []

    async def script(wire):
        peers.append(wire.writer.get_extra_info("peername")[0])
        await echo(wire)

    await ask(dial((await serve(script)).url, socket={"bind": ["127.0.0.9", "::1"]}))
    assert peers == ["127.0.0.9"]


async def test_an_address_that_is_not_ours_is_an_error_of_connecting(serve, dial):
    with pytest.raises(EdgeError) as caught:
        await opened(dial((await serve(echo)).url, socket={"bind": "192.0.2.1"}))
    assert caught.value.kind is Kind.CONNECT_REFUSED


async def test_fast_open_and_congestion_control(serve, dial):
    connection = await opened(dial((await serve(echo)).url, socket={"fast_open": True, "congestion": "reno"}))
    assert option(connection, socket.IPPROTO_TCP, connect.FAST_OPEN_CONNECT) == 1
    assert option(connection, socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == b"reno"
    connection.abort()


@pytest.mark.slow
async def test_a_request_to_a_known_origin_comes_with_the_syn():
    """In a network of its own: the kernel's setting for servers is everybody's."""
    command = ["unshare", "--net", "--map-root-user", sys.executable, "-m", "tests.support.fast_opening"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    if "unshare failed" in done.stderr:
        pytest.skip("no network of its own is to be had here")
    assert done.stdout.split("\n") == ["later", "with the SYN", "with the SYN", ""], done.stderr


async def test_what_the_kernel_has_not_is_said_once_and_done_without(serve, dial, caplog):
    dialer = dial((await serve(echo)).url, socket={"congestion": "nosuch"})
    for _ in range(2):
        await ask(dialer)
    assert [record.getMessage() for record in caplog.records] == [
        "pool site: socket.congestion is not to be had here (No such file or directory); going on without"
    ]


# Happy eyeballs.


def black_hole(stack: ExitStack, host: str, port: int) -> None:
    """An address that takes no further connection, and does not say so: its queue is full."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = stack.enter_context(socket.socket(family))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(0)
    for _ in range(4):
        waiting = stack.enter_context(socket.socket(family))
        waiting.setblocking(False)
        waiting.connect_ex((host, port))


async def answer(reader, writer):
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@pytest.fixture
async def port():
    """Of a server on ::1 alone."""
    port = free_port()
    server = await asyncio.start_server(answer, "::1", port)
    yield port
    server.close()


async def test_a_family_that_does_not_answer_costs_a_quarter_of_a_second_once(dial, port):
    with ExitStack() as stack:
        black_hole(stack, "127.0.0.1", port)
        dialer = dial(f"http://app.example:{port}", "127.0.0.1", "::1")
        assert dialer.name == f"127.0.0.1:{port}"
        began = time.monotonic()
        await ask(dialer)
        first = time.monotonic() - began
        began = time.monotonic()
        await ask(dialer)
        assert connect.STAGGER * 0.9 < first < connect.STAGGER + 0.5
        assert time.monotonic() - began < connect.STAGGER * 0.9


async def test_a_family_that_refuses_costs_nothing_and_the_other_is_remembered(dial, port):
    dialer = dial(f"http://app.example:{port}", "127.0.0.1", "::1")
    began = time.monotonic()
    await ask(dialer)
    assert time.monotonic() - began < connect.STAGGER
    assert repr(dialer) == f"<Dialer 127.0.0.1:{port} by ::1, 127.0.0.1>"
    dialer.reach(("127.0.0.1", "127.0.0.2", "::1"))
    assert repr(dialer) == f"<Dialer 127.0.0.1:{port} by ::1, 127.0.0.1, 127.0.0.2>"


async def test_an_endpoint_whose_addresses_all_refuse_is_refused_and_whose_all_hang_late(dial):
    port = free_port()
    with pytest.raises(EdgeError) as caught:
        await opened(dial(f"http://app.example:{port}", "127.0.0.1", "::1"))
    assert caught.value.kind is Kind.CONNECT_REFUSED
    with ExitStack() as stack:
        for host in ("127.0.0.1", "::1"):
            black_hole(stack, host, port)
        with pytest.raises(EdgeError) as caught:
            await opened(dial(f"http://app.example:{port}", "127.0.0.1", "::1"), 0.4)
    assert caught.value.kind is Kind.CONNECT_TIMEOUT


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_who_gives_up_leaves_no_socket_behind(dial):
    port = free_port()
    with ExitStack() as stack:
        for host in ("127.0.0.1", "::1"):
            black_hole(stack, host, port)
        before = open_files()
        task = asyncio.create_task(opened(dial(f"http://app.example:{port}", "127.0.0.1", "::1")))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        assert open_files() == before


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def server_context(authority, name="origin.example", **attributes):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(name))
    for key, value in attributes.items():
        setattr(context, key, value)
    return context


async def secure(serve, context, seen, look):
    """An origin that notes what ``look`` finds in each connection's TLS."""

    async def script(wire):
        seen.append(look(wire.writer.get_extra_info("ssl_object")))
        await echo(wire)

    origin = await serve(script, tls=context)
    return origin.url.replace("127.0.0.1", "origin.example")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_is_gone_on_with(serve, dial, authority, version):
    seen = []
    context = server_context(authority, maximum_version=version)
    url = await secure(serve, context, seen, lambda tls: (tls.version(), tls.session_reused))
    dialer = dial(url, "127.0.0.1", tls={"ca": str(authority.file)})
    for _ in range(4):
        await ask(dialer)
    told = version.name.replace("v1_", "v1.")
    assert seen == [(told, False), (told, True), (told, True), (told, True)]


async def test_a_server_that_forgot_the_session_is_greeted_anew(serve, dial, authority):
    seen = []
    url = await secure(serve, server_context(authority), seen, lambda tls: tls.session_reused)
    dialer = dial(url, "127.0.0.1", tls={"ca": str(authority.file)})
    await ask(dialer)
    other = await secure(serve, server_context(authority), seen, lambda tls: tls.session_reused)
    dialer._infos = [connect._info("127.0.0.1", parse_endpoint(other).port)]
    await ask(dialer)
    assert seen == [False, False]


async def test_who_is_trusted_no_more_is_not_trusted_for_having_been(
    serve, dial, authority, tmp_path, quick, settle, caplog
):
    seen = []
    url = await secure(serve, server_context(authority), seen, lambda tls: tls.session_reused)
    ca = tmp_path / "ca.pem"
    caplog.set_level(logging.INFO)
    ca.write_bytes(authority.file.read_bytes())
    dialer = dial(url, "127.0.0.1", tls={"ca": str(ca)})
    await ask(dialer)
    ca.write_bytes(Authority(tmp_path, "other").file.read_bytes())
    await settle(lambda: "read again" in caplog.text)
    with pytest.raises(EdgeError) as caught:
        await ask(dialer)
    assert (caught.value.kind, seen) == (Kind.TLS, [False])


async def test_a_certificate_is_shown_to_who_asks_for_one(serve, dial, authority):
    seen = []
    context = server_context(authority, verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(authority.file)
    url = await secure(serve, context, seen, lambda tls: tls.getpeercert()["subject"])
    pair = authority.issue("edge.example")
    tls = {"ca": str(authority.file), "certificate": str(pair.certificate), "key": str(pair.key)}
    await ask(dial(url, "127.0.0.1", tls=tls))
    assert seen == [((("commonName", "edge.example"),),)]


async def test_an_origin_older_than_is_spoken_is_a_tls_error(serve, dial, authority):
    url = await secure(serve, server_context(authority, maximum_version=ssl.TLSVersion.TLSv1_2), [], lambda _: None)
    with pytest.raises(EdgeError) as caught:
        await ask(dial(url, "127.0.0.1", tls={"ca": str(authority.file), "min_version": "1.3"}))
    assert caught.value.kind is Kind.TLS


@pytest.mark.parametrize("name", ["other.example", "*.origin.example"])
async def test_a_certificate_of_another_name_says_so(serve, dial, authority, name):
    url = await secure(serve, server_context(authority, name), [], lambda _: None)
    with pytest.raises(EdgeError, match="Hostname mismatch") as caught:
        await ask(dial(url, "127.0.0.1", tls={"ca": str(authority.file)}))
    assert caught.value.kind is Kind.TLS
