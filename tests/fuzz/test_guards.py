"""Whatever comes in fields, cookies, tokens, addresses and queries: the guards answer it, and never with a 5xx."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgeproxy.identity.api_keys import line_of, new_key
from tests.support.client import RawClient
from tests.support.inprocess import InProcessEdge
from tests.support.site import Site
from tests.support.tokens import NOW, SECRET

AT_ONCE = 40
PATHS = ("jwt", "key", "basic", "signed", "agent", "bots", "challenge", "limits", "busy", "rules")
TEXT = [bytes((code,)) for code in (*range(0x21, 0x7F), *range(0x80, 0x100), 0x20, 0x09)]
GOOD = {
    b"user-agent": [
        b"curl/8.5",
        b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        b"Googlebot",
    ],
    b"accept-language": [b"de, en;q=0.5", b"*", b"xx-" + b"y" * 300],
    b"accept": [b"text/html", b"*/*;q=0.1"],
    b"x-forwarded-for": [b"192.0.2.7", b"::1, 1.1.1.1", b"[2001:db8::1]:80", b"unknown", b"1.2.3.4.5", b"," * 90],
    b"x-api-key": [b"edge_" + b"a" * 40],
    b"cookie": [b"edge_clearance=1.1900000000.16." + b"A" * 43, b"sid", b"a=1;;;=", b"token=a.b.c"],
    b"authorization": [b"Bearer a.b.c", b"Basic Zm9vOmJhcg==", b"Basic =", b"Bearer", b"Negotiate x"],
    b"signature-input": [b'sig=("@authority");created=1;keyid="x";alg="ed25519";tag="web-bot-auth"', b"sig=()", b"sig"],
    b"signature": [b"sig=:AAAA:", b"sig=:=:", b"sig"],
    b"signature-agent": [b'"https://agent.example"', b'sig="https://agent.example"'],
    b"forwarded": [b'for="[::1]"', b"for=;;="],
    b"sec-fetch-site": [b"same-origin"],
    b"range": [b"bytes=0-", b"bytes=--"],
    b"via": [b"1.1 a, 1.1 b"],
}
QUERIES = (
    b"",
    b"edge-challenge=back",
    b"edge-challenge=1.1.16.ab.cd&x",
    b"signature=x&expires=1e9&keyid=a",
    b"api_key=1",
)


class Wire(NamedTuple):
    edge: InProcessEdge
    origin: Site


def _config(origin: str, folder: Path) -> dict[str, Any]:
    keys = folder / "agent.json"
    public = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
    keys.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": public}]}))
    limits = [
        {"name": "ip", "key": "client.ip", "rate": "100000/s"},
        {"name": "many", "key": "header:x-api-key+cookie:sid+query:api_key", "rate": "100000/s", "algorithm": "window"},
        {"name": "bytes", "key": "client.net+path", "rate": "100GB/s", "count": "bytes"},
    ]
    line = line_of("somebody", new_key())
    stages = {
        "jwt": {"jwt": {"secret": SECRET, "token": ["bearer", "cookie:token"]}},
        "key": {"api_key": {"keys": [line], "places": ["header:x-api-key", "query:api_key", "cookie:sid"]}},
        "basic": {"basic_auth": {"passwords": {"ann": "$2b$04$" + "u" * 53}}},
        "signed": {"signed_url": {"secrets": {"a": SECRET}, "cookie": "sid"}},
        "agent": {"web_bot_auth": {"agents": [{"name": "agent", "keys_file": str(keys)}]}},
        "bots": {"bot_check": {"deny": ["suspect"]}},
        "challenge": {"challenge": {"when": "always"}},
        "limits": {"rate_limit": {"limits": limits}},
        "busy": {"concurrency_limit": {"key": "client.net+header:user-agent", "most": 10}},
        "rules": {"access_rules": {"rules": [{"deny": {"client": ["10.0.0.0/8"]}}]}},
    }
    routes = [
        {"name": name, "pool": "site", "match": {"path": f"/{name}"}, "middleware": stage}
        for name, stage in stages.items()
    ]
    assert set(stages) == set(PATHS)
    return {
        "pools": {"site": {"endpoints": [origin]}},
        "routes": [*routes, {"name": "rest", "pool": "site"}],
        "middleware": {"client_address": {"trusted": "127.0.0.0/8"}, "flood": True},
    }


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with Site() as origin, InProcessEdge(_config(origin.url, tmp_path_factory.mktemp("guards"))) as edge:
        yield Wire(edge, origin)


def _noise(rng: random.Random, longest: int = 200) -> bytes:
    return b"".join(rng.choices(TEXT, k=rng.randrange(longest))).strip(b" \t")


def _bent(rng: random.Random, value: bytes) -> bytes:
    """A value with a few of its bytes changed, lost or doubled."""
    pieces = [value[at : at + 1] for at in range(len(value))]
    for _ in range(rng.randrange(4)):
        if pieces:
            pieces[rng.randrange(len(pieces))] = rng.choice((b"", b".", b"%", b"=", rng.choice(TEXT) * 2))
    return b"".join(pieces).strip(b" \t")


def _token(rng: random.Random) -> bytes:
    """Something like a JWT: the right shape around the wrong things."""
    header = rng.choice([{"alg": "HS256"}, {"alg": "none"}, {"alg": ["HS256"]}, {"alg": "HS256", "jwk": {}}, [], 7])
    claims = rng.choice([{"exp": NOW}, {"exp": "x"}, {"aud": [1]}, {"a": [[[]]] * 99}, None, "text"])
    parts = [json.dumps(part).encode() for part in (header, claims)]
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts]
    return b"Bearer " + b".".join([*encoded, _noise(rng, 60).replace(b" ", b"")])


def _request(rng: random.Random) -> bytes:
    fields = {}
    for name in rng.sample(sorted(GOOD), rng.randrange(1, 9)):
        value = rng.choice(GOOD[name])
        fields[name] = rng.choice((value, _bent(rng, value), _noise(rng)))
    if rng.random() < 0.2:
        fields[b"authorization"] = _token(rng)
    query = rng.choice(
        (rng.choice(QUERIES), base64.urlsafe_b64encode(_noise(rng, 60)).replace(b"=", b"%3D") + b"&a=%zz")
    )
    target = b"/%b/x?%b" % (rng.choice(PATHS).encode(), query)
    lines = b"".join(b"%b: %b\r\n" % field for field in fields.items())
    return b"GET %b HTTP/1.1\r\nHost: a.example\r\n%b\r\n" % (target, lines)


def _send(wire: Wire, requests: list[bytes]) -> list[int]:
    """The statuses of as many as were answered before the connection ended."""
    with RawClient(wire.edge.address, timeout=20) as client:
        client.send(b"".join(requests))
        return [answer.status for answer in client.answers(len(requests)).final]


def _all_are_answered(wire: Wire, number: int, seed: int) -> None:
    rng = random.Random(seed)
    requests = [_request(rng) for _ in range(number)]
    statuses: list[int] = []
    while len(statuses) < number:
        batch = requests[len(statuses) : len(statuses) + AT_ONCE]
        got = _send(wire, batch)
        assert got, f"no answer to {batch[0]!r}"
        for status, request in zip(got, batch, strict=False):
            assert status < 500, (status, request)
        assert not wire.edge.faults, (wire.edge.faults, batch)
        statuses += got
    assert {200, 401, 403} <= set(statuses)


def test_guards_answer_whatever_comes(wire: Wire) -> None:
    _all_are_answered(wire, 10_000, seed=1)
