"""The section of Redis: what is understood, and what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.config.redis import RedisConfig

HOST = "redis://cache.internal:6379/0"


@pytest.mark.parametrize(
    ("given", "urls"),
    [
        (HOST, (HOST,)),
        ({"url": HOST}, (HOST,)),
        ({"url": "rediss://user@cache.internal"}, ("rediss://user@cache.internal",)),
        ({"url": "unix:///run/redis.sock?db=1"}, ("unix:///run/redis.sock?db=1",)),
        ({"url": [HOST, "redis://other"], "topology": "cluster"}, (HOST, "redis://other")),
        ({"url": [HOST], "topology": "sentinel", "master": "site"}, (HOST,)),
    ],
)
def test_addresses(given: Any, urls: tuple[str, ...]) -> None:
    assert RedisConfig.model_validate(given).settings().urls == urls


def test_everything_reaches_the_tier() -> None:
    given = {"url": HOST, "password": "secret", "prefix": "a:", "timeout": "5ms", "connections": 3}
    settings = RedisConfig.model_validate({**given, "largest": "2MB", "longest": "1h"}).settings()
    assert settings._asdict() == {
        "urls": (HOST,),
        "topology": "single",
        "master": "",
        "password": "secret",
        "ca": None,
        "prefix": "a:",
        "timeout": 0.005,
        "connections": 3,
        "largest": 2_000_000,
        "longest": 3600.0,
    }
    assert "secret" not in repr(RedisConfig.model_validate(given))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": []}, "at least 1"),
        ({"url": "http://cache.internal"}, "must be like redis://"),
        ({"url": "redis://"}, "must be like redis://"),
        ({"url": "redis://host:port"}, "must be like redis://"),
        ({"url": HOST + "?socket_timeout=9"}, "must be like redis://"),
        ({"url": "unix:"}, "must be like redis://"),
        ({"url": [HOST, HOST]}, "say which in topology"),
        ({"url": HOST, "topology": "sentinel"}, "needs master"),
        ({"url": HOST, "master": "site"}, "needs master"),
        ({"url": "redis://host/1", "topology": "cluster"}, "one database"),
        ({"url": "unix:///run/redis.sock", "topology": "cluster"}, "no Unix sockets"),
        ({"url": HOST, "prefix": "{a}:"}, "no beginning of keys"),
        ({"url": HOST, "timeout": "1m"}, "less than or equal to 5"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        RedisConfig.model_validate(given)
