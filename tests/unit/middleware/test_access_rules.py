"""Rules that let in or refuse."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.pipeline.exchange import NOWHERE, Exchange, Place
from middleware.access_rules import AccessRules
from middleware.reputation import Reputation
from tests.support.stages import exchange, services, stage


def status(settings: dict[str, Any], x: Exchange) -> int | None:
    response = stage(AccessRules, settings).request(x)
    return None if response is None else response.status


def test_without_rules_everyone_comes_in() -> None:
    assert status({}, exchange()) is None


def test_the_default_can_be_to_refuse() -> None:
    assert status({"default": "deny"}, exchange()) == 403
    assert status({"default": "deny", "rules": [{"allow": {}}]}, exchange()) is None


@pytest.mark.parametrize(
    ("client", "expected"),
    [("192.0.2.7", 403), ("192.0.3.7", None), ("2001:db8::1", 403), ("::ffff:192.0.2.9", 403), ("", None)],
)
def test_clients_are_denied_by_network(client: str, expected: int | None) -> None:
    rules = {"rules": [{"deny": {"client": ["192.0.2.0/24", "2001:db8::/32"]}}]}
    assert status(rules, exchange(client=client)) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [(b"/admin", 403), (b"/admin/x", 403), (b"//admin", 403), (b"/a//b", 403), (b"/adm", None), (b"/x/admin", None)],
)
def test_paths_are_denied_by_prefix(path: bytes, expected: int | None) -> None:
    assert status({"rules": [{"deny": {"path": ["/admin", "/a/b"]}}]}, exchange(path)) == expected


def test_methods_are_denied() -> None:
    rules = {"rules": [{"deny": {"method": ["delete", "PUT"]}}]}
    assert [status(rules, exchange(method=method)) for method in (b"DELETE", b"PUT", b"GET")] == [403, 403, None]


@pytest.mark.parametrize(
    ("condition", "headers", "expected"),
    [
        (True, {b"x-key": b"anything"}, 403),
        (True, {}, None),
        (False, {}, 403),
        (False, {b"x-key": b"a"}, None),
        ("a", {b"x-key": b"a"}, 403),
        ("a", {b"x-key": b"ab"}, None),
        ("a", {}, None),
    ],
)
def test_fields_are_present_absent_or_equal(
    condition: str | bool, headers: dict[bytes, bytes], expected: int | None
) -> None:
    assert status({"rules": [{"deny": {"header": {"X-Key": condition}}}]}, exchange(headers=headers)) == expected


def test_all_conditions_of_a_rule_must_hold() -> None:
    rules = {"rules": [{"deny": {"client": "192.0.2.7", "path": "/api", "method": "POST"}}]}
    assert status(rules, exchange(b"/api", method=b"POST")) == 403
    assert status(rules, exchange(b"/api", method=b"GET")) is None
    assert status(rules, exchange(b"/", method=b"POST")) is None
    assert status(rules, exchange(b"/api", method=b"POST", client="192.0.2.8")) is None


def test_the_first_rule_that_matches_decides() -> None:
    rules = [
        {"allow": {"client": "192.0.2.7"}},
        {"deny": {"client": "192.0.2.0/24"}},
        {"allow": {"client": "192.0.2.8"}},
    ]
    assert status({"rules": rules}, exchange(client="192.0.2.7")) is None
    assert status({"rules": rules}, exchange(client="192.0.2.8")) == 403


def test_a_rule_for_a_path_lets_through_what_a_later_one_denies() -> None:
    settings = {"rules": [{"allow": {"path": "/health"}}, {"allow": {"client": "10.0.0.0/8"}}], "default": "deny"}
    assert status(settings, exchange(b"/health")) is None
    assert status(settings, exchange(b"/")) == 403
    assert status(settings, exchange(b"/", client="10.1.2.3")) is None


def test_one_clients_verdict_is_not_anothers() -> None:
    rules = stage(AccessRules, {"rules": [{"deny": {"client": "192.0.2.7"}}]})
    for _ in range(2):
        assert rules.request(exchange(client="192.0.2.7")) is not None
        assert rules.request(exchange(client="192.0.2.8")) is None


def test_a_refusal_has_the_configured_status_is_not_stored_and_is_counted() -> None:
    lent = services()
    response = stage(AccessRules, {"default": "deny", "status": 404}, lent).request(exchange())
    assert response is not None
    assert (response.status, response.get(b"cache-control")) == (404, b"no-store")
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("access_rules") == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"rules": [{}]},
        {"rules": [{"allow": {}, "deny": {}}]},
        {"rules": [{"deny": {"clients": "10.0.0.0/8"}}]},
        {"rules": [{"deny": {"client": "10.0.0.1/8"}}]},
        {"rules": [{"deny": {"path": "admin"}}]},
        {"status": 200},
    ],
)
def test_bad_rules_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(AccessRules, settings)


BERLIN = Place("DE", "BE", "Berlin", 64496, "Example")


@pytest.mark.parametrize(
    ("condition", "place", "expected"),
    [
        ({"country": "de"}, BERLIN, 403),
        ({"country": ["AT", "DE"]}, BERLIN, 403),
        ({"country": "AT"}, BERLIN, None),
        ({"country": [False]}, Place("NO"), 403),  # as YAML 1.1 reads NO
        ({"country": "unknown"}, NOWHERE, 403),
        ({"country": "unknown"}, BERLIN, None),
        ({"asn": "AS64496"}, BERLIN, 403),
        ({"asn": [64496, 64497]}, BERLIN, 403),
        ({"asn": 64497}, BERLIN, None),
        ({"asn": 0}, NOWHERE, 403),
        ({"country": "DE", "asn": 64497}, BERLIN, None),
    ],
)
def test_clients_are_denied_by_place(condition: dict[str, Any], place: Place, expected: int | None) -> None:
    x = exchange()
    x.place = place
    assert status({"rules": [{"deny": condition}]}, x) == expected


@pytest.mark.parametrize(
    ("feeds", "expected"), [((), None), (("drop",), 403), (("own", "drop"), 403), (("own",), None)]
)
def test_clients_are_denied_by_feed(feeds: tuple[str, ...], expected: int | None) -> None:
    x = exchange()
    x.feeds = feeds
    assert status({"rules": [{"deny": {"feed": ["drop", "level1"]}}]}, x) == expected


def test_a_client_that_moves_is_judged_anew() -> None:
    """Which rules concern an address is remembered; where it is and what is said of it changes."""
    rules = stage(AccessRules, {"rules": [{"deny": {"client": "192.0.2.0/24", "country": "DE"}}]})
    for place, refused in ((BERLIN, True), (Place("AT"), False), (BERLIN, True)):
        x = exchange()
        x.place = place
        assert (rules.request(x) is not None) is refused


@pytest.mark.parametrize(
    ("match", "beside", "said"),
    [
        ({"country": "DE"}, (), "the geo stage"),
        ({"asn": 1}, (), "the geo stage"),
        ({"country": "DE", "asn": 1}, ("geo",), ""),
        ({"feed": "drop"}, (), "feed 'drop'"),
        ({"feed": ["drop", "dorp"]}, ("reputation",), "feed 'dorp'"),
        ({"feed": "drop"}, ("reputation",), ""),
        ({"client": "10.0.0.0/8"}, (), ""),
    ],
)
def test_it_says_which_stages_its_rules_need(match: dict[str, Any], beside: tuple[str, ...], said: str) -> None:
    reputation = stage(Reputation, {"feeds": [{"name": "drop", "url": "https://lists.example/x"}]})
    missing = stage(AccessRules, {"rules": [{"deny": match}]}).misses(dict.fromkeys(beside, reputation))
    assert said in missing
    assert bool(missing) is bool(said)


@pytest.mark.parametrize(
    "match", [{"country": "Germany"}, {"country": "D1"}, {"asn": "ASX"}, {"asn": 2**32}, {"asn": -1}, {"feed": "a b"}]
)
def test_bad_places_and_feeds_are_refused(match: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(AccessRules, {"rules": [{"deny": match}]})


@pytest.mark.parametrize(("country", "expected"), [("DE", None), ("FR", 403)])
def test_one_country_can_be_let_in_and_all_others_kept_out(country: str, expected: int | None) -> None:
    x = exchange()
    x.place = Place(country)
    assert status({"rules": [{"allow": {"country": "DE"}}], "default": "deny"}, x) == expected
