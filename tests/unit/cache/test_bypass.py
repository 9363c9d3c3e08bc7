"""Requests that pass the cache by."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.cache.bypass import bypass
from tests.support.stages import exchange


def passes(target: bytes = b"/", fields: dict[bytes, bytes] | None = None, **reasons: Any) -> bool:
    judge = bypass(**reasons)
    assert judge is not None
    return judge(exchange(target, fields or {}).request)


def test_without_reasons_there_is_nothing_to_ask() -> None:
    assert bypass() is None


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"session=1", True),
        (b"a=1; session=; b=2", True),
        (b"wordpress_logged_in_8f14=x", True),
        (b"session", True),
        (b"xsession=1; sessions=1", False),
        (b"a=session=1", False),
        (b'a="session"', False),
        (b"", False),
    ],
)
def test_a_cookie_counts_by_its_name(field: bytes, expected: bool) -> None:
    assert passes(fields={b"cookie": field}, cookies=("session", "wordpress_logged_in_*")) is expected


def test_no_cookie_field_is_no_cookie() -> None:
    assert not passes(cookies=("*",))


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        (b"1", b"1", True),
        (b"1", b"11", False),
        (b"1", None, False),
        (True, b"", True),
        (True, None, False),
        (False, None, True),
        (False, b"1", False),
    ],
)
def test_a_field_counts_by_its_whole_value_or_its_presence(
    wanted: bytes | bool, value: bytes | None, expected: bool
) -> None:
    fields = {} if value is None else {b"x-preview": value}
    assert passes(fields=fields, headers=((b"x-preview", wanted),)) is expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/?preview", True),
        (b"/?a=1&preview=", True),
        (b"/?%70review=1", True),
        (b"/?draft_7=1", True),
        (b"/?a=preview", False),
        (b"/preview", False),
        (b"/", False),
    ],
)
def test_a_parameter_counts_by_its_decoded_name(target: bytes, expected: bool) -> None:
    assert passes(target, parameters=("preview", "draft_*")) is expected


def test_what_is_too_much_to_look_through_passes() -> None:
    assert passes(b"/?" + b"a&" * 300, parameters=("preview",))
    assert not passes(b"/?" + b"a&" * 200, parameters=("preview",))
    assert passes(fields={b"cookie": b"a=1;" * 5000}, cookies=("session",))


def test_a_path_counts_by_what_it_begins_with() -> None:
    assert passes(b"/admin/x", paths=(b"/cart", b"/admin"))
    assert not passes(b"/x/admin", paths=(b"/cart", b"/admin"))


def test_one_reason_is_enough() -> None:
    reasons: dict[str, Any] = {"paths": (b"/admin",), "cookies": ("session",), "parameters": ("preview",)}
    assert passes(b"/admin", **reasons)
    assert passes(b"/?preview", **reasons)
    assert passes(fields={b"cookie": b"session=1"}, **reasons)
    assert not passes(b"/x?y=1", {b"cookie": b"a=1"}, **reasons)
