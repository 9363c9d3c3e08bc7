"""The client's address, from the connection or from trusted proxies."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgeproxy.pipeline.exchange import Exchange
from middleware.client_address import ClientAddress
from tests.support.stages import exchange, stage

PROXIES = {"trusted": ["10.0.0.0/8", "2001:db8:ffff::/48"]}
FORGED = {
    b"forwarded": b"for=127.0.0.1;proto=https;host=evil",
    b"x-forwarded-for": b"127.0.0.1",
    b"x-forwarded-proto": b"https",
    b"x-forwarded-host": b"evil",
    b"x-forwarded-port": b"443",
    b"x-forwarded-prefix": b"/evil",
    b"x-real-ip": b"127.0.0.1",
}


def passed(settings: dict[str, object], headers: dict[bytes, bytes], client: str = "192.0.2.7") -> Exchange:
    x = exchange(headers=dict(headers), client=client)
    stage(ClientAddress, settings).request(x)
    return x


@pytest.mark.parametrize("settings", [{}, PROXIES, {"header": "forwarded"}])
def test_what_a_stranger_claims_is_dropped_and_the_truth_told(settings: dict[str, object]) -> None:
    x = passed(settings, FORGED | {b"accept": b"*/*"})
    told = dict(x.request.headers)
    told.pop(b"forwarded", None)
    assert (x.client, x.request.scheme) == ("192.0.2.7", b"http")
    assert told == {
        b"accept": b"*/*",
        b"x-forwarded-for": b"192.0.2.7",
        b"x-forwarded-proto": b"http",
        b"x-forwarded-host": b"www.example.com",
    }
    assert b"127.0.0.1" not in x.request.headers.get(b"forwarded", b"")


def test_a_trusted_proxy_names_the_client_and_is_added_to_the_chain() -> None:
    x = passed(PROXIES, {b"x-forwarded-for": b"203.0.113.5, 198.51.100.9, 10.1.1.1"}, "10.0.0.1")
    assert x.client == "198.51.100.9"
    assert x.request.headers[b"x-forwarded-for"] == b"203.0.113.5, 198.51.100.9, 10.1.1.1, 10.0.0.1"


def test_without_a_chain_a_trusted_proxy_is_the_client_itself() -> None:
    x = passed(PROXIES, {}, "10.0.0.1")
    assert x.client == "10.0.0.1"
    assert x.request.headers[b"x-forwarded-for"] == b"10.0.0.1"


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [(b"https", b"https"), (b"HTTPS", b"https"), (b"http, https", b"https"), (b"ftp", b"http"), (b"", b"http")],
)
def test_the_scheme_comes_from_a_trusted_proxy(proto: bytes, scheme: bytes) -> None:
    x = passed(PROXIES, {b"x-forwarded-for": b"198.51.100.9", b"x-forwarded-proto": proto}, "10.0.0.1")
    assert x.request.scheme == x.request.headers[b"x-forwarded-proto"] == scheme


def test_a_trusted_proxys_host_is_passed_on() -> None:
    x = passed(PROXIES, {b"x-forwarded-host": b"shop.example"}, "10.0.0.1")
    assert x.request.headers[b"x-forwarded-host"] == b"shop.example"


def test_only_the_configured_field_is_read_and_the_others_are_dropped() -> None:
    headers = {b"x-forwarded-for": b"198.51.100.9", b"forwarded": b"for=127.0.0.1", b"x-real-ip": b"127.0.0.1"}
    x = passed(PROXIES, headers, "10.0.0.1")
    assert x.client == "198.51.100.9"
    assert b"forwarded" not in x.request.headers
    assert b"x-real-ip" not in x.request.headers
    x = passed(PROXIES | {"header": "forwarded"}, headers, "10.0.0.1")
    assert x.client == "127.0.0.1"
    assert x.request.headers[b"x-forwarded-for"] == b"127.0.0.1"


def test_forwarded_gives_client_scheme_and_host_and_is_continued() -> None:
    chain = b'for=203.0.113.5, for="[2001:db8::9]:44";proto=https;host=shop.example, for=10.1.1.1;proto=http'
    x = passed(PROXIES | {"header": "forwarded"}, {b"forwarded": chain}, "10.0.0.1")
    assert (x.client, x.request.scheme) == ("2001:db8::9", b"https")
    assert x.request.headers == {
        b"forwarded": chain + b", for=10.0.0.1;proto=https;host=shop.example",
        b"x-forwarded-for": b"2001:db8::9",
        b"x-forwarded-proto": b"https",
        b"x-forwarded-host": b"shop.example",
    }


def test_forwarded_can_be_told_beside_the_x_fields() -> None:
    x = passed({"forwarded": True}, {}, "2001:db8::7")
    assert x.request.headers[b"forwarded"] == b'for="[2001:db8::7]";proto=http;host=www.example.com'
    x = passed(PROXIES | {"forwarded": True}, {b"x-forwarded-for": b"198.51.100.9"}, "10.0.0.1")
    assert x.request.headers[b"forwarded"] == b"for=198.51.100.9;proto=http;host=www.example.com"


def test_a_malformed_entry_ends_the_walk_at_the_last_good_hop() -> None:
    x = passed(PROXIES, {b"x-forwarded-for": b"203.0.113.5, <script>, 10.1.1.1"}, "10.0.0.1")
    assert x.client == "10.1.1.1"


def test_an_ipv4_client_on_an_ipv6_socket_is_an_ipv4_client() -> None:
    x = passed(PROXIES, {b"x-forwarded-for": b"198.51.100.9"}, "::ffff:10.0.0.1")
    assert x.client == "198.51.100.9"
    assert x.request.headers[b"x-forwarded-for"] == b"198.51.100.9, 10.0.0.1"


def test_a_unix_socket_is_trusted_only_if_said_so() -> None:
    headers = {b"x-forwarded-for": b"198.51.100.9"}
    assert passed({"trusted": "unix"}, headers, "").client == "198.51.100.9"
    x = passed(PROXIES, headers, "")
    assert x.client == ""
    assert b"x-forwarded-for" not in x.request.headers


def test_a_trusted_entry_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"10\.0\.0\.0/8"):
        stage(ClientAddress, {"trusted": ["proxy.example"]})


@pytest.mark.parametrize("name", [b"x-original-url", b"x-rewrite-url", b"x-host", b"true-client-ip", b"client-ip"])
def test_other_makers_names_for_the_same_are_dropped_from_strangers(name: bytes) -> None:
    assert name not in passed({}, {name: b"/admin"}).request.headers
    assert name in passed(PROXIES, {name: b"/admin"}, "10.0.0.1").request.headers
