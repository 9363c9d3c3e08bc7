"""Which keys a stage verifies with: exactly one source, and algorithms that fit it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.jose.refresh import FreshKeys, KeySource
from edgeproxy.jose.settings import IssuerSettings, KeySettings
from tests.support.stages import services
from tests.support.tokens import SECRET, jwk, pem, private_key

URL = "https://issuer.example/keys"


def settings(**given: Any) -> KeySettings:
    return KeySettings.model_validate(given)


@pytest.fixture
def keys_file(tmp_path: Path) -> str:
    (tmp_path / "keys.pem").write_bytes(pem(private_key("ES256")))
    return str(tmp_path / "keys.pem")


def test_a_secret_is_there_at_once_and_needs_no_refreshing() -> None:
    secret = settings(secret=SECRET)
    source = secret.source(services())
    assert type(source) is KeySource
    assert source.keys is not None
    assert (secret.accepted(), source.keys.keys[0].algorithms) == ({"HS256"}, {"HS256"})


def test_a_file_is_read_at_once_and_again_later(keys_file: str) -> None:
    lent = services()
    source = settings(keys_file=keys_file, refresh="1m").source(lent)
    assert isinstance(source, FreshKeys)
    assert source.keys is not None
    assert (len(source.keys.keys), source._every) == (1, 60)
    assert keys_file in repr(source)


def test_keys_in_the_configuration_are_there_at_once_for_good() -> None:
    given = settings(keys=pem(private_key("ES256")).decode())
    source = given.source(services())
    assert type(source) is KeySource
    assert source.keys is not None
    assert source.keys.keys[0].algorithms == {"ES256"}


async def test_a_key_set_comes_with_the_first_fetch(tmp_path: Path) -> None:
    lent = services()
    source = settings(jwks_url=URL).source(lent)
    assert source.keys is None
    assert URL in repr(source)
    assert isinstance(source, FreshKeys)
    source._load = lambda: _later(json.dumps({"keys": [jwk("ES256")]}).encode())
    await source.start(patience=5)
    await source.stop()
    assert source.keys is not None
    assert lent.metrics.counter("edgeproxy_key_refresh_total", "", ("outcome",)).value("ok") == 1


async def _later(document: bytes) -> bytes:
    return document


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ({"secret": SECRET * 2}, {"HS256"}),
        ({"secret": SECRET * 2, "algorithms": ["HS512"]}, {"HS512"}),
        ({"jwks_url": URL, "algorithms": "ES256"}, {"ES256"}),
    ],
)
def test_accepted_algorithms_are_those_given_or_fit_the_source(given: dict[str, Any], accepted: set[str]) -> None:
    assert settings(**given).accepted() == accepted


def test_public_keys_never_come_with_a_shared_algorithm() -> None:
    accepted = settings(jwks_url=URL).accepted()
    assert {"RS256", "PS256", "ES256", "EdDSA"} <= accepted
    assert not any(name.startswith("HS") for name in accepted)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "exactly one of secret, keys, keys_file and jwks_url"),
        ({"secret": SECRET, "jwks_url": URL}, "exactly one of secret, keys, keys_file and jwks_url"),
        ({"secret": SECRET, "algorithms": ["RS256"]}, "RS256 works with public keys"),
        ({"jwks_url": URL, "algorithms": ["ES256", "HS256"]}, "HS256 works with a secret"),
        ({"secret": "short"}, "needs at least 32"),
        ({"secret": SECRET, "algorithms": ["HS512"]}, "needs at least 64"),
        ({"jwks_url": "http://issuer.example/keys"}, "must be https"),
        ({"jwks_url": "http://127.0.0.1.example/keys"}, "must be https"),
        ({"jwks_url": "ftp://issuer.example/keys"}, "is not a URL"),
        ({"jwks_url": "https://user:password@issuer.example/"}, "is not a URL"),
        ({"jwks_url": "https:///keys"}, "is not a URL"),
        ({"keys_file": "/no/such/file"}, "cannot be used"),
        ({"keys": "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----"}, "keys cannot be used: a PUBLIC KEY"),
    ],
)
def test_settings_that_would_let_in_the_wrong_ones_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        settings(**given)
    assert "input_value" not in str(caught.value), "what was given may be a secret"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"role": ["admin"]}, r'write role: \["admin"\] as claims.role in \["admin"\]'),
        ({"level": 3}, r"claims.level in \[3\]"),
        ({}, "a list of rules"),
        (["claims.role == 1", "role"], "'role' is no rule"),
    ],
)
def test_what_are_no_rules_is_refused_with_what_would_be(rules: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        IssuerSettings.model_validate({"secret": SECRET, "require": rules})


def test_rules_are_one_or_many() -> None:
    one = IssuerSettings.model_validate({"secret": SECRET, "require": "claims.a == 1"})
    assert [rule.path for rule in one.rules()] == [("a",)]


@pytest.mark.parametrize(
    "url", ["http://localhost:81/k", "http://127.0.0.2/k", "http://[::1]/k", "https://issuer.example/k"]
)
def test_a_url_nobody_can_change_on_the_way_needs_no_leave(url: str) -> None:
    assert settings(jwks_url=url).jwks_url == url


def test_http_elsewhere_is_had_by_asking_for_it() -> None:
    assert settings(jwks_url="http://10.0.0.5/k", allow_http=True).jwks_url == "http://10.0.0.5/k"


def test_the_settings_alone_import_no_cryptography() -> None:
    code = "import sys, edgeproxy.jose.settings; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
