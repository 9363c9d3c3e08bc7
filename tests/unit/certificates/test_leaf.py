"""What is read of a certificate."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.certificates.leaf import Leaf, parse, read
from tests.support.certificates import Authority

DAY = 86_400.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("leaf"), "An authority")


def test_names_issuer_kind_and_lifetime(authority: Authority) -> None:
    leaf = read(str(authority.issue("A.example", "*.b.example").certificate))
    assert leaf.names == ("a.example", "*.b.example")
    assert leaf.name == "a.example"
    assert (leaf.issuer, leaf.kind, leaf.responder, leaf.must_staple) == ("An authority", "ECDSA", "", False)
    assert round((leaf.expires - leaf.begins) / DAY) == 31
    assert repr(leaf) == "<Leaf a.example ECDSA>"


def test_without_alternatives_the_common_name_counts(authority: Authority) -> None:
    assert read(str(authority.issue(subject="CN=c.example", file="c").certificate)).names == ("c.example",)


def test_other_kinds_of_keys_are_told_apart(authority: Authority) -> None:
    pair = authority.issue("r.example", key=rsa.generate_private_key(65537, 2048))
    assert read(str(pair.certificate)).kind == "RSA"
    assert (
        read(str(authority.issue("e.example", key=ed25519.Ed25519PrivateKey.generate()).certificate)).kind == "Ed25519"
    )


def test_a_responder_and_the_wish_for_its_answers(authority: Authority) -> None:
    location = x509.UniformResourceIdentifier("http://ocsp.example/")
    described = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)
    extensions = (x509.AuthorityInformationAccess([described]), x509.TLSFeature([x509.TLSFeatureType.status_request]))
    leaf = read(str(authority.issue("o.example", extensions=extensions).certificate))
    assert leaf.responder == "http://ocsp.example/"
    assert leaf.must_staple


def test_the_chain_is_the_certificate_and_who_signed_it(authority: Authority) -> None:
    pair = authority.issue("d.example")
    data = pair.certificate.read_bytes()
    assert len(parse(data).chain) == 1
    assert len(parse(data + authority.file.read_bytes() * 2).chain) == 2


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (-3600.0, "is valid only in 60 min"),
        (0.0, ""),
        (74 * DAY, ""),
        (80 * DAY, "expires in 10 d"),
        (90 * DAY - 30, "expires in 30 s"),
        (90 * DAY + 7200, "expired 2 h ago"),
    ],
)
def test_what_is_wrong_with_a_lifetime(now: float, said: str) -> None:
    assert Leaf(("a.example",), "", "", (0.0, 90 * DAY), "", False, ()).complaint(now) == said


@given(
    st.binary()
    | st.binary().map(lambda data: b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n")
)
def test_what_is_no_certificate_says_so(data: bytes) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        parse(data)


def test_a_file_that_is_not_there_is_an_error_of_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(str(tmp_path / "none.pem"))
