"""HTTP Message Signatures of requests (RFC 9421): what a request says is signed, and the bytes that were.

Verifying the bytes with a key is left to who has the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request
from edgeproxy.http.structured import InnerList, Item, Parameters, parse_dictionary, serialize

MOST_SIGNATURES: Final = 8
MOST_COMPONENTS: Final = 64

# RFC 9421 §2.2, but for @query-param and @status. Scheme and authority are in lower case already, default ports gone.
_DERIVED: Final[Mapping[str, Callable[[Request], bytes]]] = {
    "@method": lambda request: request.method,
    "@target-uri": lambda request: request.scheme + b"://" + request.authority + request.target,
    "@authority": lambda request: request.authority,
    "@scheme": lambda request: request.scheme,
    "@request-target": lambda request: request.target,
    "@path": lambda request: request.target.partition(b"?")[0],
    "@query": lambda request: b"?" + request.query,
}
_PARAMETERS: Final[Mapping[str, type]] = {  # RFC 9421 §2.3
    "created": int,
    "expires": int,
    "nonce": str,
    "alg": str,
    "keyid": str,
    "tag": str,
}


class SignatureError(Exception):
    """The signature cannot hold. The text is one of a few fixed ones."""


class UnsupportedError(SignatureError):
    """The signature may hold, but covers what this does not know how to build."""


class Signed(NamedTuple):
    """One signature of a request, not verified: its label, what it covers and says, and its bytes.

    ``covered`` are the component identifiers as written (``"signature-agent";key="a"``). Times in Unix seconds.
    """

    label: str
    input: InnerList
    covered: tuple[str, ...]
    signature: bytes
    created: int | None
    expires: int | None
    nonce: str | None
    alg: str | None
    keyid: str | None


def signatures(headers: Headers, tag: str) -> list[Signed]:
    """The signatures that bear the tag (RFC 9421 §3.2). Raises SignatureError if one of them is malformed; fields that
    are no dictionaries hold no signatures: other protocols have used their names."""
    inputs = parse_dictionary(headers.get(b"signature-input", b"")) or {}
    tagged = {label: member for label, member in inputs.items() if member.parameters.get("tag") == tag}
    if not tagged:
        return []
    if len(inputs) > MOST_SIGNATURES:
        raise SignatureError("There are too many signatures")
    values = parse_dictionary(headers.get(b"signature", b"")) or {}
    return [_signed(label, member, values.get(label)) for label, member in tagged.items()]


def signature_base(request: Request, signed: Signed) -> bytes:
    """What was signed (RFC 9421 §2.5). Raises SignatureError if the request does not have it."""
    lines = [
        b"%b: %b\n" % (name.encode(), _value(request, item))
        for name, item in zip(signed.covered, signed.input.items, strict=True)
    ]
    return b'%b"@signature-params": %b' % (b"".join(lines), _written(signed.input).encode())


def _signed(label: str, member: Item | InnerList, value: Item | InnerList | None) -> Signed:
    if not isinstance(member, InnerList) or not isinstance(value, Item) or not isinstance(value.value, bytes):
        raise SignatureError("The signature is malformed")
    if len(member.items) > MOST_COMPONENTS:
        raise SignatureError("The signature covers too much")
    covered = tuple(map(_written, member.items))
    if len(set(covered)) != len(covered):
        raise SignatureError("The signature covers something twice")
    told = member.parameters
    for name, kind in _PARAMETERS.items():
        if name in told and type(told[name]) is not kind:
            raise SignatureError("The signature is malformed")
    return Signed(
        label,
        member,
        covered,
        value.value,
        _number(told, "created"),
        _number(told, "expires"),
        _text(told, "nonce"),
        _text(told, "alg"),
        _text(told, "keyid"),
    )


def _number(told: Parameters, name: str) -> int | None:
    value = told.get(name)
    return value if isinstance(value, int) else None


def _text(told: Parameters, name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None


def _written(member: Item | InnerList) -> str:
    try:
        return serialize(member)
    except ValueError:
        raise SignatureError("The signature is malformed") from None


def _value(request: Request, item: Item) -> bytes:
    name, told = item.value, item.parameters
    if not isinstance(name, str):
        raise SignatureError("The signature is malformed")
    derived = _DERIVED.get(name)
    if derived is not None and not told:
        return derived(request)
    if derived is not None or name.startswith("@") or told.keys() - {"key"}:
        raise UnsupportedError("The signature covers what is not supported here")
    value = request.headers.get(name.encode())
    if value is None:
        raise SignatureError("The signature covers a field that is not there")
    if "key" in told:  # RFC 9421 §2.1.2
        member = (parse_dictionary(value) or {}).get(str(told["key"]))
        if member is None:
            raise SignatureError("The signature covers a field that is not there")
        value = _written(member).encode()
    if b"\n" in value:  # lines of Set-Cookie, which cannot be told from lines of the base
        raise UnsupportedError("The signature covers what is not supported here")
    return value
