"""What a webhook may be given."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.floods.settings import MeasuresConfig, WebhookConfig


@pytest.mark.parametrize("url", ["https://a.example/hook?x=1", "http://[::1]:8080/", "http://127.0.0.1:9/hook"])
def test_urls_that_can_be_called(url: str) -> None:
    assert WebhookConfig(url=url).url == url


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "a.example/hook"}, "not an address to call"),
        ({"url": "ftp://a.example/"}, "not an address to call"),
        ({"url": "https://"}, "not an address to call"),
        ({"url": "https://a.example:0/"}, "not an address to call"),
        ({"url": "https://a.example:x/"}, "not an address to call"),
        ({"url": "https://a.example/\r\nx"}, "not an address to call"),
        ({"url": "https://[a/"}, "not an address to call"),
        ({"url": "https://user@a.example/"}, "goes into its header"),
        ({"url": "https://:s3cret@a.example/"}, "goes into its header"),
        ({"url": "https://a.example/", "secret": "a\r\nb"}, "printable ASCII"),
        ({"url": "https://a.example/", "header": "a b"}, "header"),
    ],
)
def test_others_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        WebhookConfig.model_validate(settings)


def test_the_secret_shows_nowhere() -> None:
    settings = WebhookConfig.model_validate({"url": "https://a.example/", "secret": "Bearer s3cret"})
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_by_default_nothing_is_done() -> None:
    assert MeasuresConfig().model_dump() == {"unknown": "pass", "origin": "everybody", "worst": False}
