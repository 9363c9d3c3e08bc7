"""Requests with HTTP Message Signatures, made as an agent makes them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edgeproxy.identity.signatures import signature_base, signatures
from edgeproxy.jose.directory import thumbprint
from edgeproxy.pipeline.exchange import Exchange
from tests.support.stages import exchange

NOW = 1_800_000_000
TAG = "web-bot-auth"
COVERED = ("@authority",)


def parameters(key: Ed25519PrivateKey, **changed: Any) -> dict[str, Any]:
    """The parameters of a good signature; a value of None takes one out."""
    told = {"created": NOW, "expires": NOW + 60, "keyid": thumbprint(key.public_key()), "tag": TAG, "alg": "ed25519"}
    return {name: value for name, value in (told | changed).items() if value is not None}


def sign(
    x: Exchange, key: Ed25519PrivateKey, covered: tuple[str, ...] = COVERED, *, label: str = "sig1", **changed: Any
) -> Exchange:
    """The exchange with its request signed. ``covered`` are component names, or identifiers where they have
    parameters: ``signature-agent;key="sig1"``."""
    items = " ".join(f'"{name}"{mark}{rest}' for name, mark, rest in (one.partition(";") for one in covered))
    told = "".join(
        f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
        for name, value in parameters(key, **changed).items()
    )
    headers = x.request.headers
    headers[b"signature-input"] = f"{label}=({items}){told}".encode()
    headers[b"signature"] = f"{label}=::".encode()
    (unsigned,) = signatures(headers, changed.get("tag", TAG))
    made = key.sign(signature_base(x.request, unsigned))
    headers[b"signature"] = b"%b=:%b:" % (label.encode(), b64encode(made))
    return x


def signed(key: Ed25519PrivateKey, *covered: str, target: bytes = b"/", **changed: Any) -> Exchange:
    """A GET that is signed by this key."""
    return sign(exchange(target), key, covered or COVERED, **changed)
