"""What refusals say, and what is counted."""

from __future__ import annotations

import pytest

from edgeproxy.identity.refusals import Failures, Refusals
from edgeproxy.limits.gcra import Limiter
from tests.support.stages import exchange


def test_a_refusal_is_a_sentence_that_is_not_kept_and_is_counted() -> None:
    counted: list[int] = []
    refusals = Refusals(lambda: counted.append(1), b'Basic realm="edge"')
    answer = refusals.refuse(401, "Who are you?")
    assert (answer.status, answer.body, counted) == (401, b"401 Who are you?\n", [1])
    assert answer.headers() == {
        b"content-type": b"text/plain; charset=utf-8",
        b"cache-control": b"no-store",
        b"www-authenticate": b'Basic realm="edge"',
    }
    assert refusals.refuse(403, "No.").get(b"www-authenticate") is None


@pytest.mark.parametrize(("seconds", "told"), [(0.0, b"1"), (0.2, b"1"), (1.2, b"2")])
def test_who_is_to_come_back_is_told_when_in_whole_seconds(seconds: float, told: bytes) -> None:
    assert Refusals(lambda: None).later(503, "Busy.", seconds).get(b"retry-after") == told


def test_failures_are_counted_by_network() -> None:
    failures = Failures(Limiter(60.0, 2, 100))
    for _ in range(2):
        failures.count(exchange(client="2001:db8::1"))
    assert failures.wait(exchange(client="2001:db8::2")) == 60.0
    assert failures.wait(exchange(client="2001:db8:0:1::1")) == 0
    assert failures.wait(exchange(client="192.0.2.7")) == 0
