"""Keys from PEM and JWK Sets, each bound to its algorithms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from edgeproxy.jose.keys import KeysError, from_document, from_secret
from tests.support.tokens import jwk, pem, private_key


def document(*entries: Any) -> bytes:
    return json.dumps({"keys": list(entries)}).encode()


@pytest.mark.parametrize(
    ("algorithm", "bound"),
    [
        ("RS256", "PS256/PS384/PS512/RS256/RS384/RS512"),
        ("ES256", "ES256"),
        ("ES384", "ES384"),
        ("ES512", "ES512"),
        ("EdDSA", "EdDSA"),
    ],
)
def test_a_key_verifies_its_own_familys_algorithms_alone(algorithm: str, bound: str) -> None:
    assert repr(from_document(pem(private_key(algorithm)))) == f"<KeySet [<Key None {bound}>]>"
    assert repr(from_document(document(jwk(algorithm)))) == f"<KeySet [<Key 'one' {bound}>]>"
    assert repr(from_document(json.dumps(jwk(algorithm)).encode())) == f"<KeySet [<Key 'one' {bound}>]>"


def test_a_jwks_alg_narrows_it_further() -> None:
    assert repr(from_document(document(jwk("RS256", alg="PS256")))) == "<KeySet [<Key 'one' PS256>]>"


def test_several_pem_blocks_are_several_keys() -> None:
    keys = from_document(pem(private_key("ES256")) + b"\n# next year's\n" + pem(private_key("EdDSA")))
    assert repr(keys) == "<KeySet [<Key None ES256>, <Key None EdDSA>]>"


def weak() -> dict[str, Any]:
    return RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True)


def bitcoin() -> dict[str, Any]:
    return ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True)


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "s"},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": ["RSA"]},
        {"kid": "none"},
        "text",
        jwk("RS256", use="enc"),
        jwk("RS256", key_ops=["encrypt"]),
        jwk("RS256", kid=7),
        jwk("RS256", alg="HS256"),
        jwk("ES256", alg="ES384"),
        jwk("RS256", d="AQAB"),
        weak(),
        bitcoin(),
    ],
)
def test_what_is_no_public_signing_key_is_left_out_of_a_set(entry: Any) -> None:
    assert repr(from_document(document(entry, jwk("EdDSA", "good")))) == "<KeySet [<Key 'good' EdDSA>]>"
    with pytest.raises(KeysError, match="no public signing key"):
        from_document(document(entry))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "neither PEM nor JSON"),
        (b"[" * 100_000, "neither PEM nor JSON"),
        (b"[]", "no JWK Set"),
        (b'{"keys": 1}', "no JWK Set"),
        (b'{"keys": []}', "no public signing key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "cannot be read"),
        (
            private_key("RS256").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "private key",
        ),
        (pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        (document(*(jwk("EdDSA") for _ in range(65))), "at most 64"),
    ],
)
def test_documents_that_cannot_be_used_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(KeysError, match=reason):
        from_document(data)


@pytest.mark.parametrize(("algorithm", "needed"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_at_least_as_long_as_the_hash(algorithm: str, needed: int) -> None:
    assert from_secret(b"s" * needed, [algorithm]).keys[0].algorithms == {algorithm}
    with pytest.raises(KeysError, match=str(needed)):
        from_secret(b"s" * (needed - 1), [algorithm])


def test_a_key_is_found_by_id_and_algorithm() -> None:
    keys = from_document(document(jwk("RS256", "a"), jwk("ES256", "b"), jwk("EdDSA", "b")))
    assert [key.kid for key in keys.candidates("a", "RS256") or []] == ["a"]
    assert keys.candidates("a", "ES256") == []
    assert [sorted(key.algorithms) for key in keys.candidates("b", "EdDSA") or []] == [["EdDSA"]]
    assert keys.candidates("../b", "EdDSA") is None
    assert [key.kid for key in keys.candidates(None, "ES256") or []] == ["b"]


def test_keys_without_ids_answer_to_any() -> None:
    keys = from_document(pem(private_key("ES256")))
    assert len(keys.candidates("whatever", "ES256") or []) == 1
