"""Clocks: the system's, and one that a test moves."""

from __future__ import annotations

import time

from edgeproxy.clock import Clock, ManualClock


def test_the_clock_is_the_systems_own_functions() -> None:
    """Not wrapped: a call costs what the system's call costs."""
    clock = Clock()
    assert clock.wall is time.time
    assert clock.monotonic is time.monotonic


def test_a_manual_clock_stands_until_it_is_moved() -> None:
    clock = ManualClock(100.0)
    wall, monotonic = clock.wall, clock.monotonic
    assert (wall(), monotonic(), wall()) == (100.0, 100.0, 100.0)
    clock.advance(2.5)
    assert (wall(), monotonic()) == (102.5, 102.5)
