"""Handshakes with the real proxy: refusals that say why, sessions resumed across workers and nodes, hostile hellos,
certificates and proofs from the store."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.ocsp import load_der_ocsp_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeproxy.certificates.store import CertificateStore
from tests.support.certificates import Authority, Pair
from tests.support.client import RawClient
from tests.support.handshakes import client_context
from tests.support.ocsp import Responder
from tests.support.origin import RecordedRequest, RecordingOrigin, answer
from tests.support.ports import free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

SECRET = b"0123456789abcdef" * 4
RESUMED = 16  # connections; that all of them reach one worker of two happens once in 32768 runs


def serial_of(pair: Pair) -> int:
    return x509.load_pem_x509_certificates(pair.certificate.read_bytes())[0].serial_number


def _entry(pair: Pair) -> dict[str, str]:
    return {"certificate": str(pair.certificate), "key": str(pair.key)}


class Node:
    """A proxy of two workers with its certificates from files, and from a store if it has one."""

    def __init__(
        self, authority: Authority, origin: str, store: Path | None = None, more: Sequence[Pair] = (), **tls: Any
    ) -> None:
        self.authority = authority
        self.port = free_port()
        pairs = [authority.issue("a.example"), *more]
        settings: dict[str, Any] = {"certificates": [_entry(pair) for pair in pairs], **tls}
        sections: dict[str, Any] = {"limits": {"head_timeout": "1s"}}
        if store is not None:
            self.store = CertificateStore(store)
            self.store.prepare()
            settings["acme"] = ["stored.example"]
            nobody = "https://127.0.0.1:1/"
            sections["acme"] = {
                "agree_to_terms": True,
                "folder": str(store),
                "challenge": "tls-alpn-01",
                "directory": nobody,
            }
        listeners = [{"address": f"127.0.0.1:{self.port}", "tls": settings}]
        self.edge = EdgeProcess(
            config(origin, workers=2, listeners=listeners, middleware={"bot_check": False}, **sections)
        )

    def connect(
        self, name: str = "a.example", context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
    ) -> ssl.SSLSocket:
        context = context or client_context(str(self.authority.file))
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        try:
            return context.wrap_socket(raw, server_hostname=name, session=session)
        except BaseException:
            raw.close()
            raise

    def served(self) -> bool:
        with self.connect() as client:
            client.sendall(request())
            return client.recv(12) == b"HTTP/1.1 200"

    def raw(self, data: bytes) -> bytes:
        """What is answered to these bytes, until the connection is closed."""
        with RawClient(("127.0.0.1", self.port)) as client:
            client.send(data)
            client.finish()
            client.read_to_close()
            return bytes(client.received)


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with Site() as site:
        yield site.url


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("secret") / "tickets"
    file.write_bytes(SECRET)
    return file


@pytest.fixture(scope="module")
def responder(authority: Authority) -> Iterator[tuple[RecordingOrigin, list[Pair]]]:
    """An OCSP responder, and the certificates that it knows: of one name, for ECDSA and RSA."""
    with RecordingOrigin() as server:
        known = Responder(authority, server.url)
        key = rsa.generate_private_key(65537, 2048)
        pairs = [known.issue("stapled.example", must_staple=True), known.issue("stapled.example", file="rsa", key=key)]
        by_serial = {serial_of(pair): pair for pair in pairs}
        kind = b"Content-Type: application/ocsp-response"

        def tell(request: RecordedRequest) -> bytes:
            return answer(200, known.answer(by_serial[load_der_ocsp_request(request.body).serial_number]), kind)

        server.answer = tell
        yield server, pairs


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory,
    authority: Authority,
    origin: str,
    secret: Path,
    responder: tuple[RecordingOrigin, list[Pair]],
) -> Iterator[Node]:
    store = tmp_path_factory.mktemp("node")
    node = Node(authority, origin, store, responder[1], profile="intermediate", ticket_secret=str(secret))
    with node.edge:
        yield node


def hello(name: str = "a.example", *protocols: str) -> bytes:
    """A ClientHello as OpenSSL writes it."""
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    written = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), written, server_hostname=name).do_handshake()
    return written.read()


# Refusals.


def test_who_speaks_nothing_of_ours_is_told_so(node: Node) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)no application protocol"):
        node.connect(context=client_context(str(node.authority.file), "h3"))
    with node.connect(context=client_context(str(node.authority.file), "http/1.1")) as client:
        assert client.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0" * 600,
        b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"\x16\x03\x01\xff\xff" + b"\x01" * 600,
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        b"\x15\x03\x01\x00\x02\x02\x50",
        b"\x80\x2e\x01\x00\x02",
    ],
    ids=["nothing", "zeros", "plain", "long record", "long hello", "alert", "SSLv2"],
)
def test_what_is_no_hello_is_no_harm(node: Node, sent: bytes) -> None:
    assert b"200" not in node.raw(sent)
    assert node.served()
    assert "Traceback" not in node.edge.logs()


@pytest.mark.parametrize("name", [b"\xff\xfe\xfd.example", b"a\0b.example.com", b"../../../etc/x"])
def test_a_name_that_is_none_is_no_harm(node: Node, name: bytes) -> None:
    asked = "x" * (len(name) - 8) + ".example"
    data = hello(asked).replace(asked.encode(), name)
    assert name in data
    node.raw(data)
    assert node.served()
    assert "Traceback" not in node.edge.logs()
    assert "Exception ignored" not in node.edge.logs()


def test_a_name_longer_than_any_is_no_harm(node: Node) -> None:
    name = ".".join(["x" * 60] * 4)
    data = hello(name)
    grown = name.encode() + b"y" * 40_000
    assert node.raw(data.replace(name.encode(), grown)) is not None
    assert node.served()


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(5, 300), byte=st.integers(0, 255))
def test_a_hello_with_a_wrong_byte_is_no_harm(node: Node, at: int, byte: int) -> None:
    data = bytearray(hello("a.example", "http/1.1"))
    data[min(at, len(data) - 1)] = byte
    node.raw(bytes(data))
    assert "Traceback" not in node.edge.logs()


def test_a_hello_that_never_ends_is_cut_and_holds_nobody_up(node: Node) -> None:
    with RawClient(("127.0.0.1", node.port)) as client:
        client.send(hello()[:100])
        assert node.served()
        client.read_to_close()
        assert client.closed


def test_renegotiation_is_refused(node: Node) -> None:
    told = _s_client(node, "-tls1_2", typed="R\n")
    assert re.search(r"no renegotiation|renegotiat", told, re.IGNORECASE)
    assert node.served()


def test_openssl_sees_the_groups_and_ciphers_of_the_profile(node: Node) -> None:
    assert "X25519" in _s_client(node)
    assert "no peer certificate available" in _s_client(node, "-groups", "X448")
    assert "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305" in _s_client(
        node, "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"
    )
    assert "no peer certificate available" in _s_client(node, "-tls1_2", "-cipher", "AES128-GCM-SHA256")


def test_curl_is_served(node: Node) -> None:
    command = [
        "curl",
        "--silent",
        "--fail",
        "--cacert",
        str(node.authority.file),
        "--resolve",
        f"a.example:{node.port}:127.0.0.1",
    ]
    answered = subprocess.run(
        [*command, f"https://a.example:{node.port}/"], capture_output=True, timeout=20, check=True
    )
    assert answered.stdout == b"ok"


def _s_client(node: Node, *options: str, typed: str = "", name: str = "a.example") -> str:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{node.port}", "-servername", name, *options]
    ended = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=20, check=False)
    return ended.stdout + ended.stderr


# Sessions.


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_begun_at_one_worker_is_resumed_at_every_other(node: Node, version: ssl.TLSVersion) -> None:
    context = client_context(str(node.authority.file))
    context.minimum_version = context.maximum_version = version
    session = _begun(node, context)
    reused = []
    for _ in range(RESUMED):
        with node.connect(context=context, session=session) as client:
            reused.append(client.session_reused)
    assert reused == [True] * RESUMED


@pytest.mark.slow
def test_nodes_with_the_same_secret_resume_each_others_sessions(
    authority: Authority, origin: str, node: Node, secret: Path
) -> None:
    other = Node(authority, origin, ticket_secret=str(secret))
    context = client_context(str(authority.file))
    with other.edge:
        session = _begun(other, context)
        with node.connect(context=context, session=session) as client:
            assert client.session_reused
        assert SECRET.decode() not in other.edge.logs()


def _begun(node: Node, context: ssl.SSLContext) -> ssl.SSLSession:
    with node.connect(context=context) as client:
        client.sendall(request())
        client.recv(65_536)
        session = client.session
    assert session is not None
    return session


# The store.


def test_a_proof_is_shown_to_who_asks_for_it_alone(node: Node) -> None:
    proof = node.authority.issue("stored.example", "proof.example", file="proof")
    node.store.put(node.store.challenge("stored.example"), proof.key.read_bytes() + proof.certificate.read_bytes())
    context = client_context(str(node.authority.file), "acme-tls/1")
    try:
        for _ in range(6):  # both workers
            with node.connect("stored.example", context) as client:
                assert client.selected_alpn_protocol() == "acme-tls/1"
                assert "proof.example" in _names(client)
            assert node.served()
    finally:
        node.store.drop(node.store.challenge("stored.example"))
    with pytest.raises(ssl.SSLError):
        node.connect("stored.example", context)


def test_a_certificate_that_comes_into_the_store_is_shown_without_a_word(node: Node) -> None:
    def shown(name: str) -> bool:
        try:
            with node.connect(name):
                return True
        except ssl.SSLCertVerificationError:
            return False

    assert not shown("stored.example")
    for file in ("one", "two"):
        pair = node.authority.issue("stored.example", f"{file}.example", file=file)
        node.store.put(node.store.certificate("stored.example"), pair.key.read_bytes() + pair.certificate.read_bytes())
        wait_until(lambda: all(shown(f"{file}.example") for _ in range(6)), "both workers show it")  # noqa: B023
    assert b'edgeproxy_certificate_expiry_seconds{name="stored.example"}' in node.edge.admin("/metrics")[1]


def _names(client: ssl.SSLSocket) -> set[str]:
    certificate = client.getpeercert()
    assert certificate is not None
    return {str(entry[1]) for entry in certificate["subjectAltName"]}


# Staples.


def test_certificates_are_shown_with_their_responders_answers_which_are_fetched_once(
    node: Node, responder: tuple[RecordingOrigin, list[Pair]]
) -> None:
    server, pairs = responder
    algorithms = ("ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256")

    def stapled(name: str, algorithm: str) -> int:
        """The serial number that the answer is about, 0 for none."""
        told = _s_client(node, "-status", "-sigalgs", algorithm, name=name)
        found = re.search(r"Serial Number: ([0-9A-F]+)\n +Cert Status: good", told)
        return int(found[1], 16) if found else 0

    for pair, algorithm in zip(pairs, algorithms, strict=True):
        wanted = serial_of(pair)
        wait_until(
            lambda: all(stapled("stapled.example", algorithm) == wanted for _ in range(6)),  # noqa: B023
            "both workers show it",
            30,
        )
    assert stapled("a.example", algorithms[0]) == 0
    assert len(server.requests) == len(pairs)
