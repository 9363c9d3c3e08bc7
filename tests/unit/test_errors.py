"""The table of errors is whole, and an error says what its kind means."""

from __future__ import annotations

import pytest

from edgeproxy.errors import EdgeError, Kind, meaning

# RFC 9209 §2.3, the types of the HTTP Proxy Error Types registry that are used here.
REGISTERED = {
    "connection_limit_reached",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "destination_not_found",
    "destination_unavailable",
    "dns_error",
    "http_protocol_error",
    "http_response_header_section_size",
    "http_response_incomplete",
    "http_response_timeout",
    "proxy_internal_error",
    "proxy_loop_detected",
    "tls_certificate_error",
}


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
def test_every_kind_has_a_meaning(kind: Kind) -> None:
    means = meaning(kind)
    assert 400 <= means.status <= 599
    assert means.text.endswith(".")
    assert means.token is None or means.token in REGISTERED


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
def test_only_what_the_origin_did_may_be_tried_again(kind: Kind) -> None:
    """What the client or this proxy did is the same at every other endpoint."""
    means = meaning(kind)
    assert not means.retryable or (means.status in {502, 504} and means.token is not None)


def test_an_error_takes_what_its_kind_says_unless_it_knows_better() -> None:
    error = EdgeError(Kind.CONNECT_REFUSED, "origin", "10.0.0.1:80")
    assert (error.status, error.retryable, str(error)) == (502, True, "10.0.0.1:80")
    assert EdgeError(Kind.CONNECT_REFUSED, "origin", retryable=False).retryable is False
    assert EdgeError(Kind.BODY_TOO_LARGE, "client", retryable=True).retryable is True


def test_an_error_without_detail_says_what_its_kind_means() -> None:
    error = EdgeError(Kind.NO_ROUTE, "edge")
    assert str(error) == meaning(Kind.NO_ROUTE).text
    assert error.detail == ""
    assert repr(EdgeError(Kind.DNS, "origin", "a.example")) == "<EdgeError dns from origin: a.example>"
