"""Ways to reach an endpoint, and the connections kept to it."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgeproxy.clock import Clock
from edgeproxy.config.pools import PoolConfig
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.pool import Pool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


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


async def test_connections_are_kept_and_reused_last_in_first_out(serve, make_pool, exchange):
    origin = await serve(echo)
    pool = await make_pool(origin.url, keepalive={"connections": 2})
    await asyncio.gather(*(pool.fetch(exchange()) for _ in range(5)))
    opened = origin.connections
    assert opened == 5
    assert pool.state()[0]["idle"] == 2
    for _ in range(5):
        await pool.fetch(exchange())
    assert origin.connections == opened


async def test_an_idle_connection_is_closed_in_time(serve, make_pool, exchange, settle):
    origin = await serve(echo)
    pool = await make_pool(origin.url, keepalive={"idle": 0.1})
    await pool.fetch(exchange())
    await settle(lambda: origin.closed == 1)
    assert pool.state()[0]["idle"] == 0
