"""The compression stage's settings: what levels there are, and what a bad one is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.compression.settings import Background, Levels


def test_the_defaults_are_quick_at_first_and_thorough_later() -> None:
    assert Levels().model_dump() == {"br": 5, "zstd": 3, "gzip": 3}
    assert Background().model_dump() == {"br": 11, "zstd": 19, "gzip": 9, "largest": "2MiB"}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Levels, {"br": 12}),
        (Levels, {"zstd": 20}),
        (Levels, {"zstd": 0}),
        (Levels, {"gzip": 10}),
        (Levels, {"lz4": 1}),
        (Background, {"zstd": 22}),
        (Background, {"largest": 10}),
        (Background, {"largest": "65MiB"}),
        (Background, {"largest": "much"}),
    ],
)
def test_levels_that_do_not_exist_are_refused(kind: type[Levels | Background], settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(settings)
