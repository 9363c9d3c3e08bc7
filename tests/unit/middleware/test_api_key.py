"""The api_key stage: its settings, and what it observes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.identity.api_keys import line_of, new_key
from middleware.api_key import ApiKey
from tests.support.stages import exchange, services, stage

KEY, OTHER = new_key(), new_key()
LINE = line_of("shop", KEY)


def status(guard: ApiKey, **headers: str) -> int:
    x = exchange(headers={name.replace("_", "-").encode(): value.encode() for name, value in headers.items()})
    answer = guard.request(x)
    return 200 if answer is None else answer.status


def test_keys_come_from_the_settings_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# keys\n\n{line_of('file', OTHER)}\n")
    guard = stage(ApiKey, {"keys": [LINE], "keys_file": str(tmp_path / "keys")})
    assert (status(guard, x_api_key=KEY), status(guard, x_api_key=OTHER), status(guard, x_api_key="x")) == (
        200,
        200,
        401,
    )


def test_refusals_are_counted_and_a_scheme_is_challenged() -> None:
    lent = services()
    guard = stage(ApiKey, {"keys": LINE, "places": "authorization:bearer", "realm": "shop"}, lent)
    answer = guard.request(exchange())
    assert answer is not None
    assert (answer.status, answer.get(b"www-authenticate")) == (401, b'Bearer realm="shop"')
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("api_key") == 1
    answer = stage(ApiKey, {"keys": LINE}).request(exchange())
    assert answer is not None
    assert answer.get(b"www-authenticate") is None


def test_observing_takes_nothing_out_of_the_request() -> None:
    guard = stage(ApiKey, {"keys": LINE, "places": ["header:x-api-key", "query:key"], "mode": "observe"})
    x = exchange(b"/?key=" + KEY.encode(), {b"x-api-key": KEY.encode()})
    assert guard.request(x) is None
    assert (x.identity, x.request.target, x.request.headers) == (
        "shop",
        b"/?key=" + KEY.encode(),
        {b"x-api-key": KEY.encode()},
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "give keys, keys_file or both"),
        ({"keys": KEY}, "does not begin with a name|not followed by sha256"),
        ({"keys": [LINE, LINE]}, "line 2: the key of shop once more"),
        ({"keys": LINE, "places": []}, "at least 1"),
        ({"keys": LINE, "places": "body:key"}, "is no place for a key"),
        ({"keys": LINE, "places": "header:a b"}, "is no place for a key"),
        ({"keys": LINE, "pass": "authorization"}, "is where credentials come from"),
        ({"keys": LINE, "pass": "host"}, "cannot be edited"),
        ({"keys": LINE, "failures": "0/m"}, "is not a rate"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        stage(ApiKey, settings)


def test_a_file_that_cannot_be_used_is_an_error_that_repeats_no_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{LINE}\nshop {KEY}\n")
    with pytest.raises(ValueError, match="line 2: the name is not followed by sha256") as raised:
        stage(ApiKey, {"keys_file": str(tmp_path / "keys")})
    assert KEY not in str(raised.value)
