"""Agents known by their signatures: verified, nobody in particular, or wrong."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from pydantic import ValidationError

from edgeproxy.clock import ManualClock
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Services
from middleware.web_bot_auth import WebBotAuth
from tests.support.signed import NOW, sign, signed
from tests.support.stages import exchange, services, stage
from tests.support.tokens import pem

AGENT = ("@authority", 'signature-agent;key="sig1"')


KEYS: defaultdict[str, Ed25519PrivateKey] = defaultdict(Ed25519PrivateKey.generate)


def key(name: str = "gobbler") -> Ed25519PrivateKey:
    return KEYS[name]


def agent(name: str = "gobbler", **given: Any) -> dict[str, Any]:
    return {"name": name, "keys": pem(key(name)).decode(), **given}


def build(lent: Services | None = None, **settings: Any) -> WebBotAuth:
    return stage(WebBotAuth, {"agents": [agent()], **settings}, lent)


def outcome(knows: WebBotAuth, x: Exchange) -> str | int:
    """The agent's name, "" for nobody, or the status of the refusal."""
    answer = knows.request(x)
    return x.agent if answer is None else answer.status


def test_who_signs_with_a_listed_key_is_that_agent() -> None:
    x = signed(key())
    assert outcome(build(), x) == "gobbler"
    assert x.tags == ("web_bot_auth",)
    assert b"signature" in x.request.headers, "the origin may look for itself"


@pytest.mark.parametrize("x", [exchange(), exchange(headers={b"signature": b"sig1=:AAAA:"})])
def test_who_does_not_sign_passes_as_nobody(x: Exchange) -> None:
    assert outcome(build(), x) == ""
    assert x.tags == ()


def test_who_signs_with_another_key_or_for_another_use_passes_as_nobody() -> None:
    knows = build()
    assert outcome(knows, signed(key("stranger"))) == ""
    assert outcome(knows, signed(key(), tag="other")) == ""
    assert outcome(knows, signed(key(), keyid=None)) == ""


def test_what_cannot_be_checked_here_passes_as_nobody() -> None:
    x = signed(key())
    x.request.headers[b"signature-input"] = x.request.headers[b"signature-input"].replace(
        b'"@authority"', b'"@authority" "@query-param";name="a"'
    )
    assert outcome(build(), x) == ""


def test_where_it_is_required_nobody_is_refused_and_told_what_is_asked_for() -> None:
    lent = services()
    knows = build(lent, required=True)
    for x in (exchange(), signed(key("stranger"))):
        answer = knows.request(x)
        assert answer is not None
        assert (answer.status, answer.get(b"cache-control")) == (403, b"no-store")
        assert answer.get(b"accept-signature") == (
            b'sig1=("@authority" "signature-agent";key="sig1");created;expires;keyid;tag="web-bot-auth"'
        )
    assert outcome(knows, signed(key())) == "gobbler"
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("web_bot_auth") == 2
    answer = build(required=True, nonce="required").request(exchange())
    assert answer is not None
    assert b"keyid;nonce;tag" in (answer.get(b"accept-signature") or b"")


WRONG: dict[str, dict[str, Any]] = {
    "it does not hold yet": {"created": NOW + 60},
    "it has expired": {"expires": NOW - 60},
    "it is too old": {"created": NOW - 100_000},
    "it never expires": {"expires": None},
    "it has no time": {"created": None},
    "it is of another algorithm": {"alg": "ecdsa-p256-sha256"},
    "it is of a shared secret's algorithm": {"alg": "hmac-sha256"},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_known_keys_signature_that_cannot_hold_is_refused(wrong: str) -> None:
    x = signed(key(), **WRONG[wrong])
    assert outcome(build(), x) == 403
    assert x.agent == ""


def test_a_signature_for_no_host_in_particular_is_refused() -> None:
    assert outcome(build(), signed(key(), "@path", "@method")) == 403
    assert outcome(build(), signed(key(), "@target-uri")) == "gobbler"


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        (b"signature", b"=:", b"=:AAAA"),
        (b"signature-input", b"expires=1800000060", b"expires=1800000061"),
        (b"signature-input", b'("@authority"', b'("@authority" "@path"'),
        (b"x-covered", b"this", b"that"),
    ],
)
def test_what_was_changed_on_the_way_is_refused(field: bytes, old: bytes, new: bytes) -> None:
    x = exchange(headers={b"x-covered": b"this"})
    assert outcome(build(), sign(x, key(), ("@authority", "x-covered"))) == "gobbler"
    x.request.headers[field] = x.request.headers[field].replace(old, new)
    assert outcome(build(), x) == 403


def test_a_signature_lifted_onto_another_host_is_refused() -> None:
    x = exchange(authority=b"evil.example")
    x.request.headers |= signed(key()).request.headers
    assert outcome(build(), x) == 403


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("once", ["gobbler", 403, "gobbler"]), ("required", ["gobbler", 403, 403]), ("off", ["gobbler"] * 3)],
)
def test_a_signature_with_a_nonce_is_good_for_one_request(mode: str, expected: list[str | int]) -> None:
    knows = build(nonce=mode)
    requests = [signed(key(), nonce="n1"), signed(key(), nonce="n1", target=b"/other"), signed(key())]
    assert [outcome(knows, x) for x in requests] == expected


def test_what_is_wrong_uses_up_no_nonce() -> None:
    knows = build()
    x = signed(key(), nonce="n1")
    x.request.headers[b"signature"] = b"sig1=:AAAA:"
    assert [outcome(knows, x), outcome(knows, signed(key(), nonce="n1"))] == [403, "gobbler"]


def test_too_many_wrong_signatures_of_one_network_get_429_without_a_look() -> None:
    knows = build(failures="3/m")

    def forged(client: str) -> Exchange:
        x = exchange(client=client)
        x.request.headers |= signed(key()).request.headers | {b"signature": b"sig1=:AAAA:"}
        return x

    assert [outcome(knows, forged("2001:db8::1")) for _ in range(4)] == [403, 403, 403, 429]
    assert outcome(knows, forged("2001:db8::2")) == 429
    assert outcome(knows, forged("192.0.2.1")) == 403
    assert outcome(knows, exchange(client="2001:db8::1")) == "", "who signs nothing is not looked at"
    assert outcome(knows, signed(key("stranger"))) == ""


def listed(*names: str) -> WebBotAuth:
    """Agents with keys, at places of their own as if they had been fetched from there."""
    urls = [{"name": name, "directory_url": f"https://{name}.example"} for name in names]
    knows = build(agents=urls)
    for one in knows._agents:
        one.source.keys = stage(WebBotAuth, {"agents": [agent(one.name)]})._agents[0].source.keys
    return knows


def naming(value: str, name: str = "gobbler", covered: tuple[str, ...] = AGENT) -> Exchange:
    return sign(exchange(headers={b"signature-agent": value.encode()}), key(name), covered)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (lambda: naming('sig1="https://gobbler.example"'), "gobbler"),
        (lambda: naming('sig1="https://GOBBLER.example/"'), "gobbler"),
        (lambda: naming('"https://gobbler.example"', covered=("@authority", "signature-agent")), "gobbler"),
        (lambda: naming('sig1="https://muncher.example"'), ""),
        (lambda: naming('sig1="http://gobbler.example"'), ""),
        (lambda: naming('sig1="https://evil.example"'), ""),
        (lambda: naming('sig1="https://gobbler.example"', "muncher"), ""),
        (lambda: naming('sig1="https://muncher.example"', "muncher"), "muncher"),
        (lambda: naming('sig1="https://evil.example"', covered=("@authority",)), "gobbler"),
    ],
)
def test_a_signature_counts_for_the_agent_it_names(x: Any, expected: str) -> None:
    assert outcome(listed("gobbler", "muncher"), x()) == expected


def test_of_several_signatures_the_first_of_a_known_agent_counts() -> None:
    x = signed(key("stranger"), label="sig2")
    first = {name: x.request.headers.pop(name) for name in (b"signature-input", b"signature")}
    sign(x, key())
    for name, value in first.items():
        x.request.headers[name] = value + b", " + x.request.headers[name]
    assert outcome(build(), x) == "gobbler"


def test_the_clock_may_be_off_a_little() -> None:
    clock = ManualClock()
    knows = build(services(clock), leeway="10s", nonce="off")
    clock.advance(69)
    assert outcome(knows, signed(key())) == "gobbler"
    clock.advance(1)
    assert outcome(knows, signed(key())) == 403


@pytest.mark.parametrize("value", [b"", b"x", b'sig1=();tag="web-bot-auth"', b'sig1=("a" "a");tag="web-bot-auth"'])
def test_what_is_malformed_is_nobodys_or_refused(value: bytes) -> None:
    expected = 403 if b"tag" in value else ""
    assert outcome(build(), exchange(headers={b"signature-input": value})) == expected


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://a.example", "https://a.example/.well-known/http-message-signatures-directory"),
        ("https://a.example/", "https://a.example/.well-known/http-message-signatures-directory"),
        ("https://a.example/keys.json", "https://a.example/keys.json"),
    ],
)
def test_a_host_alone_means_the_well_known_place_there(given: str, url: str) -> None:
    config = WebBotAuth.Config.model_validate({"agents": [{"name": "a", "directory_url": given}]})
    assert config.agents[0].url() == url


def test_keys_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    member = OKPAlgorithm.to_jwk(key().public_key(), as_dict=True)
    file.write_text(json.dumps({"keys": [member | {"kid": "whatever it is called"}]}))
    assert outcome(build(agents=[{"name": "filed", "keys_file": str(file)}]), signed(key())) == "filed"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "agents"),
        ({"agents": []}, "at least 1"),
        ({"agents": [{"name": "a"}]}, "exactly one of keys, keys_file and directory_url"),
        ({"agents": [agent(directory_url="https://a.example")]}, "exactly one of"),
        ({"agents": [{"name": "a b", "directory_url": "https://a.example"}]}, "pattern"),
        ({"agents": [{"name": "a", "directory_url": "http://a.example"}]}, "directory_url must be https"),
        ({"agents": [{"name": "a", "directory_url": "https://u:p@a.example"}]}, "is not a URL"),
        ({"agents": [agent(), agent()]}, "two agents are called gobbler"),
        ({"agents": [{"name": "a", "keys": "x"}]}, "keys cannot be used"),
        ({"agents": [agent()], "nonce": "twice"}, "once"),
    ],
)
def test_bad_settings_are_refused_with_the_reason(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        stage(WebBotAuth, settings)
