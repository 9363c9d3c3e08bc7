"""What failed, remembered for a while."""

from __future__ import annotations

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.images.failures import LASTS, MOST, Failures


def test_a_failure_is_remembered_for_a_minute() -> None:
    clock = ManualClock()
    failures = Failures(clock.monotonic)
    failures.note(b"a", "pixels")
    clock.advance(LASTS - 1)
    assert (failures.reason(b"a"), failures.reason(b"b")) == ("pixels", "")
    clock.advance(1)
    assert failures.reason(b"a") == ""
    assert len(failures) == 0


@pytest.mark.parametrize("reason", ["queue", "failed"])
def test_what_lies_with_the_moment_is_not_remembered(reason: str) -> None:
    failures = Failures(ManualClock().monotonic)
    failures.note(b"a", reason)
    assert failures.reason(b"a") == ""


def test_the_oldest_make_room() -> None:
    failures = Failures(ManualClock().monotonic)
    for number in range(MOST + 1):
        failures.note(b"%d" % number, "damaged")
    assert len(failures) == MOST
    assert (failures.reason(b"0"), failures.reason(b"1")) == ("", "damaged")
