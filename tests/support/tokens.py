"""Keys and tokens for tests: signed for real, and forged every way there is."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

NOW = 1_800_000_000
SECRET = "a-secret-of-exactly-32-bytes-ok!"
CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


@cache
def private_key(algorithm: str, name: str = "one") -> Any:
    """A private key for an algorithm; another for each name."""
    if algorithm[:2] in ("RS", "PS"):
        return rsa.generate_private_key(65537, 2048)
    return (
        ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else ec.generate_private_key(CURVES[algorithm]())
    )


def pem(key: Any) -> bytes:
    """The public half of a private key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(algorithm: str, name: str = "one", **members: Any) -> dict[str, Any]:
    """The public half as a JWK whose id is ``name``."""
    public = private_key(algorithm, name).public_key()
    return get_default_algorithms()[algorithm].to_jwk(public, as_dict=True) | {"kid": name} | members


def part(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=")


def claims(**changed: Any) -> dict[str, Any]:
    """Claims of a good token; a value of None takes one out."""
    good = {"sub": "alice", "iss": "https://issuer.example", "aud": "shop", "exp": NOW + 600} | changed
    return {name: value for name, value in good.items() if value is not None}


def token(
    payload: Any = None,
    algorithm: str = "HS256",
    key: Any = None,
    *,
    header: dict[str, Any] | bytes | None = None,
    signature: bytes | None = None,
) -> bytes:
    """A token, signed for real. ``header`` members are added; raw bytes, and ``signature``, are taken as they are."""
    if not isinstance(header, bytes):
        header = part({"alg": algorithm, "typ": "JWT"} | (header or {}))
    signed = header + b"." + part(claims() if payload is None else payload)
    if signature is None:
        if key is None:
            key = SECRET.encode() if algorithm.startswith("HS") else private_key(algorithm)
        signature = get_default_algorithms()[algorithm].sign(signed, key)
    return signed + b"." + part(signature)
