"""Keys by thumbprint, and the signatures of RFC 9421 they verify."""

from __future__ import annotations

import json

import pytest
from jwt.algorithms import get_default_algorithms

from edgeproxy.jose.directory import Directory, thumbprint
from edgeproxy.jose.keys import from_document
from tests.support.tokens import jwk, pem, private_key

# RFC 7638 §3.1: the example's key.
RSA = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
        "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
        "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
        "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    ),
    "e": "AQAB",
    "kid": "2011-04-29",
}
# RFC 9421 appendix B.1.4 and RFC 8037 appendix A.3.
SIGNERS = {"kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}
OKP = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
NAMES = {
    "ed25519": "EdDSA",
    "ecdsa-p256-sha256": "ES256",
    "ecdsa-p384-sha384": "ES384",
    "rsa-pss-sha512": "PS512",
    "rsa-v1_5-sha256": "RS256",
}


def directory(*keys: object) -> Directory:
    return Directory(from_document(json.dumps({"keys": keys}).encode()))


@pytest.mark.parametrize(
    ("key", "print_"),
    [
        (RSA, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (OKP, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        (SIGNERS, "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U"),
    ],
)
def test_thumbprints_are_those_of_the_rfcs(key: dict[str, str], print_: str) -> None:
    assert print_ in directory(key)
    assert key.get("kid") not in directory(key)


@pytest.mark.parametrize(("alg", "name"), NAMES.items())
def test_a_key_verifies_what_it_signed_by_the_name_rfc_9421_gives_it(alg: str, name: str) -> None:
    key = private_key(name)
    keyid = thumbprint(key.public_key())
    keys = Directory(from_document(pem(key)))
    made = get_default_algorithms()[name].sign(b"data", key)
    assert keys.verifies(keyid, alg, b"data", made)
    assert keys.verifies(keyid, None, b"data", made) is (name != "RS256"), "an RSA key is for PSS, if nothing is said"
    assert not keys.verifies(keyid, alg, b"other", made)
    assert not keys.verifies(keyid, alg, b"data", b"\0" * len(made))
    assert not keys.verifies(keyid, alg, b"data", b"")
    for other in NAMES.keys() - {alg}:
        assert not keys.verifies(keyid, other, b"data", made)


def test_an_algorithm_the_key_is_not_for_and_unknown_ones_are_refused() -> None:
    key = private_key("PS512")
    made = get_default_algorithms()["RS256"].sign(b"data", key)
    bound = directory(jwk("PS512", alg="PS512"))
    keyid = thumbprint(private_key("PS512", "one").public_key())
    assert keyid in bound
    for alg in ("rsa-v1_5-sha256", "hmac-sha256", "none", "", "PS512"):
        assert not bound.verifies(keyid, alg, b"data", made)
    assert not bound.verifies("unknown", "rsa-pss-sha512", b"data", made)


def test_repr_shows_the_thumbprints() -> None:
    assert repr(directory(SIGNERS)) == "<Directory ['poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U']>"
