from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.material import (
    PrivateKey,
    alpn_certificate,
    bundle,
    dump_key,
    lifetime,
    load_account_key,
    new_key,
    request_for,
)
from tests.support.certificates import Authority, Pair


def key_of(pair: Pair) -> PrivateKey:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return key


def test_keys_are_of_the_kind_that_is_configured() -> None:
    small, large, old = new_key("ecdsa-p256"), new_key("ecdsa-p384"), new_key("rsa-2048")
    assert isinstance(small, ec.EllipticCurvePrivateKey)
    assert isinstance(large, ec.EllipticCurvePrivateKey)
    assert (small.curve.name, large.curve.name) == ("secp256r1", "secp384r1")
    assert isinstance(old, rsa.RSAPrivateKey)
    assert old.key_size == 2048


def test_an_account_s_key_comes_back_and_no_other_kind_is_one() -> None:
    key = new_key("ecdsa-p256")
    assert dump_key(load_account_key(dump_key(key))) == dump_key(key)
    with pytest.raises(ValueError, match="ECDSA"):
        load_account_key(dump_key(new_key("rsa-2048")))
    with pytest.raises(ValueError):
        load_account_key(b"nothing")


def test_a_request_has_all_the_names() -> None:
    request = x509.load_pem_x509_csr(request_for(["a.example", "*.a.example"], new_key("ecdsa-p256")))
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "*.a.example"]
    assert request.is_signature_valid


def test_key_and_chain_are_one_file_that_a_listener_can_load(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("a.example", "b.example")
    chain = pair.certificate.read_text() + authority.file.read_text()
    pem = bundle(key_of(pair), chain, ["a.example", "b.example"])
    (tmp_path / "both.pem").write_bytes(pem)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "both.pem")
    assert pem.count(b"BEGIN CERTIFICATE") == 2
    assert pem.startswith(b"-----BEGIN PRIVATE KEY")
    life = lifetime(pem)
    assert life.names == {"a.example", "b.example"}
    assert life.ends - life.begins == dt.timedelta(days=31).total_seconds()


def test_what_an_authority_gives_is_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, other = authority.issue("a.example"), authority.issue("b.example")
    chain = pair.certificate.read_text()
    with pytest.raises(AcmeError, match="another key"):
        bundle(key_of(other), chain, ["a.example"])
    with pytest.raises(AcmeError, match=r"not for b\.example"):
        bundle(key_of(pair), chain, ["a.example", "b.example"])
    with pytest.raises(AcmeError, match="can be read"):
        bundle(key_of(pair), "<html>", ["a.example"])
    with pytest.raises(AcmeError, match="chain of 11"):
        bundle(key_of(pair), chain * 11, ["a.example"])


def test_an_alpn_certificate_is_as_rfc_8737_wants_it() -> None:
    pem = alpn_certificate("a.example", "token.thumbprint")
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    proof = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert names.get_values_for_type(x509.DNSName) == ["a.example"]
    assert len(list(names)) == 1
    assert proof.critical
    assert isinstance(proof.value, x509.UnrecognizedExtension)
    assert proof.value.value == b"\x04\x20" + hashlib.sha256(b"token.thumbprint").digest()
    assert b"BEGIN PRIVATE KEY" in pem
