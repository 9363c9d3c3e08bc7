"""Which certificate a handshake gets, and what happens when files change, break or are missing."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from edgeproxy.certificates.choice import COMPLAIN_EVERY, Certificates
from edgeproxy.certificates.store import CertificateStore
from edgeproxy.clock import ManualClock
from edgeproxy.config.acme import AcmeConfig
from edgeproxy.config.tls import TlsConfig
from tests.support.certificates import Authority, Pair
from tests.support.handshakes import Met, client_context, meet

RSA = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    store = CertificateStore(tmp_path / "store")
    store.prepare()
    return store


class Listener:
    """Certificates, and a client that trusts their authority."""

    def __init__(
        self, authority: Authority, pairs: Sequence[Pair] = (), store: CertificateStore | None = None, **more: Any
    ) -> None:
        files = [{"certificate": str(pair.certificate), "key": str(pair.key)} for pair in pairs]
        demand = {"on_demand": {"allow": ["*.wanted.example"]}} if more.get("on_demand") else {}
        folder = {"folder": str(store.path)} if store is not None else {}
        acme = AcmeConfig.model_validate({"agree_to_terms": True, **folder, **demand}) if store is not None else None
        self.clock = ManualClock()
        self.certificates = Certificates(
            TlsConfig.model_validate({"certificates": files, **more}), acme, secret=b"s" * 32, wall=self.clock.wall
        )
        self.client = client_context(str(authority.file))

    def meet(self, name: str | None, client: ssl.SSLContext | None = None) -> Met:
        return meet(client or self.client, self.certificates.context, name)

    def shown(self, name: str | None) -> set[str]:
        """The names of the certificate that is shown to who asks for this one, right or wrong."""
        context = self.client
        context.check_hostname = False
        return self.meet(name).names

    def trusted(self, name: str) -> bool:
        try:
            self.meet(name)
        except ssl.SSLCertVerificationError:
            return False
        return True


def into(store: CertificateStore, name: str, pair: Pair) -> None:
    store.put(store.certificate(name), pair.key.read_bytes() + pair.certificate.read_bytes())


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("a.example", {"a.example"}),
        ("x.wild.example", {"b.example", "*.wild.example"}),
        ("a.wild.example", {"a.wild.example"}),
        ("x.y.wild.example", {"a.example"}),
        ("other.example", {"a.example"}),
        (None, {"a.example"}),
    ],
)
def test_the_name_asked_for_decides_exact_before_wildcard_the_first_for_others(
    authority: Authority, asked: str | None, shown: set[str]
) -> None:
    pairs = [
        authority.issue("a.example"),
        authority.issue("b.example", "*.wild.example"),
        authority.issue("a.wild.example"),
    ]
    assert Listener(authority, pairs).shown(asked) == shown


def test_a_name_may_have_a_certificate_of_each_kind(authority: Authority) -> None:
    pairs = [authority.issue("a.example"), authority.issue("a.example", file="rsa", key=RSA)]
    listener = Listener(authority, pairs, profile="intermediate")
    keys = set()
    for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
        client = client_context(str(authority.file))
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        client.set_ciphers(cipher)
        keys.add(listener.meet("a.example", client).key)
    assert keys == {"ECPublicKey", "RSAPublicKey"}


def test_of_two_of_one_kind_the_first_counts(authority: Authority) -> None:
    pairs = [authority.issue("a.example", "first.example"), authority.issue("a.example", file="second")]
    assert "first.example" in Listener(authority, pairs).shown("a.example")


def test_new_files_are_shown_after_a_reload(authority: Authority) -> None:
    pair = authority.issue("a.example")
    listener = Listener(authority, [pair, authority.issue("b.example")])
    renewed = authority.issue("a.example", "new.example", file="new")
    renewed.key.replace(pair.key)
    renewed.certificate.replace(pair.certificate)
    before = listener.certificates.context
    listener.certificates.reload()
    assert listener.shown("new.example") == {"a.example", "new.example"}
    assert meet(listener.client, before, "b.example").names == {"b.example"}


def test_what_has_not_changed_is_not_read_again(authority: Authority) -> None:
    listener = Listener(authority, [authority.issue("a.example")])
    before = listener.certificates.context
    listener.certificates.reload()
    assert listener.certificates.context is before


def test_a_key_of_another_certificate_is_refused_in_words(authority: Authority) -> None:
    one, other = authority.issue("a.example"), authority.issue("b.example")
    with pytest.raises(ValueError, match="the key is not this certificate's"):
        Listener(authority, [Pair(one.certificate, other.key)])


def test_a_half_written_file_leaves_all_as_it_was(authority: Authority) -> None:
    pair = authority.issue("a.example")
    listener = Listener(authority, [pair, authority.issue("b.example")])
    whole = pair.certificate.read_bytes()
    pair.certificate.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="no certificate"):
        listener.certificates.reload()
    assert listener.trusted("a.example")
    other = authority.issue("c.example")
    pair.certificate.write_bytes(other.certificate.read_bytes())
    with pytest.raises(ValueError, match="not this certificate's"):
        listener.certificates.reload()
    assert listener.trusted("a.example")
    assert listener.trusted("b.example")


def test_a_key_with_a_pass_phrase_asks_nobody(authority: Authority) -> None:
    from cryptography.hazmat.primitives import serialization as form

    pair = authority.issue("a.example")
    key = form.load_pem_private_key(pair.key.read_bytes(), None)
    locked = form.BestAvailableEncryption(b"locked")
    pair.key.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked))
    with pytest.raises(ValueError, match="pass phrase"):
        Listener(authority, [pair])


def test_a_new_authority_of_clients_is_taken_and_changes_the_keys_of_tickets(
    authority: Authority, tmp_path: Path
) -> None:
    clients = Authority(tmp_path, "clients")
    pair, shown = authority.issue("a.example"), Authority(tmp_path, "others").issue("client")
    listener = Listener(authority, [pair], client_certificate="require", client_ca=str(clients.file))
    listener.client.load_cert_chain(*shown)
    before = listener.certificates._tickets.current()
    with pytest.raises(ssl.SSLError):
        listener.meet("a.example").client.read(1)
    (tmp_path / "others.pem").replace(clients.file)
    listener.certificates.reload()
    assert listener.meet("a.example").server.getpeercert(binary_form=True)
    assert listener.certificates._tickets.current() != before


# From the store.


def test_a_listener_starts_without_its_certificate_and_takes_it_when_it_comes(
    authority: Authority, store: CertificateStore, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(authority, store=store, acme=["a.example", "b.example"])
    assert not listener.trusted("a.example")
    assert "no certificate yet for a.example, b.example" in caplog.text
    into(store, "a.example", authority.issue("a.example"))
    listener.certificates.look()
    assert listener.trusted("a.example")
    assert not listener.trusted("b.example")
    into(store, "a.example", authority.issue("a.example", "more.example", file="renewed"))
    listener.certificates.look()
    assert listener.trusted("more.example")


def test_a_group_has_one_certificate(authority: Authority, store: CertificateStore) -> None:
    listener = Listener(authority, store=store, acme=["*.a.example", "a.example"])
    into(store, "*.a.example", authority.issue("*.a.example", file="wild"))
    listener.certificates.look()
    assert listener.trusted("x.a.example")


def test_a_broken_file_in_the_store_leaves_what_was_there_and_is_said_once(
    authority: Authority, store: CertificateStore, caplog: pytest.LogCaptureFixture
) -> None:
    into(store, "a.example", authority.issue("a.example"))
    listener = Listener(authority, store=store, acme=["a.example"])
    store.put(store.certificate("a.example"), b"nothing")
    for _ in range(3):
        listener.certificates.look()
    assert listener.trusted("a.example")
    assert caplog.text.count("cannot be used") == 1


def test_files_come_first_for_unknown_names(authority: Authority, store: CertificateStore) -> None:
    into(store, "a.example", authority.issue("a.example"))
    listener = Listener(authority, [authority.issue("file.example")], store, acme=["a.example"])
    assert listener.shown("other.example") == {"file.example"}
    assert listener.shown("a.example") == {"a.example"}


def test_a_name_on_demand_is_asked_for_and_then_shown(authority: Authority, store: CertificateStore) -> None:
    listener = Listener(authority, [authority.issue("file.example")], store, on_demand=True)
    assert listener.shown("a.wanted.example") == {"file.example"}
    assert listener.shown("a.other.example") == {"file.example"}
    assert store.wanted() == ["a.wanted.example"]
    into(store, "a.wanted.example", authority.issue("a.wanted.example"))
    listener.clock.advance(2)
    assert listener.shown("a.wanted.example") == {"a.wanted.example"}


# Lifetimes.


def test_a_certificate_near_its_end_is_said_twice_a_day(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    listener = Listener(authority, [authority.issue("old.example", days=(-80, 2)), authority.issue("new.example")])
    now = listener.certificates.leaves()[0].expires - 86_400
    listener.clock.advance(now - listener.clock.wall())
    for _ in range(3):
        listener.certificates.look()
    assert caplog.text.count("old.example expires in 24 h") == 1
    assert "new.example" not in caplog.text
    listener.clock.advance(COMPLAIN_EVERY)
    listener.certificates.look()
    assert "old.example expires in 12 h" in caplog.text


def test_what_is_in_service_is_listed(authority: Authority) -> None:
    listener = Listener(authority, [authority.issue("a.example"), authority.issue("b.example")])
    assert [leaf.name for leaf in listener.certificates.leaves()] == ["a.example", "b.example"]
    assert repr(listener.certificates) == "<Certificates 2 for 2 names>"
