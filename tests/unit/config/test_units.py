"""Durations, sizes, shares, rates and addresses as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.config.units import (
    EndpointValue,
    RateValue,
    format_duration,
    format_share,
    format_size,
    parse_address,
    parse_duration,
    parse_endpoint,
    parse_name_server,
    parse_network,
    parse_rate,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("1m30s", 90),
        ("1h 30m", 5400),
        ("7d", 604_800),
        ("1.5S", 1.5),
        (5, 5),
        (0.25, 0.25),
    ],
)
def test_durations_are_seconds(written: Any, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("512", 512),
        (512, 512),
        ("512B", 512),
        ("32KB", 32_000),
        ("32k", 32_000),
        ("32KiB", 32_768),
        ("1.5 GB", 15 * 10**8),
    ],
)
def test_sizes_are_bytes(written: Any, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(("written", "share"), [("20%", 0.2), ("0.2", 0.2), (0.2, 0.2), (1, 1.0), ("12.5 %", 0.125)])
def test_shares_are_fractions(written: Any, share: float) -> None:
    assert parse_share(written) == share


@pytest.mark.parametrize(
    ("written", "count", "period"),
    [("100/s", 100, 1), ("600 / M", 600, 60), ("0.5/d", 0.5, 86400), ("1234567/h", 1_234_567, 3600)],
)
def test_rates_are_a_count_in_a_period(written: str, count: float, period: float) -> None:
    assert parse_rate(written) == RateValue(count, period)
    assert parse_rate(str(parse_rate(written))) == parse_rate(written)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        (":80", "0.0.0.0:80"),
        ("localhost:0", "127.0.0.1:0"),
        ("[::1]:8443", "[::1]:8443"),
        ("[0:0::1]:8443", "[::1]:8443"),
        ("unix:/run/edge.sock", "unix:/run/edge.sock"),
    ],
)
def test_addresses_to_listen_on_have_one_form(written: str, shown: str) -> None:
    assert str(parse_address(written)) == shown


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("http://10.0.0.5:8000", EndpointValue("http", "10.0.0.5", 8000)),
        ("https://B.example/", EndpointValue("https", "b.example", 443)),
        ("http://[::1]", EndpointValue("http", "::1", 80)),
        ("unix:/run/app.sock", EndpointValue("http", "localhost", 0, "/run/app.sock")),
        (
            "srv+https://_https._tcp.Site.example",
            EndpointValue("https", "site.example", 443, service="_https._tcp.site.example"),
        ),
    ],
)
def test_endpoints_are_scheme_host_and_port(written: str, value: EndpointValue) -> None:
    assert parse_endpoint(written) == value


def test_a_network_may_be_one_address() -> None:
    assert str(parse_network("192.0.2.7")) == "192.0.2.7/32"
    assert parse_network(parse_network("10.0.0.0/8")).prefixlen == 8


@pytest.mark.parametrize(
    ("parse", "wrong"),
    [
        (parse_duration, ["", "soon", "30", "5x", "1m30", "-5s", "1s,", True, None]),
        (parse_size, ["", "big", "5XB", "-1", "1 000", True, 1.5e300, None]),
        (parse_share, ["", "half", "%", "20%%", True]),
        (parse_rate, ["", "100", "0/s", "-1/s", "1/ms", "1/w", 5]),
        (parse_network, ["", "a.example", "10.0.0.1/8", "10.0.0.0/33", None]),
        (
            parse_address,
            ["", "8080", "127.0.0.1", "a.example:80", "::1:80", "[::1]", ":65536", ":-1", "unix:run", ":٣"],
        ),
        (parse_address, ["unix:/" + "x" * 107]),
        (parse_endpoint, ["", "a.example", "ftp://a", "http://", "http://a:0", "http://a:99999", "http://a/path"]),
        (parse_endpoint, ["http://u:p@a", "http://a?x", "http://a#x", "unix:run/app.sock"]),
        (
            parse_endpoint,
            ["srv+http://a.example", "srv+http://_http._udp.a", "srv+http://_http._tcp.a:80", "srv+unix:/a"],
        ),
        (parse_endpoint, ["srv+http://_http._tcp", "srv+srv+http://_http._tcp.a", "srv+http://_http._tcp.a/path"]),
        (
            parse_name_server,
            ["", "a.example", "a.example:53", ":53", "127.0.0.1:0", "127.0.0.1:65536", "unix:/a", None],
        ),
    ],
)
def test_what_is_written_otherwise_is_refused(parse: Any, wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(ValueError):
            print(value, parse(value))


@given(st.integers(0, 10**15))
def test_a_size_that_is_shown_reads_as_the_same(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 10**9))
def test_a_duration_that_is_shown_reads_as_the_same(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, rel=1e-12)


def test_units_are_shown_as_people_write_them() -> None:
    assert [format_duration(value) for value in (0, 0.25, 90, 3600, 86_400)] == ["0s", "250ms", "90s", "1h", "1d"]
    assert [format_size(value) for value in (0, 999, 32_000, 65_536, 10**9)] == ["0", "999", "32KB", "64KiB", "1GB"]
    assert [format_share(value) for value in (0, 0.125, 1)] == ["0%", "12.5%", "100%"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("10.0.0.2", ("10.0.0.2", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_name_servers_are_address_and_port(written: str, value: tuple[str, int]) -> None:
    assert parse_name_server(written) == value
