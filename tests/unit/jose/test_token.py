"""Hostile tokens, one by one: none of them is accepted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.jose.keys import from_document, from_secret
from edgeproxy.jose.token import Expectations, TokenError, UnknownKeyError, verify
from tests.support.tokens import NOW, SECRET, claims, jwk, part, pem, private_key, token

PUBLIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
SHARED = from_secret(SECRET.encode(), ["HS256"])
SET = from_document(json.dumps({"keys": [jwk("RS256", "rsa"), jwk("ES256", "ec"), jwk("EdDSA", "ed")]}).encode())
ANY = frozenset((*PUBLIC, "HS256", "HS384", "HS512"))


def check(
    given_token: bytes, keys: Any = SHARED, *, now: float = NOW, algorithms: frozenset[str] = ANY, **expected: Any
) -> dict[str, Any]:
    return verify(given_token, keys, Expectations(algorithms, **expected), now)


def test_a_good_token_gives_its_claims() -> None:
    assert check(token()) == claims()


@pytest.mark.parametrize("algorithm", PUBLIC)
def test_every_public_algorithm_verifies_and_notices_a_changed_byte(algorithm: str) -> None:
    keys = from_document(pem(private_key(algorithm)))
    good = token(algorithm=algorithm)
    assert check(good, keys) == claims()
    header, _, signature = good.split(b".")
    with pytest.raises(TokenError, match="signature"):
        check(b".".join((header, part(claims(sub="mallory")), signature)), keys)


@pytest.mark.parametrize(
    "name", ["none", "None", "NONE", "nOnE", "NoNe", "none ", "", "HS256 ", "hs256", None, 7, ["HS256"]]
)
def test_no_algorithm_or_an_odd_one_is_refused(name: Any) -> None:
    for signature in (b"", b"x" * 32):
        with pytest.raises(TokenError, match="algorithm"):
            check(token(header={"alg": name}, signature=signature))


def test_a_token_without_alg_is_refused() -> None:
    with pytest.raises(TokenError, match="algorithm"):
        check(token(header=part({"typ": "JWT"}), signature=b""))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_never_serves_as_a_shared_secret(algorithm: str) -> None:
    public = pem(private_key(algorithm))
    forged = header_and_mac(public)
    with pytest.raises(TokenError, match="signature"):
        check(forged, from_document(public))
    with pytest.raises(TokenError, match="algorithm"):
        check(forged, from_document(public), algorithms=frozenset(PUBLIC))


def header_and_mac(secret: bytes) -> bytes:
    import hashlib
    import hmac

    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims())
    return signed + b"." + part(hmac.digest(secret, signed, hashlib.sha256))


@pytest.mark.parametrize(
    "kid", ["../../../dev/null", "/etc/passwd", "' OR 1=1 --", "rsa\0", "RSA", "", "http://evil/key"]
)
def test_a_key_id_is_a_name_and_nothing_else(kid: str) -> None:
    with pytest.raises(UnknownKeyError):
        check(token(algorithm="RS256", header={"kid": kid}), SET)


@pytest.mark.parametrize("kid", [7, None, ["rsa"], {"a": 1}, True])
def test_a_key_id_that_is_no_text_is_refused(kid: Any) -> None:
    forged = token(algorithm="RS256", key=private_key("RS256", "evil"), header={"kid": kid})
    with pytest.raises(TokenError):
        check(forged, SET)


def test_another_keys_id_does_not_help() -> None:
    with pytest.raises(TokenError, match="signature"):
        check(token(algorithm="RS256", key=private_key("RS256", "ec"), header={"kid": "rsa"}), SET)
    with pytest.raises(TokenError, match="signature"):
        check(token(algorithm="ES256", key=private_key("ES256", "ec"), header={"kid": "rsa"}), SET)
    assert check(token(algorithm="ES256", key=private_key("ES256", "ec"), header={"kid": "ec"}), SET)


@pytest.mark.parametrize(
    "member",
    [
        {"jwk": jwk("RS256", "evil")},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
    ],
)
def test_keys_and_extensions_a_token_brings_along_are_refused(member: dict[str, Any]) -> None:
    with pytest.raises(TokenError, match="header"):
        check(token(header=member))
    with pytest.raises(TokenError, match="header"):
        check(token(algorithm="RS256", key=private_key("RS256", "evil"), header=member), SET)


@pytest.mark.parametrize("signature", [b"", b"\0", b"\0" * 64, b"\0" * 256, b"\xff" * 64])
@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "PS256", "ES256", "EdDSA"])
def test_empty_zero_and_wrong_signatures_are_refused(algorithm: str, signature: bytes) -> None:
    keys = SHARED if algorithm == "HS256" else SET
    with pytest.raises(TokenError, match="signature"):
        check(token(algorithm=algorithm, signature=signature), keys)


def test_a_signature_on_another_curve_is_refused() -> None:
    for curve in (ec.SECP384R1(), ec.SECP256K1()):
        signer = ec.generate_private_key(curve)
        signed = part({"alg": "ES256"}) + b"." + part(claims())
        from cryptography.hazmat.primitives import hashes
        from jwt.utils import der_to_raw_signature

        raw = der_to_raw_signature(signer.sign(signed, ec.ECDSA(hashes.SHA256())), curve)
        with pytest.raises(TokenError, match="signature"):
            check(signed + b"." + part(raw), SET)
    with pytest.raises(TokenError, match="signature"):
        check(token(algorithm="ES384"), SET)


def test_rs_and_ps_are_not_taken_for_each_other() -> None:
    header, payload, signature = token(algorithm="RS256").split(b".")
    with pytest.raises(TokenError, match="signature"):
        check(b".".join((part({"alg": "PS256"}), payload, signature)), from_document(pem(private_key("RS256"))))
    assert header


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": NOW}, "expired"),
        ({"exp": NOW - 1}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": -1}, "expired"),
        ({"exp": None}, "not expire"),
        ({"exp": str(NOW + 600)}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": [NOW + 600]}, "malformed"),
        ({"exp": 10**30}, "malformed"),
        ({"nbf": NOW + 1}, "not valid yet"),
        ({"nbf": "0"}, "malformed"),
        ({"iat": {"a": 1}}, "malformed"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": ["https://issuer.example"]}, "malformed"),
        ({"iss": 7}, "malformed"),
        ({"aud": "other"}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": ["other", "another"]}, "audience"),
        ({"aud": {"shop": True}}, "malformed"),
        ({"aud": ["shop", 7]}, "malformed"),
        ({"aud": [["shop"]]}, "malformed"),
        ({"sub": 7}, "malformed"),
        ({"sub": {"name": "alice"}}, "malformed"),
        ({"jti": []}, "malformed"),
    ],
)
def test_claims_that_say_no_or_nonsense_are_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenError, match=reason):
        check(
            token(claims(**changed)),
            issuers=frozenset(("https://issuer.example",)),
            audiences=frozenset(("shop",)),
        )


def test_null_claims_are_refused() -> None:
    for name in ("exp", "nbf", "iss", "sub", "aud"):
        with pytest.raises(TokenError, match="malformed"):
            check(token(claims() | {name: None}))


def test_one_of_several_audiences_is_enough() -> None:
    assert check(token(claims(aud=["a", "shop"])), audiences=frozenset(("shop", "b")))


def test_leeway_stretches_both_ends_and_no_further() -> None:
    assert check(token(claims(exp=NOW - 9, nbf=NOW + 9)), leeway=10)
    for changed in ({"exp": NOW - 10}, {"nbf": NOW + 11}):
        with pytest.raises(TokenError):
            check(token(claims(**changed)), leeway=10)


def test_expiry_can_be_waived_but_not_ignored() -> None:
    assert check(token(claims(exp=None)), expiry_required=False)
    with pytest.raises(TokenError, match="expired"):
        check(token(claims(exp=NOW - 1)), expiry_required=False)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"exp": 9999999999, "sub": "alice", "sub": "admin"}',
        b'{"exp": 9999999999, "a": {"b": 1, "b": 2}}',
        b'{"exp": 1e400}',
        b'{"exp": Infinity}',
        b'{"exp": NaN}',
        b'{"exp": ' + b"9" * 5000 + b"}",
        b'{"exp": 9999999999, "a": ' + b"[" * 2500 + b"]" * 2500 + b"}",
        b'{"exp": 9999999999, "a": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
    ],
)
def test_payloads_that_are_no_plain_json_object_are_refused_even_if_signed(payload: bytes) -> None:
    with pytest.raises(TokenError):
        check(token(payload))


def test_a_header_with_a_name_twice_is_refused() -> None:
    with pytest.raises(TokenError, match="malformed"):
        check(token(header=part(b'{"alg":"none","alg":"HS256"}')))


@pytest.mark.parametrize(
    "change",
    [
        lambda good: b"",
        lambda good: b".",
        lambda good: b"..",
        lambda good: b"a.b",
        lambda good: good + b".x",
        lambda good: b"." + good,
        lambda good: good.rpartition(b".")[0],
        lambda good: good + b"=",
        lambda good: good + b" ",
        lambda good: good.replace(b".", b".\n", 1),
        lambda good: good.replace(b".", b"..", 1),
        lambda good: good + b"!!!!",
        lambda good: b"\xff" + good,
    ],
)
def test_what_is_not_three_parts_of_base64url_is_refused(change: Any) -> None:
    with pytest.raises(TokenError):
        check(change(token()))


def test_a_token_can_be_written_in_one_way_only() -> None:
    """The last letter of 32 bytes in base64url has two bits that decoders ignore."""
    good = token()
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(good[-1:])
    for other in range(last - last % 4, last - last % 4 + 4):
        if other != last:
            with pytest.raises(TokenError):
                check(good[:-1] + letters[other : other + 1])


def test_a_huge_token_is_refused_before_it_is_read() -> None:
    with pytest.raises(TokenError, match="too large"):
        check(token(claims(filler="x" * 8192)))


@pytest.mark.parametrize("header", [{"kid": "new"}, {}])
@pytest.mark.parametrize("changed", [{"exp": NOW - 1}, {"aud": "other"}, {"iss": 7}, {"nbf": NOW + 60}])
def test_what_is_refused_whatever_its_key_is_refused_as_such(changed: dict[str, Any], header: dict[str, Any]) -> None:
    with pytest.raises(TokenError) as caught:
        check(token(claims(**changed), "EdDSA", header=header), SET, audiences=frozenset(("shop",)))
    assert not isinstance(caught.value, UnknownKeyError)
    with pytest.raises(UnknownKeyError):
        check(token(algorithm="EdDSA", header=header), SET, audiences=frozenset(("shop",)))


@given(st.binary(max_size=200))
def test_no_bytes_bring_it_down(data: bytes) -> None:
    for candidate in (data, data + b"." + data + b"." + data, part(data) + b"." + part(data) + b"." + part(data)):
        with pytest.raises(TokenError):
            check(candidate, SET)
