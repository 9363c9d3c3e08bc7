"""Answers as configuration writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.http.message import Response
from middleware.static import LARGEST, Static
from tests.support.stages import exchange, services, stage


def answered(settings: dict[str, Any], target: bytes = b"/", **more: Any) -> Response | None:
    return stage(Static, {"answers": [settings]}).request(exchange(target, **more))


def test_a_closed_site_answers_503_to_all_but_the_addresses_it_lets_through() -> None:
    closed = {"status": 503, "retry_after": "10m", "body": "Back at noon.\n", "except": ["10.0.0.0/8"]}
    response = answered(closed)
    assert response is not None
    assert (response.status, response.body) == (503, b"Back at noon.\n")
    assert response.headers() == {
        b"content-type": b"text/plain; charset=utf-8",
        b"cache-control": b"no-store",
        b"retry-after": b"600",
    }
    assert answered(closed, client="10.1.2.3") is None


def test_a_file_has_the_type_of_its_name_and_a_validator_of_its_content(tmp_path: Path) -> None:
    file = tmp_path / "icon.png"
    file.write_bytes(b"\x89PNG\xff")
    settings = {"path": "/icon.png", "file": str(file), "fields": {"cache-control": "max-age=60"}}
    response = answered(settings, b"/icon.png")
    assert response is not None
    assert (response.body, response.get(b"content-type")) == (b"\x89PNG\xff", b"image/png")
    assert response.get(b"cache-control") == b"max-age=60"
    etag = response.get(b"etag") or b""
    again = answered(settings, b"/icon.png", headers={b"if-none-match": etag})
    assert again is not None
    assert again.status == 304
    file.write_bytes(b"other")
    other = answered(settings, b"/icon.png", headers={b"if-none-match": etag})
    assert other is not None
    assert other.status == 200


def test_fields_go_over_what_is_usual() -> None:
    response = answered({"status": 404, "type": "text/html", "fields": {"cache-control": "max-age=5", "x-a": "1"}})
    assert response is not None
    assert response.headers() == {b"content-type": b"text/html", b"cache-control": b"max-age=5", b"x-a": b"1"}


def test_no_content_has_no_type() -> None:
    response = answered({"status": 204})
    assert response is not None
    assert (response.body, response.headers()) == (b"", {})


def test_refusals_are_counted() -> None:
    lent = services()
    made = stage(Static, {"answers": [{"status": 503}]}, lent)
    made.request(exchange())
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("static") == 1


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(ValueError, match=f"more than {LARGEST} bytes"):
        answered({"file": str(file)})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"body": "a", "file": "b"}, "body or file"),
        ({"status": 204, "body": "a"}, "no content"),
        ({"status": 199}, "greater than or equal to 200"),
        ({"fields": {"content-length": "3"}}, "cannot be edited"),
        ({"path": "robots.txt"}, "is not a path"),
        ({"type": "a\r\nb"}, "one line"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        answered(settings)
