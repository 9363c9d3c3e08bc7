"""What is made of requests that failed or took their time: shares, quantiles, verdicts, the page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.benchmarks.chaos import report
from tests.benchmarks.chaos.region import Killed
from tests.benchmarks.chaos.report import Measured
from tests.benchmarks.chaos.servers import PROXIES
from tests.benchmarks.chaos.session import WAYS, Outcome, Times, allowed, check_quiet, combinations, placed
from tests.benchmarks.chaos.steady import Asked, Summary, back, between
from tests.benchmarks.errors import BenchmarkError
from tests.support.failing import Fault, body_of

GOOD = Summary(1000, 0, 0.010, 0.014, 0.020)
BAD = Summary(1000, 5, 0.010, 0.014, math.inf)


def outcome(
    proxy: str = "edgeproxy", *faults: Fault, whole: Summary = GOOD, learned: Summary = GOOD, **more
) -> Outcome:
    values = {"back": 1.25, "sent": 1.02, "failures": (), "retries": 0.0, "allowed": 0.0} | more
    return Outcome(proxy, faults or (Fault.STALL,), whole, learned, **values)


def asked(due: float, took: float = 0.01, endpoint: int = 0, failure: str = "") -> Asked:
    return Asked(due, took, endpoint, failure)


def test_a_request_that_failed_is_endlessly_long() -> None:
    summary = Summary.of([*(asked(0, number / 1000) for number in range(1, 99)), asked(0, 0.001, failure="status 502")])
    assert (summary.requests, summary.failed, summary.p50) == (99, 1, 0.05)
    assert summary.p99 == summary.longest == math.inf


def test_without_requests_there_is_no_summary() -> None:
    with pytest.raises(ValueError, match="no values"):
        Summary.of([])


def test_requests_belong_to_the_time_they_were_due_in() -> None:
    requests = [asked(1.0), asked(2.0, took=5), asked(3.0)]
    assert between(requests, 1.5, 3.0) == [requests[1]]


def test_origins_are_back_when_each_has_answered_well() -> None:
    requests = [asked(9, endpoint=1), asked(11, 0.5, 1), asked(11, 0.1, 2, "status 500"), asked(12, 0.25, 2), asked(13)]
    assert back(requests, 10, (1, 2)) == 2.25
    assert back(requests, 10, (1,)) == 1.5
    assert back(requests, 10, (1, 3)) is None
    assert back(requests, 10, ()) == 0


def test_every_combination_leaves_one_origin_well() -> None:
    chosen = combinations()
    assert len(chosen) == len(set(chosen)) == 30
    assert {len(each) for each in chosen} == {1, 2, 3, 4}
    assert all(placed(each).count(Fault.WELL) == 5 - len(each) for each in chosen)


def test_each_origin_has_its_own_way_to_fail() -> None:
    assert placed(WAYS) == list(WAYS)
    assert placed((Fault.RESET,)) == [Fault.WELL, Fault.RESET, *[Fault.WELL] * 3]
    assert placed((Fault.DRIP,))[WAYS.index(Fault.TRICKLE)] is Fault.DRIP


def test_a_budget_counts_the_ten_seconds_before_as_well() -> None:
    assert allowed(975, Times(learning=4, measured=2.5, rate=150)) == pytest.approx(0.2 * (975 + 1500) + 6)


def test_a_promise_that_was_not_kept_is_named() -> None:
    assert report.verdict(outcome(), GOOD) == []
    slow = Summary(375, 0, 0.01, 0.043, 0.05)
    found = report.verdict(outcome(whole=BAD, learned=slow, back=None, retries=21.0, allowed=20.0), GOOD)
    assert found == [
        "5 of 1000 requests failed",
        "p99 in ms: 43, 14 in quiet time",
        "21 retries, at most 20 in the budget",
        "a healed origin was not asked again",
    ]


def test_what_targets_are_answered_with_differs_and_stays() -> None:
    assert len(body_of("/a")) == 1024
    assert body_of("/a") == body_of("/a") != body_of("/b")


@pytest.fixture
def measured() -> Measured:
    outcomes = [
        outcome(kind.name, *faults, whole=BAD if kind.name == "nginx" and len(faults) > 1 else GOOD)
        for kind in PROXIES
        for faults in ((Fault.STALL,), (Fault.STALL, Fault.RESET), (Fault.RESET, Fault.ERROR), (Fault.DRIP,))
    ]
    killed = [Killed("are killed", "edgeproxy", GOOD, 0.017, 1.8), Killed("fall silent", "nginx", BAD, math.inf, None)]
    return Measured({kind.name: GOOD for kind in PROXIES}, outcomes, killed, Times(), {"cores": "2"}, "a command")


def test_a_machine_that_is_busy_with_other_work_gives_no_figures() -> None:
    check_quiet({"edgeproxy": GOOD, "nginx": GOOD})
    with pytest.raises(BenchmarkError, match="nginx takes 120 ms"):
        check_quiet({"edgeproxy": GOOD, "nginx": Summary(1000, 0, 0.04, 0.12, 0.2)})


def test_the_table_has_single_failures_and_those_of_as_many_at_once(measured: Measured) -> None:
    lines = report.table(measured).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| all are well",
        "| one stalls",
        "| one trickles its bodies",
        "| any two of the five ways (2)",
    ]
    assert lines[-1].split(" | ")[1:5] == ["0", "0.50%", "0", "14"]
    assert len({line.count("|") for line in lines}) == 1


def test_the_page_and_the_figures_are_written(measured: Measured, tmp_path: Path) -> None:
    report.write(tmp_path, measured)
    page = (tmp_path / report.MARKDOWN_NAME).read_text()
    assert "@{" not in page
    assert "In all 3 combinations edgeproxy kept each of these." in page
    assert "| fall silent | nginx | 0.50% | failed | never |" in page
    document = json.loads((tmp_path / report.JSON_NAME).read_text())
    assert len(document["combinations"]) == 12
    assert document["regions"][1] == {
        "how": "fall silent",
        "proxy": "nginx",
        "requests": 1000,
        "failed": 5,
        "p50_ms": 10.0,
        "p99_ms": 14.0,
        "longest_ms": None,
        "failover_ms": None,
        "back_s": None,
    }


def test_what_nobody_can_keep_from_clients_is_not_held_against_a_proxy(measured: Measured) -> None:
    assert [each.faults for each in report.promised(measured, "nginx")] == [
        (Fault.STALL,),
        (Fault.STALL, Fault.RESET),
        (Fault.RESET, Fault.ERROR),
    ]


def test_what_edgeproxy_did_not_keep_stands_on_the_page(measured: Measured) -> None:
    broken = Measured(
        measured.quiet, [outcome(back=None), outcome("nginx", back=None)], [], Times(), {}, measured.command
    )
    assert report.broken(broken) == "* one stalls: a healed origin was not asked again."
