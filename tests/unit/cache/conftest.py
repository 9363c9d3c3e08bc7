from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgeproxy.cache.entry import Entry
from edgeproxy.cache.policy import Terms

NOW = 1_800_000_000.0


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """Makes a stored answer, 0 seconds old at wall time 1,800,000,000 and fresh for a minute."""

    def make(headers: dict[bytes, bytes] | None = None, body: bytes | None = b"0123456789", **given: Any) -> Entry:
        terms = Terms(
            lifetime=given.pop("lifetime", 60.0),
            initial_age=given.pop("initial_age", 0.0),
            validate=given.pop("validate", False),
            strict=False,
            while_revalidate=given.pop("while_revalidate", 0.0),
            if_error=0.0,
        )
        usual = {"key": b"http://www.example.com/", "vary": (), "variant": b"", "status": 200} | given
        return Entry(**usual, headers=headers or {}, terms=terms, response_time=NOW, body=body)

    return make
