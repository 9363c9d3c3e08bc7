"""CORS, by the Fetch standard's CORS protocol."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.http.message import FieldBlock, Response
from middleware.cors import Cors
from tests.support.stages import exchange, stage

APP = b"https://app.example.com"
STRANGER = b"https://evil.example"
ONE = {"origins": ["https://app.example.com"]}


def preflight(
    settings: dict[str, Any], origin: bytes = APP, method: bytes = b"POST", headers: bytes | None = None, **more: bytes
) -> Response:
    fields = {b"origin": origin, b"access-control-request-method": method}
    if headers is not None:
        fields[b"access-control-request-headers"] = headers
    fields |= {name.replace("_", "-").encode(): value for name, value in more.items()}
    x, cors = exchange(headers=fields, method=b"OPTIONS"), stage(Cors, settings)
    answer = cors.request(x)
    assert answer is not None
    cors.response(x, answer)  # an answer passes the response hook of the stage that gave it
    return answer


def answered(settings: dict[str, Any], origin: bytes | None, response: Response | None = None) -> dict[bytes, bytes]:
    response = Response(200) if response is None else response
    x = exchange(headers={} if origin is None else {b"origin": origin})
    cors = stage(Cors, settings)
    assert cors.request(x) is None
    cors.response(x, response)
    return response.headers()


def cors_fields(response: Response) -> set[bytes]:
    return {name for name in response.headers() if name.startswith(b"access-control-")}


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ("https://app.example.com", b"https://app.example.com", True),
        ("https://app.example.com", b"http://app.example.com", False),
        ("https://app.example.com", b"https://app.example.com:8443", False),
        ("https://app.example.com", b"https://app.example.com.evil.example", False),
        ("https://app.example.com", b"null", False),
        ("https://app.example.com:8443", b"https://app.example.com:8443", True),
        ("https://*.example.com", b"https://a.example.com", True),
        ("https://*.example.com", b"https://a.b.example.com", True),
        ("https://*.example.com", b"https://example.com", False),
        ("https://*.example.com", b"https://aexample.com", False),
        ("https://*.example.com", b"https://a.example.com.evil.example", False),
        ("https://*.example.com", b"https://evil.example/.example.com", False),
        ("https://*.example.com", b"https://evil.example#.example.com", False),
        ("https://*.example.com", b"https://axexample.com", False),
        ("null", b"null", True),
    ],
)
def test_which_origins_may_read(origins: str, origin: bytes, allowed: bool) -> None:
    fields = answered({"origins": origins}, origin)
    assert fields.get(b"access-control-allow-origin") == (origin if allowed else None)
    assert fields[b"vary"] == b"origin"
    assert preflight({"origins": origins}, origin).status == (204 if allowed else 403)


def test_a_regex_must_match_the_whole_origin() -> None:
    settings = {"origin_regex": r"https://pr-\d+\.example\.com"}
    assert b"access-control-allow-origin" in answered(settings, b"https://pr-7.example.com")
    assert b"access-control-allow-origin" not in answered(settings, b"https://pr-7.example.com.evil.example")
    assert b"access-control-allow-origin" not in answered(settings, b"xhttps://pr-7.example.com")


def test_everybody_gets_the_same_answer_and_no_vary() -> None:
    for origin in (None, APP, STRANGER):
        assert answered({"origins": "*"}, origin) == {b"access-control-allow-origin": b"*"}


def test_vary_is_added_without_an_origin_too() -> None:
    assert answered(ONE, None) == {b"vary": b"origin"}
    assert answered(ONE, None, Response(200, {b"vary": b"Accept"}))[b"vary"] == b"Accept, origin"
    assert answered(ONE, None, Response(200, {b"vary": b"accept, Origin"}))[b"vary"] == b"accept, Origin"
    assert answered(ONE, None, Response(200, {b"vary": b"*"}))[b"vary"] == b"*"


def test_what_the_origin_server_says_is_replaced_and_the_kept_copy_is_not() -> None:
    kept = FieldBlock({b"access-control-allow-origin": STRANGER, b"access-control-allow-credentials": b"true"})
    assert answered(ONE, STRANGER, Response(200, shared=kept)) == {b"vary": b"origin"}
    assert kept.fields[b"access-control-allow-origin"] == STRANGER


def test_credentials_and_exposed_fields() -> None:
    fields = answered(ONE | {"credentials": True, "expose": ["X-Total", "x-page"]}, APP)
    assert fields[b"access-control-allow-credentials"] == b"true"
    assert fields[b"access-control-expose-headers"] == b"x-total, x-page"


def test_an_allowed_preflight_is_answered() -> None:
    settings = ONE | {"methods": ["PUT"], "headers": ["Content-Type", "X-A"], "max_age": "5m", "credentials": True}
    answer = preflight(settings, method=b"PUT", headers=b"x-a,Content-Type")
    assert answer.status == 204
    assert answer.headers() == {
        b"access-control-allow-origin": APP,
        b"access-control-allow-methods": b"PUT",
        b"access-control-allow-headers": b"content-type, x-a",
        b"access-control-allow-credentials": b"true",
        b"access-control-max-age": b"300",
        b"vary": b"origin, access-control-request-method, access-control-request-headers",
    }


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [(STRANGER, b"POST", None), (APP, b"DELETE", None), (APP, b"post", None), (APP, b"POST", b"x-other")],
)
def test_a_preflight_that_asks_too_much_is_refused_without_cors_fields(
    origin: bytes, method: bytes, headers: bytes | None
) -> None:
    answer = preflight(ONE, origin, method, headers)
    assert answer.status == 403
    assert cors_fields(answer) == set()


def test_stars_allow_any_method_and_field_but_no_garbage() -> None:
    settings = ONE | {"methods": "*", "headers": "*", "credentials": True}
    answer = preflight(settings, method=b"PROPFIND", headers=b"x-any")
    assert answer.get(b"access-control-allow-methods") == b"PROPFIND"
    assert answer.get(b"access-control-allow-headers") == b"x-any"
    assert preflight(settings, method=b"GET, PUT").status == 403
    assert preflight(settings, headers=b"x any").status == 403


def test_private_networks_are_opened_only_if_asked_to() -> None:
    asked = {"access_control_request_private_network": b"true"}
    name = b"access-control-allow-private-network"
    assert preflight(ONE | {"private_network": True}, **asked).get(name) == b"true"
    assert preflight(ONE, **asked).get(name) is None
    assert preflight(ONE | {"private_network": True}).get(name) is None


def test_options_that_are_no_preflight_go_on() -> None:
    cors = stage(Cors, ONE)
    assert cors.request(exchange(headers={b"origin": APP}, method=b"OPTIONS")) is None
    assert cors.request(exchange(headers={b"access-control-request-method": b"PUT"}, method=b"OPTIONS")) is None


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"origins": "*", "credentials": True},
        {"origins": "null", "credentials": True},
        {"origin_regex": ".*", "credentials": True},
        {"origin_regex": "https://.*", "credentials": True},
        {"origins": "https://a.example", "credentials": True, "expose": "*"},
        {"origins": "https://a.example/"},
        {"origins": "https://a.example:443"},
        {"origins": "https://*.com"},
        {"origins": "https://*"},
        {"origins": "a.example"},
        {"origins": "https://a.*.example"},
        {"origin_regex": "("},
        {"origins": "https://a.example", "max_age": "2d"},
    ],
)
def test_dangerous_and_senseless_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Cors, settings)
