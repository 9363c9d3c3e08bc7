from __future__ import annotations

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin.retry import ALWAYS, WINDOW, Budget, may_repeat


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
