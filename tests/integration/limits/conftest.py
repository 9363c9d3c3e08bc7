"""The real `edgeproxy run` with a limit, in front of a site that may be cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.origin import answer
from tests.support.site import Site, config


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/", answer(200, b"kept", b"Cache-Control: max-age=600"))
        yield site


@pytest.fixture
def limited(site: Site) -> Callable[..., dict[str, Any]]:
    """A configuration with this rate limit; keywords are further sections."""

    def make(limit: dict[str, Any], **more: Any) -> dict[str, Any]:
        return config(site.url, **{"log": {"access": False}, "middleware": {"rate_limit": limit}, **more})

    return make
