"""What requests and answers cost."""

from __future__ import annotations

import pytest

from edgeproxy.limits.prices import Prices, parse_row


def table(**rows: float) -> Prices:
    return Prices({parse_row(row): cost for row, cost in rows.items()})


def test_the_longest_path_decides_then_the_method_then_the_default() -> None:
    prices = table(
        **{"post": 5, "/search": 10, "GET /search": 2, "/search/all": 20, "delete /search": 7, "default": 0.5}
    )
    asked = {
        (b"GET", b"/"): 0.5,
        (b"POST", b"/"): 5,
        (b"POST", b"/search"): 10,
        (b"GET", b"/searching"): 2,
        (b"DELETE", b"/search"): 7,
        (b"GET", b"/search/all"): 20,
        (b"get", b"/"): 0.5,
    }
    assert {request: prices.request(*request) for request in asked} == asked
    assert prices.most() == 20


def test_statuses_cost_on_top_and_one_overrides_its_class() -> None:
    prices = table(**{"4xx": 2, "401": 10, "404": 0})
    assert [prices.answer(status) for status in (200, 400, 401, 404, 499, 500)] == [0, 2, 10, 0, 2, 0]
    assert prices.request(b"GET", b"/") == 1


def test_what_the_table_needs_is_known_beforehand() -> None:
    assert table(default=1).even
    assert not table(default=2).even
    assert not table(POST=1).even
    assert (table(**{"404": 1}).later, table(POST=1).later) == (True, False)
    assert not table(**{"404": 1}).even


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("default", "default"),
        (" post ", "POST"),
        ("post  /a", "POST /a"),
        ("/A/b", "/A/b"),
        ("404", "404"),
        ("4XX", "4xx"),
        ("M-SEARCH", "M-SEARCH"),
        ("/ü", "/ü"),
    ],
)
def test_rows(text: str, row: str) -> None:
    assert parse_row(text) == row


@pytest.mark.parametrize(
    "text",
    ["", "600", "4x", "40", "4xx /a", "404 /a", "POST search", "/a b", "/a?b", "/%61", "/#", "GET POST", "po:st"],
)
def test_what_has_no_cost_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is nothing that costs; write a method"):
        parse_row(text)
