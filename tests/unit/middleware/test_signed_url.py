"""The signed_url stage: its settings, and what goes downstream."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.http.message import FieldBlock, Response
from edgeproxy.identity.urls import Names, grant
from middleware.signed_url import SignedUrl, private
from tests.support.stages import exchange, services, stage

SECRET = "0123456789abcdef0123456789abcdef"
NAMES = Names("expires", "keyid", "signature", "folder")
QUERY = grant(SECRET.encode(), NAMES, "a", b"/v", b"", 1_800_000_060, b"", folder=False).encode()


def test_a_signed_url_passes_and_a_refusal_is_counted() -> None:
    lent = services()
    guard = stage(SignedUrl, {"secrets": {"a": SECRET}}, lent)
    assert guard.request(exchange(b"/v?" + QUERY)) is None
    answer = guard.request(exchange(b"/v"))
    assert answer is not None
    assert (answer.status, answer.body) == (403, b"403 This link is not signed.\n")
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("signed_url") == 1


def test_the_parameters_may_have_other_names() -> None:
    names = Names("e", "k", "s", "p")
    query = grant(SECRET.encode(), names, "a", b"/v", b"", 1_800_000_060, b"", folder=False).encode()
    settings = dict(zip(["expires", "key", "signature", "folder"], names.all, strict=True))
    guard = stage(SignedUrl, {"secrets": {"a": SECRET}} | {f"{name}_parameter": to for name, to in settings.items()})
    assert guard.request(exchange(b"/v?" + query)) is None


def test_a_client_network_is_as_wide_as_configured() -> None:
    query = grant(SECRET.encode(), NAMES, "a", b"/v", b"", 1_800_000_060, b"192.0.2.0/24", folder=False).encode()
    guard = stage(SignedUrl, {"secrets": {"a": SECRET}, "client": True, "ipv4_prefix": 24})
    assert guard.request(exchange(b"/v?" + query, client="192.0.2.99")) is None
    assert guard.request(exchange(b"/v?" + query, client="192.0.3.99")) is not None


def test_observing_takes_nothing_out_of_the_request() -> None:
    x = exchange(b"/v?" + QUERY)
    assert stage(SignedUrl, {"secrets": {"a": SECRET}, "mode": "observe"}).request(x) is None
    assert x.request.target == b"/v?" + QUERY


def test_what_goes_downstream_stays_as_it_is_unless_it_is_to_be_private() -> None:
    assert not stage(SignedUrl, {"secrets": {"a": SECRET}}).uses("response")
    guard = stage(SignedUrl, {"secrets": {"a": SECRET}, "downstream": "private"})
    assert guard.uses("response")
    kept = FieldBlock({b"cache-control": b"public, max-age=60", b"cdn-cache-control": b"max-age=60"})
    response = Response(200, shared=kept)
    guard.response(exchange(), response)
    assert response.headers() == {b"cache-control": b"private, max-age=60"}
    assert kept.fields[b"cache-control"] == b"public, max-age=60"


@pytest.mark.parametrize(
    ("told", "becomes"),
    [
        (b"", b"private"),
        (b"max-age=60, s-maxage=600", b"private, max-age=60"),
        (b'private="set-cookie", no-cache', b"private, no-cache"),
        (b"PUBLIC , Max-Age=1,proxy-revalidate", b"private, Max-Age=1"),
        (b"no-store", b"private, no-store"),
    ],
)
def test_private(told: bytes, becomes: bytes) -> None:
    assert private(told) == becomes


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "Field required"),
        ({"secrets": {}}, "at least 1"),
        ({"secrets": {"a": "short"}}, "a secret has at least 32 bytes"),
        ({"secrets": {"a b": SECRET}}, "match pattern"),
        ({"secrets": {"a": SECRET}, "key_parameter": "expires"}, "four names"),
        ({"secrets": {"a": SECRET}, "unsigned": "a*b"}, "match pattern"),
        ({"secrets": {"a": SECRET}, "signature_parameter": "a=b"}, "match pattern"),
        ({"secrets": {"a": SECRET}, "leeway": "1h"}, "less than or equal to 300"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        stage(SignedUrl, settings)


def test_secrets_are_not_shown() -> None:
    guard = stage(SignedUrl, {"secrets": {"a": SECRET}})
    assert SECRET not in repr(guard.config) + repr(guard.request)
