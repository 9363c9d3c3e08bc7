"""Authorities that do what they may not; one that refuses nonces."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from edgeproxy.acme import network
from edgeproxy.acme.authority import Authority, Window, renewal_id
from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.network import LARGEST
from edgeproxy.acme.renewal import Outcome
from edgeproxy.clock import Clock
from edgeproxy.config.acme import AcmeConfig
from tests.support import certificates
from tests.support.acme import Node
from tests.support.pebble import Pebble
from tests.support.ports import free_port


class Answering:
    """An https server that answers what it is told, by path."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        authority = certificates.Authority(folder)
        own = authority.issue("localhost")
        self.ca = authority.file
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, fields, body = answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {"content-type": "application/json", **fields}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own.certificate, own.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def directory(self, **more: str) -> None:
        names = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
        told = {name: f"{self.url}/{name}" for name in names} | more
        self.answers["/dir"] = (200, {}, json.dumps(told).encode())

    def open(self) -> Authority:
        config = AcmeConfig(agree_to_terms=True, directory=f"{self.url}/dir", ca=str(self.ca))
        return Authority(config, ec.generate_private_key(ec.SECP256R1()), Clock())

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Answering]:
    server = Answering(tmp_path)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>", "answered what it may not"),
        (200, b"[]", "no known form"),
        (200, b"{}", "no known form"),
        (200, b'{"newAccount": "http://plain.example/"}', "without TLS"),
        (200, b'{"newAccount": 7}', "no known form"),
        (503, b"busy", "answered 503"),
        (200, b" " * (LARGEST + 1), "more than 1000 KB"),
        (302, b"", "cannot be asked"),
    ],
)
def test_an_authority_that_is_none_is_an_error_in_a_line(
    server: Answering, status: int, body: bytes, said: str
) -> None:
    server.answers["/dir"] = (status, {"location": "/elsewhere"} if status == 302 else {}, body)
    with pytest.raises(AcmeError, match=said) as caught:
        server.open()
    assert caught.value.whole


def test_a_wish_to_be_left_alone_is_heard(server: Answering) -> None:
    problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}
    server.answers["/dir"] = (429, {"retry-after": "1234"}, json.dumps(problem).encode())
    with pytest.raises(AcmeError, match="rateLimited: too many") as caught:
        server.open()
    assert caught.value.retry_after == 1234


def test_a_certificate_of_the_authority_s_that_nobody_vouches_for_is_refused(server: Answering, tmp_path: Path) -> None:
    server.directory()
    (tmp_path / "other").mkdir()
    other = certificates.Authority(tmp_path / "other", "other")
    config = AcmeConfig(agree_to_terms=True, directory=f"{server.url}/dir", ca=str(other.file))
    with pytest.raises(AcmeError, match="CERTIFICATE_VERIFY_FAILED"):
        Authority(config, ec.generate_private_key(ec.SECP256R1()), Clock())


def test_the_window_it_suggests_is_read(server: Answering) -> None:
    certificate = _certificate()
    server.directory(renewalInfo=f"{server.url}/ari")
    window = {"suggestedWindow": {"start": "2027-01-02T00:00:00Z", "end": "2027-01-03T00:00:00Z"}}
    path = f"/ari/{renewal_id(certificate)}"
    server.answers[path] = (200, {"retry-after": "21600"}, json.dumps(window).encode())
    start = dt.datetime(2027, 1, 2, tzinfo=dt.UTC).timestamp()
    assert server.open().window(certificate) == Window(start, start + 86_400, 21_600)
    for wrong in (b"{}", b'{"suggestedWindow": {}}', b'{"suggestedWindow": {"start": "x", "end": "y"}}'):
        server.answers[path] = (200, {}, wrong)
        with pytest.raises(AcmeError):
            server.open().window(certificate)


def test_an_authority_that_suggests_none_has_none(server: Answering) -> None:
    server.directory()
    assert server.open().window(_certificate()) is None


def test_an_authority_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "STEP", 0.2)
    with socket.create_server(("127.0.0.1", free_port())) as listening:
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/dir"
        config = AcmeConfig(agree_to_terms=True, directory=url)
        with pytest.raises(AcmeError, match="cannot be asked") as caught:
            Authority(config, ec.generate_private_key(ec.SECP256R1()), Clock())
    assert caught.value.whole


def test_nonces_that_are_refused_are_fetched_anew(tmp_path: Path) -> None:
    with Pebble(valid=True, nonces=60) as pebble:
        node = Node(pebble, tmp_path / "acme")
        assert node.run("a.example") == Outcome(renewed=("a.example",))


def _certificate() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(0x8765432100)
        .not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.AuthorityKeyIdentifier(b"key", None, None), critical=False)
        .sign(key, hashes.SHA256())
    )


def test_a_certificate_is_asked_about_by_its_authority_s_key_and_its_number() -> None:
    assert renewal_id(_certificate()) == "a2V5.AIdlQyEA"  # 00 87 65 43 21 00: DER keeps it positive
