"""Security headers: what is added, what wins, and that a hit pays for one look-up."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.http.message import FieldBlock, Response
from middleware.security_headers import SecurityHeaders
from tests.support.stages import exchange, stage

DEFAULTS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"strict-origin-when-cross-origin",
    b"x-frame-options": b"SAMEORIGIN",
}
HSTS = b"strict-transport-security"


def answered(
    settings: dict[str, Any], fields: dict[bytes, bytes] | None = None, *, scheme: bytes = b"http", status: int = 200
) -> dict[bytes, bytes]:
    response = Response(status, dict(fields or {}))
    stage(SecurityHeaders, settings).response(exchange(scheme=scheme), response)
    return response.headers()


def kept(of: SecurityHeaders, fields: dict[bytes, bytes] | None = None) -> FieldBlock:
    """What a cache would hold after the store phase."""
    response = Response(200, dict(fields or {}))
    of.store(exchange(), response)
    return FieldBlock(response.headers())


def test_the_defaults() -> None:
    assert answered({}) == DEFAULTS


def test_hsts_is_for_https_only() -> None:
    assert HSTS not in answered({}, scheme=b"http")
    assert answered({}, scheme=b"https")[HSTS] == b"max-age=31536000"
    assert HSTS not in answered({"hsts": "off"}, scheme=b"https")


def test_hsts_directives() -> None:
    settings = {"hsts": {"max_age": "730d", "include_subdomains": True, "preload": True}}
    assert answered(settings, scheme=b"https")[HSTS] == b"max-age=63072000; includeSubDomains; preload"


def test_every_field_can_be_set() -> None:
    fields = answered(
        {
            "permissions_policy": "camera=()",
            "cross_origin_opener_policy": "same-origin",
            "cross_origin_embedder_policy": "require-corp",
            "cross_origin_resource_policy": "same-site",
            "csp": "default-src 'self';",
            "csp_report_only": "default-src 'none'",
            "frame_ancestors": ["'self'", "https://partner.example"],
            "frame_options": "DENY",
            "referrer_policy": "no-referrer",
        }
    )
    assert fields == {
        b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"no-referrer",
        b"x-frame-options": b"DENY",
        b"permissions-policy": b"camera=()",
        b"cross-origin-opener-policy": b"same-origin",
        b"cross-origin-embedder-policy": b"require-corp",
        b"cross-origin-resource-policy": b"same-site",
        b"content-security-policy": b"default-src 'self'; frame-ancestors 'self' https://partner.example",
        b"content-security-policy-report-only": b"default-src 'none'",
    }


def test_every_field_can_be_left_out() -> None:
    settings = {"hsts": "off", "content_type_options": False, "referrer_policy": None, "frame_options": None}
    assert answered(settings, scheme=b"https") == {}


def test_the_origins_own_values_win_unless_overridden() -> None:
    own = {b"x-frame-options": b"DENY", HSTS: b"max-age=1"}
    fields = answered({}, own, scheme=b"https")
    assert (fields[b"x-frame-options"], fields[HSTS]) == (b"DENY", b"max-age=1")
    fields = answered({"override": True}, own, scheme=b"https")
    assert (fields[b"x-frame-options"], fields[HSTS]) == (b"SAMEORIGIN", b"max-age=31536000")


def test_what_the_origin_runs_on_is_taken_out() -> None:
    own = {b"server": b"nginx/1.22", b"x-powered-by": b"PHP", b"x-aspnet-version": b"4"}
    assert answered({}, own) == DEFAULTS | {b"x-aspnet-version": b"4"}
    assert answered({"remove": ["X-AspNet-Version"]}, own)[b"server"] == b"nginx/1.22"


def test_a_304_gets_no_fields_but_loses_those_to_remove() -> None:
    assert answered({}, {b"server": b"x", b"etag": b'"a"'}, status=304) == {b"etag": b'"a"'}


def test_a_304_with_stored_fields_is_looked_at_once_and_still_loses_what_is_to_be_removed() -> None:
    security = stage(SecurityHeaders)
    clean, telling = FieldBlock({b"etag": b'"a"'}), FieldBlock({b"etag": b'"a"', b"server": b"x"})
    for _ in range(2):
        for block in (clean, telling):
            response = Response(304, shared=block)
            security.response(exchange(), response)
            assert response.headers() == clean.fields
            assert (response.shared is clean) is (block is clean)
        response = Response(304, {b"server": b"of a stage"}, shared=clean)
        security.response(exchange(), response)
        assert response.headers() == clean.fields
    other = stage(SecurityHeaders, {"remove": ["etag"]})
    response = Response(304, shared=clean)
    other.response(exchange(), response)
    assert response.headers() == {}


def test_a_hit_is_looked_at_once_and_changes_nothing() -> None:
    security = stage(SecurityHeaders)
    block = kept(security, {b"server": b"x", b"content-type": b"text/html"})
    assert block.fields == DEFAULTS | {b"content-type": b"text/html"}
    for _ in range(2):
        hit = Response(200, shared=block)
        security.response(exchange(), hit)
        assert hit.wire() == block.wire
        assert hit.shared is block
        assert block.seal is not None


def test_an_equal_value_of_the_origins_own_does_not_slow_hits() -> None:
    security = stage(SecurityHeaders)
    block = kept(security, {b"x-content-type-options": bytes(bytearray(b"nosniff"))})
    security.response(exchange(), Response(200, shared=block))
    assert block.seal is not None


def test_a_kept_copy_without_the_seal_is_checked_and_not_changed() -> None:
    security = stage(SecurityHeaders)
    block = FieldBlock({name: bytes(bytearray(value)) for name, value in kept(security).fields.items()})
    hit = Response(200, shared=block)
    security.response(exchange(), hit)
    assert hit.wire() == block.wire


def test_a_new_configuration_replaces_what_the_old_one_put_into_kept_copies() -> None:
    old = stage(SecurityHeaders, {"permissions_policy": "camera=()"})
    block = kept(old, {b"referrer-policy": b"origin"})
    hit = Response(200, shared=block)
    stage(SecurityHeaders, {"frame_options": "DENY"}).response(exchange(), hit)
    fields = hit.headers()
    assert fields[b"x-frame-options"] == b"DENY"
    assert b"permissions-policy" not in fields
    assert fields[b"referrer-policy"] == b"origin"
    assert block.fields[b"x-frame-options"] == b"SAMEORIGIN"


@pytest.mark.parametrize(
    "settings",
    [
        {"hsts": {"preload": True}},
        {"hsts": {"preload": True, "include_subdomains": True, "max_age": "30d"}},
        {"hsts": {"max_age": -1}},
        {"frame_options": "ALLOWALL"},
        {"csp": "default-src 'self'\r\nx: y"},
        {"remove": ["content-length"]},
        {"referrer_policy": ""},
        {"cps": "default-src 'self'"},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(SecurityHeaders, settings)
