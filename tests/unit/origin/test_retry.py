from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin.retry import ALWAYS, WINDOW, Budget, failures, may_repeat, retry_after


def spendable(budget: Budget, now: float) -> int:
    return next(i for i in range(10_000) if not budget.spend(now))


def test_a_quiet_pool_has_a_few_retries():
    assert spendable(Budget(0.2), 1000.0) == ALWAYS


def test_the_budget_is_a_share_of_recent_requests():
    budget = Budget(0.2)
    for i in range(100):
        budget.request(1000.0 + i / 20)
    assert spendable(budget, 1005.0) == 20 + ALWAYS
    assert spendable(budget, 1006.0) == 0


def test_requests_and_retries_are_forgotten_after_the_window():
    budget = Budget(0.2)
    for _ in range(100):
        budget.request(1000.0)
    assert spendable(budget, 1000.0 + WINDOW - 1) == 20 + ALWAYS
    assert spendable(budget, 1000.0 + WINDOW) == 0  # the requests are gone, what was spent since is not
    assert spendable(budget, 1000.0 + 2 * WINDOW) == ALWAYS
    assert spendable(budget, 9000.0) == ALWAYS


def test_no_share_no_retry():
    budget = Budget(0)
    budget.request(1000.0)
    assert spendable(budget, 1000.0) == 0


@pytest.mark.parametrize(
    ("kind", "sent", "repeatable", "expected"),
    [
        (Kind.CONNECT_REFUSED, False, False, True),
        (Kind.CONNECT_TIMEOUT, False, False, True),
        (Kind.TLS, False, False, True),
        (Kind.CONNECTION_LOST, True, False, False),
        (Kind.CONNECTION_LOST, True, True, True),
        (Kind.RESPONSE_TIMEOUT, True, True, True),
        (Kind.RESPONSE_TIMEOUT, True, False, False),
        (Kind.RESPONSE_TOO_LARGE, True, True, False),
        (Kind.CLIENT_GONE, True, True, False),
    ],
)
def test_what_may_be_repeated(kind, sent, repeatable, expected):
    assert may_repeat(EdgeError(kind, "origin"), sent=sent, repeatable=repeatable) is expected


def test_what_is_left_is_told_without_spending_it():
    budget = Budget(0.2)
    assert [budget.left(1000.0) for _ in range(3)] == [ALWAYS] * 3
    assert spendable(budget, 1000.0) == ALWAYS
    assert budget.left(1000.0) == 0
    assert Budget(0).left(1000.0) == 0


def test_the_words_of_the_configuration():
    kinds, statuses = failures(("connect", "timeout", 502, 503))
    assert kinds == {Kind.CONNECT_REFUSED, Kind.CONNECT_TIMEOUT, Kind.TLS, Kind.RESPONSE_TIMEOUT}
    assert statuses == {502, 503}


def test_every_failure_before_an_answer_has_its_word():
    kinds, _ = failures(("connect", "lost", "timeout"))
    origins = {kind for kind in Kind if EdgeError(kind, "origin").retryable} - {Kind.DNS}
    assert kinds == origins


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        (b"120", 120),
        (b"0", 0),
        (b"-1", 0),
        (b"1.5", 0),
        (b"soon", 0),
        (b"99999999999999999999", 0),
        (b"Thu, 01 Jan 1970 00:20:00 GMT", 200),
        (b"Thu, 01 Jan 1970 00:10:00 GMT", 0),
    ],
)
def test_retry_after(value: bytes | None, seconds: float):
    assert retry_after(value, 1000.0) == seconds


@given(st.binary(max_size=40))
def test_whatever_stands_in_retry_after_is_no_error(value: bytes):
    assert retry_after(value, 1000.0) >= 0
