"""Keys by their thumbprint (RFC 7638), for HTTP Message Signatures (RFC 9421 §3.3)."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import Algorithm, ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

from edgeproxy.jose.keys import Key, KeySet

_ALGORITHMS: Mapping[str, Algorithm] = get_default_algorithms()
# RFC 9421 §3.3 by JOSE's names; which of them a key is for by itself, in this order. No shared secrets.
_NAMES: Mapping[str, str] = {
    "ed25519": "EdDSA",
    "ecdsa-p256-sha256": "ES256",
    "ecdsa-p384-sha384": "ES384",
    "rsa-pss-sha512": "PS512",
    "rsa-v1_5-sha256": "RS256",
}
_THUMBED: Mapping[str, tuple[str, ...]] = {  # RFC 7638 §3.2, RFC 8037 §2
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}


def thumbprint(material: Any) -> str:
    """The SHA-256 thumbprint of a public key, in base64url (RFC 7638 §3)."""
    if isinstance(material, rsa.RSAPublicKey):
        jwk = RSAAlgorithm.to_jwk(material, as_dict=True)
    elif isinstance(material, ec.EllipticCurvePublicKey):
        jwk = ECAlgorithm.to_jwk(material, as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(material, as_dict=True)
    members = {name: jwk[name] for name in _THUMBED[jwk["kty"]]}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Directory:
    """A set's keys, asked by thumbprint, whatever ids it gives them."""

    def __init__(self, keys: KeySet) -> None:
        self.keys = keys
        self._by_thumbprint = {thumbprint(key.material): key for key in keys.keys}

    def __contains__(self, keyid: object) -> bool:
        return keyid in self._by_thumbprint

    def verifies(self, keyid: str, alg: str | None, data: bytes, signature: bytes) -> bool:
        """Whether that key made this signature; ``alg`` by its name in RFC 9421, None for what the key is for."""
        key = self._by_thumbprint.get(keyid)
        algorithm = None if key is None else _algorithm(key, alg)
        if key is None or algorithm is None:
            return False
        return bool(_ALGORITHMS[algorithm].verify(data, key.material, signature))

    def __repr__(self) -> str:
        return f"<Directory {sorted(self._by_thumbprint)}>"


def _algorithm(key: Key, alg: str | None) -> str | None:
    named = _NAMES.values() if alg is None else [_NAMES.get(alg)]
    return next((name for name in named if name in key.algorithms), None)
