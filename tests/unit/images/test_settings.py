"""The settings' defaults, and the values they become."""

from __future__ import annotations

from edgeproxy.images.plan import Bounds, Craft
from edgeproxy.images.settings import LimitSettings, StudioSettings


def test_defaults_are_those_of_the_engine() -> None:
    assert LimitSettings().bounds() == Bounds()
    assert StudioSettings().craft() == Craft()


def test_what_is_configured_is_what_the_engine_gets() -> None:
    limits = {"source": "1MB", "pixels": 20_000, "side": 100, "frames": 3, "memory": "200MB", "time": "2s"}
    assert LimitSettings.model_validate(limits).bounds() == Bounds(1_000_000, 20_000, 100, 3, 200_000_000, 2.0)
    studio = {"quality": 60, "avif_speed": 4, "engine": "pillow"}
    assert StudioSettings.model_validate(studio).craft() == Craft(60, 4, "pillow")
