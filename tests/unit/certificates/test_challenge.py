"""Proofs for an authority (TLS-ALPN-01)."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest

from edgeproxy.certificates.challenge import Proofs
from edgeproxy.certificates.store import CertificateStore
from edgeproxy.tls.client_hello import Offer

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ALONE = (b"acme-tls/1",)


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    store = CertificateStore(tmp_path / "store")
    store.prepare()
    return store


def load(path: Path) -> ssl.SSLContext:
    if not path.read_bytes():
        raise ValueError("empty")
    return CONTEXT


def test_proofs_are_seen_the_moment_they_are_there_and_gone_when_they_are_gone(store: CertificateStore) -> None:
    proofs = Proofs(store, load, time.time)
    assert not proofs.pending()
    for _ in range(20):
        store.put(store.challenge("a.example"), b"proof")
        assert proofs.pending()
        store.drop(store.challenge("a.example"))
        assert not proofs.pending()


def test_a_store_that_is_not_there_yet_has_none(tmp_path: Path) -> None:
    assert not Proofs(CertificateStore(tmp_path / "none"), load, time.time).pending()


def test_the_name_and_the_protocol_alone_get_the_proof(store: CertificateStore) -> None:
    store.put(store.challenge("a.example"), b"proof")
    proofs = Proofs(store, load, time.time)
    assert proofs.answer(Offer("a.example", ALONE)) is CONTEXT
    for offer in (
        None,
        Offer("b.example", ALONE),
        Offer("a.example", ()),
        Offer("a.example", (b"h2", *ALONE)),
        Offer("../a.example", ALONE),
        Offer("", ALONE),
    ):
        assert proofs.answer(offer) is None


def test_a_broken_proof_is_said_and_harms_nobody(store: CertificateStore, caplog: pytest.LogCaptureFixture) -> None:
    store.put(store.challenge("a.example"), b"")
    assert Proofs(store, load, time.time).answer(Offer("a.example", ALONE)) is None
    assert "cannot be used" in caplog.text
