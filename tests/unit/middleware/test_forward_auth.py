"""The forward_auth stage: its settings, and that it makes no session before it asks."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.pipeline.chain import compile_chain
from middleware.forward_auth import ForwardAuth
from tests.support.stages import exchange, stage

URL = "http://auth.internal:9000/verify"


def test_nothing_is_asked_before_the_verdict_is_awaited() -> None:
    guard = stage(ForwardAuth, {"url": URL})
    assert guard.request(exchange()) is not None
    assert len(compile_chain([guard]).inline) == 1


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "Field required"),
        ({"url": "auth.internal"}, "is not a URL like"),
        ({"url": "ftp://auth.internal/"}, "is not a URL like"),
        ({"url": "http://user:password@auth.internal/"}, "is not a URL like"),
        ({"url": URL, "send": "x-forwarded-for"}, "told to the service at any rate"),
        ({"url": URL, "send": "host"}, "cannot be edited"),
        ({"url": URL, "copy": "authorization"}, "is where credentials come from"),
        ({"url": URL, "answer": "content-length"}, "cannot be edited"),
        ({"url": URL, "timeout": "1m"}, "less than or equal to 30"),
        ({"url": URL, "remember": "2h"}, "less than or equal to 3600"),
        ({"url": URL, "on_error": "ask"}, "'refuse' or 'allow'"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        stage(ForwardAuth, settings)
