"""What is asked for as numbers, the same from a request and from a line of the log."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.features.log import LogReader, Record
from edgeproxy.features.request import LENGTH, NAMES, of_record, vector
from edgeproxy.http.message import Request
from edgeproxy.observe.access_log import formatter
from tests.support.stages import exchange


def numbers(target: bytes, method: bytes = b"GET", **fields: bytes) -> dict[str, float]:
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    found = vector(Request(method, target, headers))
    assert (found.dtype, found.shape) == (np.dtype(np.float32), (LENGTH,))
    return dict(zip(NAMES, map(float, found), strict=True))


def test_names_stand_for_one_number_each() -> None:
    assert len(set(NAMES)) == LENGTH


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        (b"/.git/config", "path: a hidden file", 1),
        (b"/a.b/config", "path: a hidden file", 0),
        (b"/login.PHP", "path: a script", 1),
        (b"/a.phpx", "path: a script", 0),
        (b"/a//b", "path: dots or slashes in a row", 1),
        (b"/%2e%2e/%2fetc", "path: 8ths of escapes", 3 / 8),
        (b"/a/b/c/d", "path: 16ths of segments", 4 / 16),
        (b"/2026", "path: share of digits", 4 / 5),
        (b"/?q=%3Cscript%3E", "query: brackets or quotes", 1),
        (b"/?q=script", "query: brackets or quotes", 0),
        (b"/?u=http://a.example/", "query: a URL or a path", 1),
        (b"/?a=1&b=2&c", "query: 16ths of parameters", 3 / 16),
        (b"/?a=" + b"x" * 64, "query: 128ths of bytes in the longest value", 0.5),
    ],
)
def test_the_shape_of_a_target(target: bytes, name: str, value: float) -> None:
    assert numbers(target)[name] == pytest.approx(value)


def test_methods_agents_and_referrers() -> None:
    found = numbers(b"/", b"PROPFIND", user_agent=b"x" * 64, referer=b"/")
    assert (found["method: another"], found["has an agent"], found["has a referrer"]) == (1, 1, 1)
    assert found["agent: 256ths of bytes"] == 0.25
    assert numbers(b"/", b"DELETE")["method: PUT, PATCH or DELETE"] == 1


def test_a_section_nobody_asks_for_lies_apart() -> None:
    place = "path: its first segment, hashed"
    assert numbers(b"/assets/a.css")[place] == numbers(b"/assets/b.js")[place] != numbers(b"/console/")[place]


def test_values_that_logs_mask_do_not_count() -> None:
    secret = numbers(b"/?token=" + b"x" * 90)
    assert secret == numbers(b"/?token=***") == numbers(b"/?token=%3C%3E")
    assert secret != numbers(b"/?other=" + b"x" * 90)


@pytest.mark.parametrize("form", ["json", "combined"])
@pytest.mark.parametrize(
    ("target", "method"),
    [
        (b"/", b"GET"),
        (b"/a/b.php?x=%3C&token=secret&page=2", b"POST"),
        (b"/caf%C3%A9/?q=[1]", b"HEAD"),
        (b"/x", b"BREW"),
    ],
)
def test_a_line_of_the_log_has_the_numbers_of_its_request(form: str, target: bytes, method: bytes) -> None:
    fields = {b"user-agent": b'a "quoted" agent', b"referer": b"https://a.example/"}
    x = exchange(target, method=method, headers=fields)
    x.status, x.ended = 200, x.started + 0.1
    line = formatter(form)([x], 0.0)  # type: ignore[arg-type]
    records = list(LogReader(io.BufferedReader(io.BytesIO(line))))  # type: ignore[arg-type]
    assert len(records) == 1
    assert of_record(records[0]).tolist() == vector(x.request).tolist()


@given(
    st.binary(max_size=20), st.binary(max_size=3_000), st.dictionaries(st.binary(max_size=9), st.binary(max_size=300))
)
def test_any_request_has_numbers_from_0_to_1(method: bytes, target: bytes, fields: dict[bytes, bytes]) -> None:
    found = vector(Request(method, target, fields))
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


@given(st.text(max_size=300), st.text(max_size=20))
def test_any_record_has_numbers_from_0_to_1(target: str, method: str) -> None:
    target = target.encode("utf-8", "backslashreplace").decode()
    found = of_record(Record(0.0, "", method.encode("utf-8", "backslashreplace").decode(), target, 200, 0))
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
