"""Pages as configuration writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.http.message import Response
from middleware.error_pages import ErrorPages
from tests.support.stages import exchange, stage


def answered(pages: list[dict[str, Any]], status: int) -> bytes:
    x = exchange(headers={b"accept": b"text/html"})
    x.error = "no_endpoint"
    response = Response(status, {b"content-type": b"text/plain; charset=utf-8"}, b"plain")
    stage(ErrorPages, {"pages": pages}).response(x, response)
    assert isinstance(response.body, bytes)
    return response.body


def test_a_status_goes_before_its_class_and_then_the_first_page() -> None:
    pages = [
        {"status": ["5xx", 404], "html": "first"},
        {"status": [503, "4XX"], "html": "second"},
        {"status": [503, 404], "html": "third"},
    ]
    found = {status: answered(pages, status) for status in (400, 404, 499, 500, 503, 599)}
    assert found == {400: b"second", 404: b"first", 499: b"second", 500: b"first", 503: b"second", 599: b"first"}


def test_statuses_that_are_not_named_have_no_page() -> None:
    assert answered([{"status": 404, "html": "x"}], 405) == b"plain"


def test_a_page_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "error.html"
    file.write_text("<style>p { color: red }</style>ä {status}", encoding="utf-8")
    told = answered([{"status": "5xx", "file": str(file)}], 502)
    assert told == "<style>p { color: red }</style>ä 502".encode()


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "error.html"
    file.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="not UTF-8"):
        answered([{"status": "5xx", "file": str(file)}], 502)


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ({"status": 200, "html": "x"}, "no status of an error"),
        ({"status": "6xx", "html": "x"}, "no status of an error"),
        ({"status": "٤٠٤", "html": "x"}, "no status of an error"),
        ({"status": 4040, "html": "x"}, "no status of an error"),
        ({"status": [], "html": "x"}, "at least 1"),
        ({"status": 404}, "either file or html"),
        ({"status": 404, "html": "x", "file": "y"}, "either file or html"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(page: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        stage(ErrorPages, {"pages": [page]})
