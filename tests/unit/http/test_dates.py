"""HTTP dates: the three forms that are read, the one that is written, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.dates import format_date, parse_date

NOVEMBER_1994 = 784_111_777.0
IN_2026 = datetime(2026, 11, 21, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "value",
    [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"],
    ids=["imf-fixdate", "rfc850", "asctime"],
)
def test_each_form_of_the_rfc_is_the_same_moment(value: bytes) -> None:
    assert parse_date(value, IN_2026) == NOVEMBER_1994


def test_names_are_read_in_any_case() -> None:
    assert parse_date(b"SUN, 06 nov 1994 08:49:37 gmt") == NOVEMBER_1994


def test_a_wrong_day_of_the_week_does_not_matter() -> None:
    assert parse_date(b"Mon, 06 Nov 1994 08:49:37 GMT") == NOVEMBER_1994


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"0",
        b"-1",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 06 Nov 1994 08:49:37 AEST",
        b"Sun, 06 Nov 1994 08:49:37 +0000",
        b"Sun, 06 Nov 94 08:49:37 GMT",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 8:49:37 GMT",
        b"Sun, 06 Nov 1994 08.49.37 GMT",
        b"Sun, 06-Nov-1994 08:49:37 GMT",
        b"Sun,  06 Nov 1994 08:49:37 GMT",
        b" Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT ",
        b"Sun, 06 Nov 1994 08:49:37 GMT\n",
        b"Foo, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Foo 1994 08:49:37 GMT",
        b"06 Nov 1994 08:49:37 GMT",
        b"Sun, 31 Nov 1994 08:49:37 GMT",
        b"Sun, 00 Nov 1994 08:49:37 GMT",
        b"Sun, 29 Feb 2023 08:49:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT",
        b"Sun, 06 Nov 1994 08:60:37 GMT",
        b"Sun, 06 Nov 1994 08:49:61 GMT",
        b"Sun, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov 6 08:49:37 1994",
        b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        b"x" * 100_000,
    ],
)
def test_what_is_no_http_date_is_none(value: bytes) -> None:
    assert parse_date(value) is None


def test_a_leap_second_is_the_second_after_it() -> None:
    assert parse_date(b"Sat, 31 Dec 2016 23:59:60 GMT") == parse_date(b"Sun, 01 Jan 2017 00:00:00 GMT")


@pytest.mark.parametrize(
    ("value", "year"),
    [
        (b"Sunday, 06-Nov-94 08:49:37 GMT", 1994),
        (b"Sunday, 06-Nov-75 08:49:37 GMT", 2075),
        (b"Sunday, 06-Nov-76 08:49:37 GMT", 2076),
        (b"Sunday, 06-Dec-76 08:49:37 GMT", 1976),
        (b"Sunday, 06-Nov-26 08:49:37 GMT", 2026),
        (b"Saturday, 29-Feb-00 08:49:37 GMT", 2000),
    ],
)
def test_two_digit_years_lie_at_most_fifty_years_ahead(value: bytes, year: int) -> None:
    seconds = parse_date(value, IN_2026)
    assert seconds is not None
    assert datetime.fromtimestamp(seconds, UTC).year == year


def test_a_date_is_written_as_imf_fixdate_cut_to_the_second() -> None:
    assert format_date(NOVEMBER_1994 + 0.999) == b"Sun, 06 Nov 1994 08:49:37 GMT"


def test_dates_outside_four_digit_years_are_written_as_the_nearest_inside() -> None:
    assert format_date(1e15) == b"Fri, 31 Dec 9999 23:59:59 GMT"
    assert format_date(-1e15) == b"Mon, 01 Jan 0001 00:00:00 GMT"


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_every_date_written_is_read_back(seconds: int) -> None:
    assert parse_date(format_date(seconds)) == seconds


@given(st.binary(max_size=40))
def test_no_input_raises(value: bytes) -> None:
    parse_date(value)
