"""Hostile tokens, each with a name that says what is wrong with it, and good ones beside them.

What they are shown to holds one public key for each kind of algorithm (:func:`key_set`), or a secret (:data:`WORD`),
and expects the issuer and the audience of :func:`tests.support.tokens.claims`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from itertools import product
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import raw_to_der_signature

from tests.support.tokens import CURVES, NOW, claims, jwk, part, private_key, token

WORD = "a-secret-of-exactly-64-bytes-for-the-longest-of-all-the-hashes!!"
SHARED = ("HS256", "HS384", "HS512")
PUBLIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
ORDERS = {  # FIPS 186-5: the order of each curve's base point
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16),
    "ES512": int("1F" + "F" * 64 + "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16),
}
_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_RELATED = {name: name[:2] + {"256": "384", "384": "512", "512": "256"}[name[2:]] for name in (*SHARED, *PUBLIC[:6])}
_RELATED |= {"RS256": "PS256", "PS256": "RS256", "ES256": "ES384", "ES384": "ES512", "ES512": "ES256", "EdDSA": "ES256"}


def family(algorithm: str) -> str:
    """The algorithm a key is made for, and named by: RSA's are all one."""
    return "RS256" if algorithm[:2] in ("RS", "PS") else algorithm


def signer(algorithm: str) -> Any:
    return WORD.encode() if algorithm in SHARED else private_key(family(algorithm), family(algorithm))


def key_set() -> dict[str, Any]:
    """The JWK Set that good tokens are verified with; ids are families."""
    return {"keys": [jwk(name, name) for name in sorted({family(name) for name in PUBLIC})]}


def good(now: float = NOW) -> dict[str, bytes]:
    """A good token for each algorithm, and some in unusual but right forms."""
    exp = int(now) + 600
    tokens = {name: _signed(name, claims(exp=exp)) for name in (*SHARED, *PUBLIC)}
    forms = {
        "no kid": {"header": {}},
        "no typ": {"header": part({"alg": "EdDSA", "kid": "EdDSA"})},
        "typ at+jwt": {"header": {"kid": "EdDSA", "typ": "at+jwt"}},
        "typ application/at+jwt": {"header": {"kid": "EdDSA", "typ": "application/AT+JWT"}},
        "x5t, which names a key and brings none": {"header": {"kid": "EdDSA", "x5t": "AAAA"}},
    }
    for name, form in forms.items():
        tokens[name] = token(claims(exp=exp), "EdDSA", signer("EdDSA"), **form)
    said: dict[str, dict[str, Any]] = {
        "several audiences": {"aud": ["a", "shop"]},
        "a fraction of a second": {"exp": exp + 0.5},
        "unicode": {"name": "Zoë 🚲 \u202e\0"},
        "half a surrogate pair": {"name": "\ud800"},
        "not before now": {"nbf": int(now) - 1, "iat": int(now)},
    }
    for name, changed in said.items():
        tokens[name] = _signed("EdDSA", claims(**{"exp": exp, **changed}))
    return tokens


def hostile(now: float = NOW) -> dict[str, bytes]:
    """Every hostile token by its name."""
    tokens: dict[str, bytes] = {}
    for name, made in _all(now):
        assert name not in tokens, f"{name} twice"
        tokens[name] = made
    return tokens


def _all(now: float) -> Iterator[tuple[str, bytes]]:
    said = claims(exp=int(now) + 600)
    yield from _signatures(said)
    yield from _curves(said)
    yield from _algorithms(said)
    yield from _confusion(said)
    yield from _headers(said)
    yield from _payloads(said)
    yield from _claims(said, now)
    yield from _forms(said)


def _signed(algorithm: str, payload: Any, **header: Any) -> bytes:
    kid = {} if algorithm in SHARED else {"kid": family(algorithm)}
    return token(payload, algorithm, signer(algorithm), header=kid | header)


def _signatures(said: Any) -> Iterator[tuple[str, bytes]]:
    for name in (*SHARED, *PUBLIC):
        header, payload, text = _signed(name, said).split(b".")
        signature = urlsafe_b64decode(text + b"==")
        flipped = bytes((signature[0] ^ 1,)) + signature[1:]
        changed = {"none": b"", "zeros": bytes(len(signature)), "cut": signature[:-1], "long": signature + b"\0"}
        changed |= {"twice": signature * 2, "one bit": flipped, "ones": b"\xff" * len(signature), "one byte": b"\1"}
        for what, bad in changed.items():
            yield f"{name}: signature {what}", b".".join((header, payload, part(bad)))
        yield f"{name}: another payload", b".".join((header, part(said | {"sub": "mallory"}), text))
        kid = json.loads(urlsafe_b64decode(header + b"==")).get("kid")
        told = {"alg": _RELATED[name]} | ({"kid": kid} if kid else {})
        yield f"{name} called {_RELATED[name]}", b".".join((part(told), payload, text))
        yield f"{name}: another header", b".".join((part(told | {"alg": name, "a": 1}), payload, text))
        stranger = b"another secret, as long as this one has to be for these hashes!!"
        other = stranger if name in SHARED else private_key(family(name), "stranger")
        yield f"{name}: a stranger's key", token(said, name, other, header={"kid": kid} if kid else {})


def _curves(said: Any) -> Iterator[tuple[str, bytes]]:
    for name, order in ORDERS.items():
        header, payload, text = _signed(name, said).split(b".")
        raw = urlsafe_b64decode(text + b"==")
        size = len(raw) // 2
        r, s = int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big")
        pairs = {"r 0": (0, s), "s 0": (r, 0), "r and s swapped": (s, r), "r the order": (order, s)}
        pairs |= {"s the order": (r, order), "r and s the order": (order, order), "r 1, s 1": (1, 1)}
        if r + order < 256**size:
            pairs["r beyond the order"] = (r + order, s)
        for what, (one, two) in pairs.items():
            bad = one.to_bytes(size, "big") + two.to_bytes(size, "big")
            yield f"{name}: {what}", b".".join((header, payload, part(bad)))
        der = raw_to_der_signature(raw, CURVES[name]())
        assert decode_dss_signature(der) == (r, s)
        yield f"{name}: DER", b".".join((header, payload, part(der)))
        for curve in (ec.SECP256K1(), ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
            if not isinstance(curve, CURVES[name]):
                own = ec.generate_private_key(curve).sign(header + b"." + payload, ec.ECDSA(hashes.SHA256()))
                one, two = decode_dss_signature(own)
                bad = (one % 256**size).to_bytes(size, "big") + (two % 256**size).to_bytes(size, "big")
                yield f"{name}: a key on {curve.name}", b".".join((header, payload, part(bad)))


def _algorithms(said: Any) -> Iterator[tuple[str, bytes]]:
    for letters in product(*((letter, letter.upper()) for letter in "none")):
        name = "".join(letters)
        yield f"alg {name}", token(said, header={"alg": name}, signature=b"")
    odd = ["", " ", "none ", "\0", "null", "rs256", "Rs256", "RS256 ", " RS256", "RS256\0", "RS1", "RS128", "ES256K"]
    odd += [
        "HS1",
        "HS",
        "A256KW",
        "RSA-OAEP",
        "dir",
        "SHA256",
        "Ed448",
        "\u0415S256",
        "../none",
        None,
        0,
        True,
        256,
        1.5,
    ]
    for odd_name in [*odd, [], ["RS256"], ["none"], {}, {"alg": "RS256"}]:
        signed = token(said, "RS256", signer("RS256"), header={"alg": odd_name, "kid": "RS256"})
        yield f"alg {odd_name!r} over a true signature", signed
        yield f"alg {odd_name!r} and no signature", signed.rpartition(b".")[0] + b"."
    yield "no alg", token(said, header=part({"typ": "JWT"}), signature=b"")
    yield "ALG for alg", token(said, "EdDSA", signer("EdDSA"), header=part({"ALG": "EdDSA", "kid": "EdDSA"}))


def _confusion(said: Any) -> Iterator[tuple[str, bytes]]:
    """Public keys in every form they are seen in, taken for a shared secret (RFC 8725 §2.1)."""
    for name in ("RS256", "ES256", "EdDSA"):
        public = signer(name).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        member = jwk(name, name)
        forms = {"PEM": pem, "PEM without its line end": pem.strip(), "PEM in one line": pem.replace(b"\n", b"")}
        forms["DER"] = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        forms["JWK"] = json.dumps(member).encode()
        forms["JWK without blanks"] = json.dumps(member, separators=(",", ":"), sort_keys=True).encode()
        forms["JWK Set"] = json.dumps(key_set()).encode()
        forms["member in base64"] = (member.get("n") or member["x"]).encode()
        forms["member"] = urlsafe_b64decode(forms["member in base64"] + b"==")
        if name == "RS256":
            forms["PKCS #1"] = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        for (what, secret), shared in product(forms.items(), SHARED):
            yield f"{shared} by {name}'s public key as {what}", _mac(said, shared, secret, name)
    for what, secret in {"nothing": b"", "zeros": bytes(64), "its kid": b"RS256", "the word secret": b"secret"}.items():
        yield f"HS256 by {what}", _mac(said, "HS256", secret, "RS256")


def _mac(said: Any, algorithm: str, secret: bytes, kid: str) -> bytes:
    signed = part({"alg": algorithm, "typ": "JWT", "kid": kid}) + b"." + part(said)
    return signed + b"." + part(hmac.digest(secret, signed, _HASHES[algorithm]))


def _headers(said: Any) -> Iterator[tuple[str, bytes]]:
    own = private_key("RS256", "stranger")
    brought: dict[str, dict[str, Any]] = {
        "jwk": {"jwk": jwk("RS256", "stranger")},
        "jwk and no kid": {"jwk": jwk("RS256", "stranger"), "kid": None},
        "jku": {"jku": "https://evil.example/jwks.json"},
        "jku here": {"jku": "http://127.0.0.1:1/jwks.json"},
        "x5u": {"x5u": "https://evil.example/cert.pem"},
        "x5u file": {"x5u": "file:///etc/passwd"},
        "x5c": {"x5c": ["MIIB"]},
        "x5c empty": {"x5c": []},
        "crit": {"crit": ["exp"]},
        "crit empty": {"crit": []},
        "crit null": {"crit": None},
        "crit b64": {"crit": ["b64"], "b64": False},
        "b64 false": {"b64": False},
        "b64 true": {"b64": True},
        "zip": {"zip": "DEF"},
        "enc": {"enc": "A256GCM"},
    }
    for what, members in brought.items():
        yield f"{what}, signed by a stranger", token(said, "RS256", own, header={"kid": "RS256"} | members)
        yield f"{what}, signed truly", token(said, "RS256", signer("RS256"), header={"kid": "RS256"} | members)
    kids = ["../../../../dev/null", "/etc/passwd", "RS256\0", "rs256", "RS256 ", "", "' OR 1=1 --", "$(id)", "%52S256"]
    kids += ["https://evil.example/", "R\u0405256", "x" * 5000, "\n", "*", "RS256,ES256", "stranger"]
    for kid in [*kids, 0, 7, True, [], ["RS256"], {"kid": "RS256"}, 1.5, None]:
        yield f"kid {str(kid)[:20]!r} {type(kid).__name__}", token(said, "RS256", own, header={"kid": kid})
    types = [
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "application/secevent+jwt",
        "JWE",
        "JOSE+JSON",
        "",
        None,
        7,
        ["JWT"],
    ]
    for typ in types:
        yield f"typ {typ!r}", _signed("RS256", said, typ=typ)
    texts = {
        "alg twice, none last": b'{"alg":"EdDSA","kid":"EdDSA","alg":"none"}',
        "alg twice, none first": b'{"alg":"none","kid":"EdDSA","alg":"EdDSA"}',
        "kid twice": b'{"alg":"EdDSA","kid":"x","kid":"EdDSA"}',
        "alg escaped and twice": b'{"alg":"none","\\u0061lg":"EdDSA","kid":"EdDSA"}',
        "with a byte order mark": b'\xef\xbb\xbf{"alg":"EdDSA","kid":"EdDSA"}',
        "in UTF-16": '{"alg":"EdDSA","kid":"EdDSA"}'.encode("utf-16"),
        "no UTF-8": b'{"alg":"EdDSA","kid":"EdDSA","a":"\xff"}',
        "a list": b'["EdDSA"]',
        "text": b'"EdDSA"',
        "null": b"null",
        "nothing": b"",
        "cut": b'{"alg":"EdDSA","kid":"EdDSA"',
        "and more": b'{"alg":"EdDSA","kid":"EdDSA"}{}',
        "in single quotes": b"{'alg':'EdDSA','kid':'EdDSA'}",
        "with a comment": b'{"alg":"EdDSA",/**/"kid":"EdDSA"}',
        "with NaN": b'{"alg":"EdDSA","kid":"EdDSA","a":NaN}',
        "deep": b'{"alg":"EdDSA","kid":"EdDSA","a":' + b"[" * 1500 + b"]" * 1500 + b"}",
        "too large": b'{"alg":"EdDSA","kid":"EdDSA","a":"' + b"x" * 8192 + b'"}',
    }
    for what, text in texts.items():
        yield f"header {what}", token(said, "EdDSA", signer("EdDSA"), header=part(text))


def _payloads(said: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    true = json.dumps(said).encode()[:-1]
    texts = {
        "nothing": b"",
        "null": b"null",
        "a list": b"[]",
        "text": b'"text"',
        "a number": b"1",
        "cut": true,
        "and more": true + b"}x",
        "sub twice": true + b',"sub":"admin"}',
        "exp twice": true + b',"exp":99999999999}',
        "sub twice, escaped": true + b',"\\u0073ub":"admin"}',
        "twice within": true + b',"a":{"b":1,"b":2}}',
        "with NaN": true + b',"a":NaN}',
        "with Infinity": true + b',"a":Infinity}',
        "with -Infinity": true + b',"a":-Infinity}',
        "with 1e400": true + b',"a":1e400}',
        "with a number of 5000 digits": true + b',"a":' + b"9" * 5000 + b"}",
        "no UTF-8": true + b',"a":"\xff"}',
        "overlong UTF-8": true + b',"a":"\xc0\x80"}',
        "with a byte order mark": b"\xef\xbb\xbf" + true + b"}",
        "in UTF-16": (true + b"}").decode().encode("utf-16-le"),
        "in UTF-32": (true + b"}").decode().encode("utf-32"),
        "with a control character": true + b',"a":"\1"}',
        "with a comma too many": true + b",}",
        "deep lists": true + b',"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
        "deep objects": true + b',"a":' + b'{"a":' * 800 + b"1" + b"}" * 801,
        "10,000 deep": true + b',"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        "too large": true + b',"a":"' + b"x" * 8192 + b'"}',
    }
    for what, text in texts.items():
        yield f"payload {what}", _signed("EdDSA", text)


def _claims(said: dict[str, Any], now: float) -> Iterator[tuple[str, bytes]]:
    second = int(now)
    wrong: dict[str, list[Any]] = {
        "exp": [
            second - 3600,
            0,
            -1,
            -(10**11),
            str(second + 600),
            True,
            None,
            [],
            [second + 600],
            {},
            10**30,
            "never",
            "",
        ],
        "nbf": [second + 3600, 10**11, 10**30, str(second - 60), None, False, [], {}, "now"],
        "iat": [{"a": 1}, "now", None, [], True, 10**30],
        "iss": ["https://evil.example", "https://issuer.example/", "HTTPS://issuer.example", "", None, 7, {}, True],
        "aud": ["other", "shop ", "Shop", "", [], ["other", "another"], {"shop": True}, ["shop", 7], [["shop"]], None],
        "sub": [7, None, True, ["alice"], {"name": "alice"}],
        "jti": [7, [], None, {}],
    }
    wrong["iss"] += [["https://issuer.example"], "https://issuer.example\0", " https://issuer.example"]
    wrong["aud"] += [7, True, {}, "shop,other", "shop other"]
    for name, values in wrong.items():
        for value in values:
            yield f"{name} {value!r}", _signed("EdDSA", said | {name: value})
    for name in ("exp", "iss", "aud"):
        yield f"no {name}", _signed("EdDSA", {key: value for key, value in said.items() if key != name})


def _forms(said: Any) -> Iterator[tuple[str, bytes]]:
    true = _signed("EdDSA", said)
    header, payload, signature = true.split(b".")
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(signature[-1:])
    standard = bytes.maketrans(b"-_", b"+/")
    members = {"payload": payload.decode(), "protected": header.decode(), "signature": signature.decode()}
    forms = {
        "a dot": b".",
        "two dots": b"..",
        "one part": header,
        "two parts": header + b"." + payload,
        "two parts and a dot": header + b"." + payload + b".",
        "no header": b"." + payload + b"." + signature,
        "no payload": header + b".." + signature,
        "four parts": true + b".x",
        "four parts, the last empty": true + b".",
        "five parts, as of JWE": b".".join((header, b"", payload, payload, signature)),
        "a dot before": b"." + true,
        "padded": true + b"==",
        "padded header": header + b"=." + payload + b"." + signature,
        "blank after": true + b" x",
        "blank within": header + b" ." + payload + b"." + signature,
        "tab within": header + b"\t." + payload + b"." + signature,
        "bang within": header + b"!." + payload + b"." + signature,
        "in the standard alphabet": b".".join((header, payload, (b"-" + signature[1:]).translate(standard))),
        "another spelling of the last letter": true[:-1] + letters[last ^ 1 : (last ^ 1) + 1],
        "yet another": true[:-1] + letters[last ^ 8 : (last ^ 8) + 1],
        "one letter less": true[:-1],
        "one letter more": true + b"A",
        "lower case": true.lower(),
        "quoted": b'"' + true + b'"',
        "dots in percent": true.replace(b".", b"%2E"),
        "dots of another script": "\u3002".join((header.decode(), payload.decode(), signature.decode())).encode(),
        "a high byte before": b"\xff" + true,
        "two, with a comma": true + b", " + true,
        "two, with a scheme between": true + b", Bearer " + true,
        "flattened JSON": json.dumps(members).encode(),
        "general JSON": json.dumps({"payload": members["payload"], "signatures": [members]}).encode(),
        "the claims alone": json.dumps(said).encode(),
        "the payload bare, as with b64 false": header + b"." + json.dumps(said, separators=(",", ":")).encode() + b".x",
        "a thousand dots": b"." * 1000,
        "8 KB of letters": b"A" * 8300,
        "undefined": b"undefined",
        "null": b"null",
    }
    for what, form in forms.items():
        yield f"form {what}", form
