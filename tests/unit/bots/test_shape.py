"""Shapes of heads: what makes one, what does not, and whose order is whose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeproxy.bots import shape
from edgeproxy.bots.shape import Shapes
from tests.support.stages import CHROME

# As they were seen: a page, a script, a form, a worker, a WebSocket; and a page and a film of Firefox.
CHROMIUM = [
    (
        "Host Connection sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform Upgrade-Insecure-Requests User-Agent Accept "
        "Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-User Sec-Fetch-Dest Accept-Encoding Accept-Language Cookie"
    ),
    (
        "Host Connection sec-ch-ua-platform User-Agent sec-ch-ua sec-ch-ua-mobile Accept Sec-Fetch-Site Sec-Fetch-Mode "
        "Sec-Fetch-Dest Referer Accept-Encoding Accept-Language"
    ),
    (
        "Host Connection Content-Length Cache-Control sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform "
        "Upgrade-Insecure-Requests Content-Type User-Agent Origin Accept Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-Dest "
        "Referer Accept-Encoding Accept-Language Cookie"
    ),
    (
        "Host Connection Accept Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-Dest Referer User-Agent Accept-Encoding "
        "Accept-Language Cookie"
    ),
    (
        "Host Connection Pragma Cache-Control User-Agent Upgrade Origin Sec-WebSocket-Version Accept-Encoding "
        "Accept-Language Cookie Sec-WebSocket-Key Sec-WebSocket-Extensions"
    ),
]
GECKO = [
    (
        "Host User-Agent Accept Accept-Language Accept-Encoding Connection Upgrade-Insecure-Requests Sec-Fetch-Dest "
        "Sec-Fetch-Mode Sec-Fetch-Site Priority"
    ),
    (
        "Host User-Agent Accept Accept-Language Range Connection Referer Cookie Sec-Fetch-Dest Sec-Fetch-Mode "
        "Sec-Fetch-Site Accept-Encoding Priority"
    ),
]
PROXIED = "X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host Via X-Request-Id"


def head(names: str) -> dict[bytes, bytes]:
    return dict.fromkeys(names.lower().encode().split(), b"x")


@pytest.mark.parametrize("names", CHROMIUM)
def test_chromium_writes_like_itself_and_unlike_firefox(names: str) -> None:
    for told in (names, f"{names} {PROXIED}"):
        assert Shapes().of(head(told)).unlike == {"gecko"}


@pytest.mark.parametrize("names", GECKO)
def test_firefox_writes_like_itself_and_unlike_chromium(names: str) -> None:
    assert Shapes().of(head(names)).unlike == {"chromium"}


@pytest.mark.parametrize(
    "names",
    [
        "Host User-Agent Accept-Encoding Accept Connection",  # requests
        "Host Accept Accept-Encoding Connection User-Agent",  # httpx
        "Accept-Encoding Host User-Agent Connection",  # urllib
    ],
)
def test_libraries_with_a_borrowed_agent_write_unlike_chromium(names: str) -> None:
    assert "chromium" in Shapes().of(head(names)).unlike


def test_a_shape_is_twelve_digits_and_of_names_alone() -> None:
    shapes = Shapes()
    text = shapes.of(CHROME).text
    assert len(text) == 12
    assert int(text, 16) > 0
    assert shapes.of(dict.fromkeys(CHROME, b"other")).text == text
    assert Shapes().of(CHROME).text == text


def test_order_and_set_make_another_shape() -> None:
    shapes = Shapes()
    texts = {shapes.of(head(names)).text for names in ("Host Accept", "Accept Host", "Host Accept DNT", "Host")}
    assert len(texts) == 4


@pytest.mark.parametrize("name", sorted(shape._PASSING))
def test_what_comes_and_goes_makes_none(name: bytes) -> None:
    plain = {b"host": b"", b"accept": b""}
    assert Shapes().of(plain | {name: b""}).text == Shapes().of({name: b""} | plain).text == Shapes().of(plain).text


def test_a_flood_of_shapes_is_bounded() -> None:
    shapes = Shapes()
    for number in range(10_000):
        shapes.of({b"x-%d" % number: b""})
    shapes.of({b"x" * 10_000: b""})
    assert len(shapes._known) <= 4096


def test_the_orders_name_what_they_were_seen_of() -> None:
    told = json.loads(Path(shape.__file__).with_name("data").joinpath("shapes.json").read_text())
    assert all(seen["measured"] and all(len(chain) > 1 for chain in seen["orders"]) for seen in told.values())
