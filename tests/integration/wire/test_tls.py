"""TLS towards clients: versions, certificates by name, reload, client certificates."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority, Pair
from tests.support.client import RawClient
from tests.support.processes import EdgeProcess
from tests.support.servers import free_port, wait_until
from tests.support.site import Site, config, request


class Secured:
    """The proxy with one TLS listener for each setting under test, and the authorities clients and it trust."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.authority = Authority(folder)
        self.clients = Authority(folder, "clients")
        self.stranger = Authority(folder, "stranger")
        self.first = self.authority.issue("a.example")
        self.second = self.authority.issue("b.example", "*.wild.example")
        self.ports = {name: free_port() for name in ("old", "any", "request", "require")}
        certificates = [_entry(self.first), _entry(self.second)]
        ca = str(self.clients.file)
        settings: dict[str, dict[str, Any]] = {
            "any": {},
            "old": {"profile": "intermediate"},
            "request": {"profile": "intermediate", "client_certificate": "request", "client_ca": ca},
            "require": {"profile": "intermediate", "client_certificate": "require", "client_ca": ca},
        }
        listeners = [
            {"address": f"127.0.0.1:{self.ports[name]}", "tls": {"certificates": certificates, **more}}
            for name, more in settings.items()
        ]
        self.edge = EdgeProcess(config(origin, listeners=listeners, middleware={"bot_check": False}))

    def connect(
        self, listener: str, name: str = "a.example", *, show: Pair | None = None, version: ssl.TLSVersion | None = None
    ) -> RawClient:
        """A checked TLS connection; ``show``: the client's certificate."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if show is not None:
            context.load_cert_chain(show.certificate, show.key)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return RawClient(("127.0.0.1", self.ports[listener]), tls=context, server_name=name)

    def served(self, client: RawClient) -> bool:
        """Whether a request is answered on this connection, which is then closed."""
        with client:
            client.send(request())
            return client.answers(1).statuses == [200]


def _entry(pair: Pair) -> dict[str, str]:
    return {"certificate": str(pair.certificate), "key": str(pair.key)}


def _names(client: RawClient) -> set[str]:
    assert isinstance(client.socket, ssl.SSLSocket)
    certificate = client.socket.getpeercert()
    assert certificate is not None
    return {str(entry[1]) for entry in certificate["subjectAltName"]}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with Site() as origin:
        secured = Secured(tmp_path_factory.mktemp("tls"), origin.url)
        with secured.edge:
            yield secured


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_intermediate_profile_speaks_both_versions(secured: Secured, version: ssl.TLSVersion) -> None:
    assert secured.served(secured.connect("old", version=version))


def test_the_modern_profile_speaks_tls_1_3_alone_and_says_so(secured: Secured) -> None:
    assert secured.served(secured.connect("any", version=ssl.TLSVersion.TLSv1_3))
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol version"):
        secured.connect("any", version=ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("a.example", "a.example"),
        ("b.example", "b.example"),
        ("B.Example", "b.example"),
        ("any.wild.example", "*.wild.example"),
    ],
)
def test_the_certificate_follows_the_name_asked_for(secured: Secured, asked: str, shown: str) -> None:
    with secured.connect("any", asked) as client:
        assert shown in _names(client)


def test_an_unknown_name_is_shown_the_first_certificate(secured: Secured) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        secured.connect("any", "other.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        secured.connect("any", "two.levels.wild.example")


def test_no_client_certificate_is_needed_where_it_is_only_requested(secured: Secured) -> None:
    assert secured.served(secured.connect("request"))
    assert secured.served(secured.connect("request", show=secured.clients.issue("client")))


@pytest.mark.parametrize("listener", ["request", "require"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_strangers_certificate_is_refused(secured: Secured, listener: str, version: ssl.TLSVersion) -> None:
    shown = secured.stranger.issue("client", file="stranger-client")
    assert not _gets_in(secured, listener, shown, version)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_required_client_certificate_is_required(secured: Secured, version: ssl.TLSVersion) -> None:
    assert not _gets_in(secured, "require", None, version)
    assert _gets_in(secured, "require", secured.clients.issue("client"), version)


def _gets_in(secured: Secured, listener: str, shown: Pair | None, version: ssl.TLSVersion) -> bool:
    """In TLS 1.3 a refusal arrives after the client's handshake is done, with its first read."""
    try:
        return secured.served(secured.connect(listener, show=shown, version=version))
    except (ssl.SSLError, ConnectionError):
        return False


def test_plain_http_on_a_tls_listener_gets_nothing_and_harms_nothing(secured: Secured) -> None:
    with RawClient(("127.0.0.1", secured.ports["any"])) as client:
        client.send(request())
        client.read_to_close()
        assert client.closed
        assert b"200" not in client.received
    assert secured.served(secured.connect("any"))
    assert "Traceback" not in secured.edge.logs()


def test_pipelined_requests_in_one_record_are_answered(secured: Secured) -> None:
    with secured.connect("any") as client:
        client.send(request(b"/1") + request(b"/2") + request(b"/3"))
        assert client.answers(3).statuses == [200] * 3


def test_new_certificates_serve_new_connections_and_cut_no_old_one(secured: Secured) -> None:
    with secured.connect("any") as old:
        old.send(request())
        assert old.answers(1).statuses == [200]
        renewed = secured.authority.issue("a.example", "renewed.example", file="renewed")
        renewed.key.replace(secured.first.key)
        renewed.certificate.replace(secured.first.certificate)
        secured.edge.reload()

        def shown() -> bool:
            with secured.connect("any") as client:
                return "renewed.example" in _names(client)

        wait_until(shown, "the new certificate is shown")
        old.received.clear()
        old.send(request())
        assert old.answers(1).statuses == [200]


def test_broken_certificate_files_leave_the_old_ones_in_service(secured: Secured) -> None:
    whole = secured.second.certificate.read_bytes()
    secured.second.certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    try:
        before = secured.edge.logs()
        secured.edge.reload()
        wait_until(lambda: "certificate" in secured.edge.logs()[len(before) :], "the broken file is reported")
        assert secured.served(secured.connect("any", "b.example"))
        assert secured.served(secured.connect("any", "a.example"))
    finally:
        secured.second.certificate.write_bytes(whole)
