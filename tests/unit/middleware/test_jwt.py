"""The jwt stage: where tokens come from, what refusals say, what the origin is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Response
from edgeproxy.pipeline.chain import overrides
from edgeproxy.pipeline.exchange import Exchange
from middleware.jwt import Jwt
from tests.support.stages import exchange, services, stage
from tests.support.tokens import SECRET, claims, jwk, part, pem, private_key, token

ONE = {"issuer": "https://issuer.example", "secret": SECRET}
RULES = ['claims.role in ["admin", "root"]', 'claims.scope contains "orders:read"']


def bearing(value: bytes, scheme: bytes = b"Bearer ", **given: Any) -> Exchange:
    return exchange(headers={b"authorization": scheme + value}, **given)


def refusal(stage_: Jwt, x: Exchange) -> Response:
    answer = stage_.request(x)
    assert isinstance(answer, Response)
    assert x.claims is None
    return answer


def test_a_valid_token_comes_in_and_its_claims_are_known() -> None:
    x = bearing(token())
    assert stage(Jwt, {"secret": SECRET}).request(x) is None
    assert x.claims == claims()


def test_without_a_token_the_challenge_names_no_error() -> None:
    answer = refusal(stage(Jwt, {"secret": SECRET, "realm": "shop"}), exchange())
    assert (answer.status, answer.get(b"cache-control")) == (401, b"no-store")
    assert answer.get(b"www-authenticate") == b'Bearer realm="shop"'


def test_a_bad_token_is_told_why() -> None:
    lent = services()
    answer = refusal(stage(Jwt, {"secret": SECRET, "leeway": "0s"}, lent), bearing(token(claims(exp=1_800_000_000))))
    assert answer.status == 401
    assert answer.get(b"www-authenticate") == (
        b'Bearer realm="edge", error="invalid_token", error_description="The token has expired"'
    )
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("jwt") == 1


@pytest.mark.parametrize("scheme", [b"bearer ", b"BEARER ", b"Bearer   "])
def test_the_scheme_is_case_insensitive(scheme: bytes) -> None:
    assert stage(Jwt, {"secret": SECRET}).request(bearing(token(), scheme)) is None


@pytest.mark.parametrize("scheme", [b"", b"Bearer", b"Basic ", b"JWT "])
def test_another_scheme_is_no_token(scheme: bytes) -> None:
    answer = refusal(stage(Jwt, {"secret": SECRET}), bearing(token(), scheme))
    assert answer.get(b"www-authenticate") == b'Bearer realm="edge"'


def test_two_tokens_in_one_field_are_refused() -> None:
    assert refusal(stage(Jwt, {"secret": SECRET}), bearing(token() + b", Bearer " + token())).status == 401


def test_tokens_are_looked_for_in_the_order_given() -> None:
    x = exchange(headers={b"authorization": b"Bearer " + token(), b"cookie": b"a=1; t=" + token(claims(sub="bob"))})
    assert stage(Jwt, {"secret": SECRET, "token": ["cookie:t", "bearer"]}).request(x) is None
    assert (x.claims or {})["sub"] == "bob"
    x = exchange(headers={b"cookie": b"t=" + token()})
    assert refusal(stage(Jwt, {"secret": SECRET}), x).status == 401


def test_optional_lets_nobody_in_as_nobody_but_no_bad_token() -> None:
    optional = stage(Jwt, {"secret": SECRET, "optional": True, "pass": {"sub": "x-user"}})
    x = exchange(headers={b"x-user": b"admin"})
    assert optional.request(x) is None
    assert x.claims is None
    assert b"x-user" not in x.request.headers
    assert refusal(optional, bearing(b"bad")).status == 401


def test_claims_are_handed_to_the_origin_and_what_clients_send_there_is_removed() -> None:
    hand = stage(Jwt, {"secret": SECRET, "pass": {"sub": "X-User", "org": "x-org", "roles": "x-roles"}})
    x = bearing(token(claims(roles=["a", "b"])))
    x.request.headers |= {b"x-user": b"admin", b"x_user": b"admin", b"x-org": b"evil", b"x-other_one": b"stays"}
    assert hand.request(x) is None
    del x.request.headers[b"authorization"]
    assert x.request.headers == {b"x-user": b"alice", b"x-roles": b"a,b", b"x-other_one": b"stays"}


def test_a_claim_that_would_break_out_of_its_field_is_left_out() -> None:
    x = bearing(token(claims(sub="alice\r\nx-admin: 1")))
    assert stage(Jwt, {"secret": SECRET, "pass": {"sub": "x-user"}}).request(x) is None
    assert x.request.headers.keys() == {b"authorization"}


def test_a_required_claim_that_is_missing_is_403() -> None:
    demand = stage(Jwt, {"secret": SECRET, "require": RULES})
    assert demand.request(bearing(token(claims(role="root", scope="a orders:read")))) is None
    for _ in range(2):
        answer = refusal(demand, bearing(token(claims(role="user", scope="orders:read"))))
        assert (answer.status, answer.get(b"www-authenticate")) == (
            403,
            b'Bearer realm="edge", error="insufficient_scope"',
        )
    answer = refusal(demand, bearing(token(claims(role="admin"))))
    assert answer.get(b"www-authenticate") == b'Bearer realm="edge", error="insufficient_scope", scope="orders:read"'


def test_a_remembered_token_still_expires() -> None:
    clock = ManualClock()
    demand = stage(Jwt, {"secret": SECRET, "leeway": "10s"}, services(clock))
    good = token(claims(exp=1_800_000_060))
    assert demand.request(bearing(good)) is None
    clock.advance(69)
    assert demand.request(bearing(good)) is None
    clock.advance(1)
    assert refusal(demand, bearing(good)).status == 401


def test_issuer_and_audience_are_checked() -> None:
    demand = stage(Jwt, {"secret": SECRET, "issuer": "https://issuer.example", "audience": ["shop", "api"]})
    assert demand.request(bearing(token())) is None
    assert refusal(demand, bearing(token(claims(iss="https://evil.example")))).status == 401
    assert refusal(demand, bearing(token(claims(aud="other")))).status == 401


def test_a_token_over_8_kb_is_refused() -> None:
    assert refusal(stage(Jwt, {"secret": SECRET}), bearing(token(claims(filler="x" * 8192)))).status == 401


def test_too_many_bad_tokens_of_one_network_get_429_and_its_good_one_still_passes() -> None:
    demand = stage(Jwt, {"secret": SECRET, "failures": "3/m"})
    attacker, good = "2001:db8::1", token()
    assert demand.request(bearing(good, client=attacker)) is None
    answers = [refusal(demand, bearing(token(signature=b"%d" % number), client=attacker)) for number in range(5)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].get(b"retry-after") == b"20"
    assert refusal(demand, bearing(token(claims(sub="new")), client="2001:db8::2")).status == 429
    assert demand.request(bearing(good, client=attacker)) is None
    assert demand.request(bearing(token(claims(sub="new")), client="192.0.2.1")) is None


def test_a_token_may_stand_in_a_field_or_in_the_url_of_which_it_is_taken_out() -> None:
    lent = services()
    demand = stage(Jwt, {"secret": SECRET, "token": ["header:X-Token", "query:t"]}, lent)
    assert demand.request(exchange(headers={b"x-token": b"Bearer " + token()})) is None
    x = exchange(b"/a?b=1&t=" + token())
    assert demand.request(x) is None
    assert (x.claims, x.request.target) == (claims(), b"/a?b=1")
    response = Response(200, {b"cache-control": b"public, max-age=60"})
    demand.response(x, response)
    assert response.get(b"cache-control") == b"private, max-age=60"
    assert not overrides(stage(Jwt, {"secret": SECRET}), "response")


TWO = {
    "issuers": [
        {"issuer": ["https://one.example", "https://uno.example"], "secret": SECRET, "audience": "shop"},
        {"issuer": "https://two.example", "keys": pem(private_key("ES256")).decode(), "require": RULES[0]},
    ],
    "require": 'claims.aud in ["shop"]',
}


def test_several_issuers_tokens_are_let_in_by_each_ones_keys_and_rules() -> None:
    demand = stage(Jwt, TWO)
    assert demand.request(bearing(token(claims(iss="https://one.example")))) is None
    assert demand.request(bearing(token(claims(iss="https://uno.example")))) is None
    two = {"iss": "https://two.example"}
    assert demand.request(bearing(token(claims(role="admin", **two), "ES256"))) is None
    assert refusal(demand, bearing(token(claims(role="user", **two), "ES256"))).status == 403
    assert refusal(demand, bearing(token(claims(role="admin", aud="other", **two), "ES256"))).status == 403
    assert refusal(demand, bearing(token(claims(iss="https://one.example", aud="other")))).status == 401


@pytest.mark.parametrize(
    ("issuer", "algorithm"),
    [
        ("https://two.example", "HS256"),
        ("https://one.example", "ES256"),
        ("https://three.example", "HS256"),
        ("", "HS256"),
        (None, "HS256"),
        (["https://one.example"], "HS256"),
    ],
)
def test_no_issuers_key_verifies_anothers_token(issuer: Any, algorithm: str) -> None:
    demand = stage(Jwt, TWO)
    assert refusal(demand, bearing(token(claims(iss=issuer, role="admin"), algorithm))).status == 401


@pytest.mark.parametrize("forged", [b"", b"a.b", b"..", b"a.!.c", b"e30.W10.x", b"e30." + part({"iss": 7}) + b".x"])
def test_among_several_issuers_what_names_none_is_refused(forged: bytes) -> None:
    assert refusal(stage(Jwt, TWO), bearing(forged)).status == 401


def test_keys_may_stand_in_the_configuration() -> None:
    demand = stage(Jwt, {"keys": json.dumps({"keys": [jwk("EdDSA")]})})
    assert demand.request(bearing(token(algorithm="EdDSA", key=private_key("EdDSA", "one")))) is None
    assert refusal(demand, bearing(token(algorithm="EdDSA", key=private_key("EdDSA", "two")))).status == 401


def test_keys_from_a_file_verify_each_with_its_own_algorithms(tmp_path: Path) -> None:
    file = tmp_path / "keys.pem"
    file.write_bytes(pem(private_key("RS256")) + pem(private_key("ES256")))
    demand = stage(Jwt, {"keys_file": str(file)})
    assert demand.request(bearing(token(algorithm="RS256"))) is None
    assert demand.request(bearing(token(algorithm="PS384"))) is not None  # signed by another key
    assert demand.request(bearing(token(algorithm="PS384", key=private_key("RS256")))) is None
    assert demand.request(bearing(token(algorithm="ES256"))) is None
    assert refusal(demand, bearing(token(key=pem(private_key("RS256")) and b"s" * 64))).status == 401
    only = stage(Jwt, {"keys_file": str(file), "algorithms": "ES256"})
    assert refusal(only, bearing(token(algorithm="RS256"))).status == 401


def test_before_any_key_set_could_be_had_the_answer_is_503() -> None:
    answer = refusal(stage(Jwt, {"jwks_url": "https://issuer.example/jwks.json"}), bearing(token(algorithm="RS256")))
    assert (answer.status, answer.get(b"retry-after")) == (503, b"5")


def test_a_secret_is_never_shown() -> None:
    config = Jwt.Config.model_validate({"secret": SECRET})
    assert SECRET not in repr(config) + config.model_dump_json() + json.dumps(config.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "exactly one of"),
        ({"secret": SECRET, "jwks_url": "https://a.example/"}, "exactly one of"),
        ({"secret": "short"}, "at least 32"),
        ({"secret": SECRET, "algorithms": ["HS512"]}, "at least 64"),
        ({"secret": SECRET, "algorithms": ["HS256", "RS256"]}, "RS256 works with public keys"),
        ({"jwks_url": "https://a.example/", "algorithms": ["RS256", "HS256"]}, "HS256 works with a secret"),
        ({"secret": SECRET, "algorithms": ["none"]}, "HS256"),
        ({"jwks_url": "http://a.example/"}, "https"),
        ({"jwks_url": "http://127.0.0.1.evil.example/"}, "https"),
        ({"jwks_url": "http://localhost.evil.example/"}, "https"),
        ({"jwks_url": "file:///etc/passwd"}, "URL"),
        ({"jwks_url": "https://user:word@a.example/"}, "URL"),
        ({"keys_file": "/does/not/exist"}, "cannot be used"),
        ({"secret": SECRET, "token": "body:t"}, "no place for a token"),
        ({"secret": SECRET, "token": "query:"}, "no place for a token"),
        ({"secret": SECRET, "token": "bearer:x"}, "no place for a token"),
        ({"secret": SECRET, "require": {"role": ["admin"]}}, r'claims.role in \["admin"\]'),
        ({"secret": SECRET, "require": "role is admin"}, "is no rule"),
        ({"keys": "no key"}, "keys cannot be used"),
        ({"issuers": [{"secret": SECRET}]}, "an issuer of its own"),
        ({"issuers": [ONE, ONE]}, "an issuer of its own"),
        ({"issuers": [ONE], "audience": "shop"}, "audience belongs into each"),
        ({"issuers": [ONE], "secret": SECRET}, "secret belongs into each"),
        ({"issuers": [{"issuer": "a"}]}, "exactly one of"),
        ({"issuers": [{"issuer": "a", "secret": "short"}]}, "at least 32"),
        ({"secret": SECRET, "pass": {"sub": "authorization"}}, "tokens come from"),
        ({"secret": SECRET, "pass": {"sub": "host"}}, "cannot be edited"),
        ({"secret": SECRET, "pass": {"sub": "a b"}}, "field name"),
        ({"secret": SECRET, "realm": 'a"b'}, "realm"),
        ({"secret": SECRET, "leeway": "10m"}, "300"),
    ],
)
def test_bad_settings_are_refused_with_the_reason(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        stage(Jwt, settings)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["https://a.example/", "http://127.0.0.1:81/k", "http://localhost/k", "http://[::1]/k"])
def test_keys_come_over_https_or_from_this_machine(url: str) -> None:
    assert Jwt.Config.model_validate({"jwks_url": url}).jwks_url == url


def test_http_elsewhere_must_be_asked_for() -> None:
    assert Jwt.Config.model_validate({"jwks_url": "http://issuer.internal/k", "allow_http": True})


def test_a_set_with_unusable_keys_alone_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk("RS256", use="enc")]}))
    with pytest.raises(ValidationError, match="no public signing key"):
        stage(Jwt, {"keys_file": str(file)})
