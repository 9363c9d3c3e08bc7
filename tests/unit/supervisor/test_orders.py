"""The body of a purge order: one or many, and what is wrong with it in words."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.supervisor.orders import MOST, purges_of


def test_one_and_many() -> None:
    assert purges_of({"url": "http://a/"}, 1.0) == [("url", b"http://a/", False, 1.0)]
    assert purges_of({"tag": "t", "soft": True}, 1.0) == [("tag", b"t", True, 1.0)]
    assert purges_of({"all": True}, 1.0) == [("all", b"", False, 1.0)]
    many = {"purges": [{"host": "a"}, {"prefix": "https://a/b", "soft": False}, {"all": True, "soft": True}]}
    assert [(purge.kind, purge.value, purge.soft) for purge in purges_of(many, 1.0)] == [
        ("host", b"a", False),
        ("prefix", b"https://a/b", False),
        ("all", b"", True),
    ]


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"url": 3},
        {"url": ""},
        {"url": "/relative"},
        {"url": "http://a/", "tag": "t"},
        {"url": "http://a/", "more": 1},
        {"url": "http://a/", "soft": "yes"},
        {"soft": True},
        {"all": False},
        {"all": ""},
        {"all": "x"},
        {"tag": True},
        {"purges": []},
        {"purges": {"tag": "t"}},
        {"purges": ["t"]},
        {"purges": [{"tag": "t"}], "soft": True},
        {"purges": [{"tag": "t"}, {"tag": ""}]},
        {"purges": [{"purges": []}]},
        {"purges": [{"tag": "t"}] * (MOST + 1)},
    ],
)
def test_what_is_no_order_is_refused(order: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"wanted: \{\"url\"|absolute"):
        purges_of(order, 1.0)
