"""What is set past Python's ssl: that it can be set here, and what it does."""

from __future__ import annotations

import gc
import ssl
from pathlib import Path

import pytest

from edgeproxy.config.tls import TlsConfig
from edgeproxy.tls import openssl
from edgeproxy.tls.context import load, new_context
from tests.support.certificates import Authority
from tests.support.handshakes import client_context, meet


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("openssl"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("a.example")
    config = TlsConfig(on_demand=True, profile="intermediate")
    context = new_context(config, ("h2", "http/1.1"))
    load(context, *map(str, pair))
    return context


def test_this_python_and_this_library_are_known() -> None:
    assert openssl.MISSING == ""


@pytest.mark.parametrize("curve", ["X25519", "prime256v1", "secp384r1"])
def test_quick_groups_are_taken(authority: Authority, server: ssl.SSLContext, curve: str) -> None:
    client = client_context(str(authority.file))
    client.set_ecdh_curve(curve)
    assert meet(client, server, "a.example").client.version() == "TLSv1.3"


@pytest.mark.parametrize("curve", ["X448", "secp521r1"])
def test_costly_groups_are_not(authority: Authority, server: ssl.SSLContext, curve: str) -> None:
    client = client_context(str(authority.file))
    client.set_ecdh_curve(curve)
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake failure"):
        meet(client, server, "a.example")


def test_what_is_called_back_outlives_its_context(authority: Authority) -> None:
    pair = authority.issue("b.example")
    config = TlsConfig(on_demand=True)
    client = client_context(str(authority.file), "h2")
    for _ in range(20):
        server = new_context(config, ("h2",))
        load(server, *map(str, pair))
        openssl.staple(server, lambda: b"")
        met = meet(client, server, "b.example")
        del server
        gc.collect()
        assert met.client.selected_alpn_protocol() == "h2"
    assert len(openssl._staples) <= 2


def test_without_the_library_contexts_work_as_python_makes_them(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openssl, "_library", None)
    monkeypatch.setattr(openssl, "MISSING", "for a test")
    pair = authority.issue("c.example")
    server = new_context(TlsConfig(on_demand=True), ("h2", "http/1.1"))
    load(server, *map(str, pair))
    openssl.staple(server, lambda: b"")
    assert meet(client_context(str(authority.file), "http/1.1"), server, "c.example").client.version() == "TLSv1.3"
    openssl.report()
    assert "for a test" in caplog.text


def test_the_guard_names_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(openssl.sys, "version_info", (3, 99))
    assert "3.99" in openssl._missing()
    monkeypatch.undo()
    monkeypatch.setattr(openssl.ssl, "OPENSSL_VERSION", "LibreSSL 4")
    assert "LibreSSL" in openssl._missing()
    monkeypatch.undo()
    monkeypatch.setattr(openssl, "_pointer", lambda _: openssl_pointer_of_another())
    assert "pointer" in openssl._missing()


_ANOTHER = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def openssl_pointer_of_another() -> int:
    return int.from_bytes(bytes((openssl._Pointer * 1).from_address(id(_ANOTHER) + object.__basicsize__)), "little")
