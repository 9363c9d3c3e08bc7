"""Verification keys. Each is bound to the algorithms of its own family, so no token can choose another (RFC 8725 §3.1).

Read from PEM (public keys and certificates) and from JWK Sets; PyJWT and cryptography do the arithmetic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

MAX_KEYS = 64
MIN_RSA_BITS = 2048  # RFC 7518 §3.3

RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
EC_CURVES: Mapping[str, str] = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
EDDSA = frozenset(("EdDSA",))
SECRET_BYTES: Mapping[str, int] = {"HS256": 32, "HS384": 48, "HS512": 64}  # RFC 7518 §3.2

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
_FROM_JWK: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}


class KeysError(ValueError):
    """A key or a set of keys cannot be used; the text says why and holds nothing of the key."""


class Key(NamedTuple):
    """One key: its id if it has one, the algorithms it may verify, and what the algorithm takes."""

    kid: str | None
    algorithms: frozenset[str]
    material: Any

    def __repr__(self) -> str:
        return f"<Key {self.kid!r} {'/'.join(sorted(self.algorithms))}>"


class KeySet:
    """Keys to verify with, asked by key id and algorithm."""

    __slots__ = ("_by_id", "_nameless", "keys")

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = tuple(keys)
        self._by_id: dict[str, list[Key]] = {}
        for key in self.keys:
            if key.kid is not None:
                self._by_id.setdefault(key.kid, []).append(key)
        self._nameless = [key for key in self.keys if key.kid is None]

    def candidates(self, kid: str | None, algorithm: str) -> list[Key] | None:
        """Keys that may have signed a token that names ``kid``; None if no key can be meant by that name."""
        if kid is None:
            keys: Iterable[Key] = self.keys
        else:
            keys = self._by_id.get(kid, ()) or self._nameless
            if not keys:
                return None
        return [key for key in keys if algorithm in key.algorithms]

    def __repr__(self) -> str:
        return f"<KeySet {list(self.keys)!r}>"


def from_secret(secret: bytes, algorithms: Iterable[str]) -> KeySet:
    """One shared secret. Raises KeysError if it is shorter than an algorithm's hash."""
    allowed = frozenset(algorithms)
    needed = max(SECRET_BYTES[algorithm] for algorithm in allowed)
    if len(secret) < needed:
        raise KeysError(f"the secret has {len(secret)} bytes; {max(allowed)} needs at least {needed}")
    return KeySet([Key(None, allowed, secret)])


def from_document(data: bytes) -> KeySet:
    """The public keys in PEM blocks, a JWK Set or a single JWK. Raises KeysError if there is none."""
    keys = _from_pem(data) if b"-----BEGIN " in data else _from_jwks(data)
    if not keys:
        raise KeysError(
            "there is no public signing key in it that can be used (RSA from 2048 bits, EC, Ed25519, Ed448)"
        )
    if len(keys) > MAX_KEYS:
        raise KeysError(f"there are {len(keys)} keys in it; at most {MAX_KEYS} are taken")
    return KeySet(keys)


def _from_pem(data: bytes) -> list[Key]:
    keys: list[Key] = []
    for block in _PEM.finditer(data):
        label = block[1].decode()
        if "PRIVATE" in label:
            raise KeysError("it holds a private key; verifying takes the public one alone")
        try:
            if label == "CERTIFICATE":
                material: Any = load_pem_x509_certificate(block[0]).public_key()
            else:
                material = load_pem_public_key(block[0])
        except Exception as error:  # noqa: BLE001 -- cryptography raises many kinds for one thing: it is no key
            raise KeysError(f"a {label} block cannot be read: {type(error).__name__}") from None
        keys.append(Key(None, _algorithms(material), material))
    return keys


def _from_jwks(data: bytes) -> list[Key]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise KeysError("it is neither PEM nor JSON") from None
    entries = document.get("keys", [document]) if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise KeysError("it is no JWK Set: an object with a list named keys")
    keys = (_from_jwk(entry) for entry in entries if isinstance(entry, dict))
    return [key for key in keys if key is not None]


def _from_jwk(entry: dict[str, Any]) -> Key | None:
    """None for what is not a public signing key of ours: a set may hold others (RFC 7517 §5)."""
    kid, load = entry.get("kid"), _FROM_JWK.get(str(entry.get("kty")))
    operations = entry.get("key_ops", ["verify"])
    if load is None or "d" in entry or entry.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations or not isinstance(kid, str | None):
        return None
    try:
        material = load(entry)
        algorithms = _algorithms(material)
    except Exception:  # noqa: BLE001 -- whatever is wrong with one key of the set, it is left out
        return None
    if "alg" in entry:
        algorithms &= {entry["alg"]}
    return Key(kid, algorithms, material) if algorithms else None


def _algorithms(material: Any) -> frozenset[str]:
    if isinstance(material, rsa.RSAPublicKey):
        if material.key_size < MIN_RSA_BITS:
            raise KeysError(f"an RSA key has {material.key_size} bits; at least {MIN_RSA_BITS} are needed")
        return RSA
    if isinstance(material, ec.EllipticCurvePublicKey):
        algorithm = EC_CURVES.get(material.curve.name)
        if algorithm is not None:
            return frozenset((algorithm,))
        raise KeysError(f"the curve {material.curve.name} is not supported; P-256, P-384 and P-521 are")
    if isinstance(material, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return EDDSA
    raise KeysError(f"a {type(material).__name__} is no key that verifies signatures here")
