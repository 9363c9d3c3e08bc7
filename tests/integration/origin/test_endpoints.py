"""Ways to reach an endpoint: TLS, Unix sockets, names; and tunnels through them."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Tunnel
from edgeproxy.origin import resolve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WEBSOCKET = {b"connection": b"keep-alive, Upgrade", b"upgrade": b"websocket", b"sec-websocket-key": b"x"}
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n"
)


async def echo(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


def _certificate(name, key, issuer, issuer_key, *, authority):
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("origin.example")]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


@pytest.fixture
def authority(tmp_path):
    """A CA's file, and a server's TLS context with a certificate of its for origin.example."""

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate(name("CA"), ca_key, name("CA"), ca_key, authority=True)
    leaf = _certificate(name("origin"), key, name("CA"), ca_key, authority=False)
    (tmp_path / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "leaf.pem").write_bytes(
        leaf.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem")
    return str(tmp_path / "ca.pem"), context


async def test_tls_with_a_known_authority_and_the_right_name(serve, make_pool, exchange, authority):
    ca, context = authority
    asked = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    origin = await serve(echo, tls=context)
    pool = await make_pool(origin.url, tls={"ca": ca, "server_name": "origin.example"})
    for _ in range(3):
        assert (await pool.fetch(exchange())).body == b"ok"
    assert (origin.connections, asked) == (1, ["origin.example"])


@pytest.mark.parametrize(("with_ca", "name"), [(False, "origin.example"), (True, "other.example"), (True, None)])
async def test_tls_that_cannot_be_trusted_is_refused(serve, make_pool, exchange, authority, with_ca, name):
    ca, context = authority
    origin = await serve(echo, tls=context)
    pool = await make_pool(origin.url, tls={"ca": ca if with_ca else None, "server_name": name}, retry={"tries": 1})
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert (caught.value.kind, caught.value.status) == (Kind.TLS, 502)
    assert origin.requests == []
    assert pool.state()[0]["in_flight"] == 0


async def test_tls_is_not_verified_when_told_so(serve, make_pool, exchange, authority):
    origin = await serve(echo, tls=authority[1])
    pool = await make_pool(origin.url, tls={"verify": False})
    assert (await pool.fetch(exchange())).body == b"ok"


async def test_an_endpoint_that_speaks_no_tls_is_a_tls_error(serve, make_pool, exchange):
    async def script(wire):
        await wire.reader.read(100)

    origin = await serve(script)
    pool = await make_pool(origin.url.replace("http:", "https:"), retry={"tries": 1})
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert caught.value.kind is Kind.TLS


@pytest.mark.parametrize("truncated", [False, True])
async def test_a_close_delimited_body_over_tls_must_end_with_close_notify(
    serve, make_pool, exchange, read, authority, truncated
):
    """RFC 9112 §9.8: an incomplete close may be an attacker's."""

    async def script(wire):
        await wire.request()
        await wire.answer(b"HTTP/1.1 200 OK\r\n\r\npart")
        await asyncio.sleep(0.05)
        if truncated:
            wire.writer.transport.abort()  # without close_notify

    ca, context = authority
    pool = await make_pool((await serve(script, tls=context)).url, tls={"ca": ca, "server_name": "origin.example"})
    response = await pool.fetch(exchange())
    if truncated:
        with pytest.raises(EdgeError) as caught:
            await read(response)
        assert caught.value.kind is Kind.RESPONSE_INCOMPLETE
    else:
        assert await read(response) == b"part"


def test_an_authorities_file_that_cannot_be_read_is_said():
    from edgeproxy.clock import Clock
    from edgeproxy.config.schema import PoolConfig
    from edgeproxy.observe.metrics import Metrics
    from edgeproxy.origin.pool import Pool

    config = PoolConfig.model_validate({"endpoints": ["https://a.example"], "tls": {"ca": "/nowhere/ca.pem"}})
    with pytest.raises(ValueError, match=r"tls\.ca: /nowhere/ca\.pem cannot be used: No such file"):
        Pool("site", config, Clock(), Metrics())


async def test_a_unix_socket(serve, make_pool, exchange, tmp_path):
    origin = await serve(echo, path=tmp_path / "app.sock")
    pool = await make_pool(origin.url, host="endpoint")
    x = exchange()
    assert (await pool.fetch(x)).body == b"ok"
    assert (x.endpoint, origin.requests[0].get(b"host")) == (origin.url, b"localhost")


async def test_a_unix_socket_that_is_not_there(make_pool, exchange, tmp_path):
    pool = await make_pool(f"unix:{tmp_path}/none.sock", retry={"tries": 1})
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert caught.value.kind is Kind.CONNECT_REFUSED


async def test_a_name_is_resolved(serve, make_pool, exchange):
    origin = await serve(echo)
    pool = await make_pool(origin.url.replace("127.0.0.1", "localhost"))
    x = exchange()
    assert (await pool.fetch(x)).body == b"ok"
    assert "http://" + x.endpoint == origin.url


async def test_a_name_that_does_not_resolve_is_a_dns_error(make_pool, exchange):
    pool = await make_pool("http://no-such-host.invalid")
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert (caught.value.kind, caught.value.status) == (Kind.DNS, 502)


async def test_addresses_come_and_go_and_a_vanished_name_keeps_its_last(
    serve, make_pool, exchange, settle, monkeypatch
):
    """The resolver's answers are set here: nothing on loopback changes them."""
    origin = await serve(echo, host="0.0.0.0")
    port = origin.url.rpartition(":")[2]
    answers: list[tuple[str, ...] | OSError] = [
        ("127.0.0.1",),
        ("127.0.0.1", "127.0.0.2"),
        OSError("gone"),
        ("127.0.0.2",),
    ]
    asked = 0

    async def lookup(_host, _port):
        nonlocal asked
        answer = answers[min(asked, len(answers) - 1)]
        asked += 1
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(resolve, "lookup", lookup)
    pool = await make_pool(f"http://app.example:{port}", resolve_every=1)
    pool._members._config = pool._members._config.model_copy(update={"resolve_every": 0.05})

    def addresses():
        return [entry["address"] for entry in pool.state()]

    await pool.fetch(exchange())
    assert addresses() == [f"127.0.0.1:{port}"]
    await settle(lambda: asked == 2)
    await settle(lambda: addresses() == [f"127.0.0.1:{port}", f"127.0.0.2:{port}"])
    assert pool.state()[0]["requests"] == 1  # it is still the same endpoint
    used = set()
    for _ in range(4):
        x = exchange()
        await pool.fetch(x)
        used.add(x.endpoint)
    assert used == set(addresses())
    await settle(lambda: asked == 3)
    assert addresses() == [f"127.0.0.1:{port}", f"127.0.0.2:{port}"]
    await settle(lambda: addresses() == [f"127.0.0.2:{port}"])
    assert (await pool.fetch(exchange())).body == b"ok"


async def test_a_tunnel_carries_bytes_both_ways(serve, make_pool, exchange, settle):
    async def script(wire):
        await wire.request()
        await wire.answer(SWITCH + b"hello")
        while data := await wire.reader.read(65536):
            await wire.answer(data.upper())

    origin = await serve(script)
    pool = await make_pool(origin.url, timeouts={"between_bytes": 0.1, "total": 0.1, "first_byte": 0.1})
    response = await pool.fetch(exchange(headers=WEBSOCKET))
    assert response.status == 101
    assert response.headers() == {
        b"connection": b"Upgrade",
        b"upgrade": b"websocket",
        b"sec-websocket-accept": b"y",
    }
    assert origin.requests[0].get(b"connection") == b"upgrade"
    assert origin.requests[0].get(b"upgrade") == b"websocket"
    tunnel = response.body
    assert isinstance(tunnel, Tunnel)
    assert await tunnel.read() == b"hello"
    await asyncio.sleep(0.3)  # longer than every time-out: a tunnel may be silent
    tunnel.write(b"abc")
    await tunnel.drain()
    assert await tunnel.read() == b"ABC"
    assert pool.state()[0]["in_flight"] == 1
    tunnel.close()
    await settle(lambda: origin.closed == 1 and pool.state()[0]["in_flight"] == 0)
    assert pool.state()[0] | {"idle": 0, "failures": 0} == pool.state()[0]


async def test_a_tunnel_holds_back_both_sides(serve, make_pool, exchange, settle):
    sent = 0

    async def script(wire):
        nonlocal sent
        await wire.request()
        await wire.answer(SWITCH)
        while sent < 100_000_000:
            await wire.answer(b"x" * 65536)
            sent += 65536

    pool = await make_pool((await serve(script)).url)
    tunnel = (await pool.fetch(exchange(headers=WEBSOCKET))).body
    await asyncio.sleep(0.2)
    assert sent < 32_000_000
    written = 0

    async def flood():
        nonlocal written
        while True:
            tunnel.write(b"y" * 65536)
            await tunnel.drain()
            written += 65536

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flood(), 0.2)
    assert written < 32_000_000
    tunnel.close()
    await settle(lambda: pool.state()[0]["in_flight"] == 0)  # although the origin does not read what was written


@pytest.mark.parametrize("reset", [False, True])
async def test_a_tunnel_tells_when_the_origin_leaves(serve, make_pool, exchange, reset, settle):
    async def script(wire):
        await wire.request()
        await wire.answer(SWITCH)
        await asyncio.sleep(0.02)
        if reset:
            wire.reset()

    pool = await make_pool((await serve(script)).url)
    tunnel = (await pool.fetch(exchange(headers=WEBSOCKET))).body
    if reset:
        with pytest.raises(EdgeError) as caught:
            await tunnel.read()
        assert caught.value.kind is Kind.CONNECTION_LOST
        with pytest.raises(EdgeError):
            await tunnel.drain()
    else:
        assert await tunnel.read() == b""
    tunnel.close()
    await settle(lambda: pool.state()[0]["in_flight"] == 0)


async def test_an_origin_that_does_not_upgrade_answers_as_usual(serve, make_pool, exchange):
    pool = await make_pool((await serve(echo)).url)
    assert (await pool.fetch(exchange(headers=WEBSOCKET))).body == b"ok"
    assert pool.state()[0]["idle"] == 1
