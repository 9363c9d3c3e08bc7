"""The URLs asked for most: found in any crowd, in bounded memory, and forgotten in time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from itertools import islice

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Request
from edgeproxy.observe.record import BATCH
from edgeproxy.observe.redact import redactor
from edgeproxy.observe.top import EACH, KEPT, LONGEST, MOST, SHOWN, TURN, Top, merged
from edgeproxy.pipeline.exchange import Exchange, Peer


def ask(
    top: Top, targets: Iterable[bytes], *, verdict: bytes = b"fwd=uri-miss", size: int = 0, busy: bool = False
) -> None:
    """Have requests counted as batches."""
    asked = iter(targets)
    while batch := list(islice(asked, BATCH)):
        top.count([ended(target, verdict, size) for target in batch], busy=busy)


def ended(target: bytes, verdict: bytes, size: int) -> Exchange:
    request = Request(b"GET", target, {}, scheme=b"https", authority=b"a.test")
    x = Exchange(request, Peer("192.0.2.1", 1, "", "", None), 0.0)
    x.verdict, x.sent = verdict, size
    return x


def report(top: Top) -> list[tuple[str, int, int, int]]:
    return top.report(lambda url: url)[1]


def fresh() -> tuple[Top, ManualClock]:
    clock = ManualClock()
    return Top(clock.monotonic), clock


def test_few_urls_are_counted_exactly() -> None:
    top, _ = fresh()
    ask(top, [b"/a", b"/b", b"/a"], verdict=b"hit", size=10)
    assert report(top) == [("https://a.test/a", 2, 2, 20), ("https://a.test/b", 1, 1, 10)]


def test_a_crowd_of_others_does_not_hide_what_is_asked_for_often() -> None:
    top, _ = fresh()
    crowd = [b"/%d" % number for number in range(100_000)]
    often = [b"/often/%d" % number for number in range(20)]
    wanted = Counter(dict.fromkeys(often, 2000))
    requests = [*crowd, *wanted.elements()]
    random.Random(7).shuffle(requests)
    ask(top, requests)
    found = {url.removeprefix("https://a.test").encode(): number for url, number, *_ in report(top)[:20]}
    assert found.keys() == wanted.keys()
    assert all(1_000 < number <= 2_000 for number in found.values())  # never more than there were


def test_what_begins_late_is_found_too() -> None:
    top, _ = fresh()
    ask(top, (b"/%d" % number for number in range(50_000)))
    ask(top, [b"/late"] * 1_000)
    ask(top, (b"/%d" % number for number in range(50_000)))
    assert report(top)[0][:2] == ("https://a.test/late", 1_000)


def test_the_number_of_counters_has_a_bound() -> None:
    top, _ = fresh()
    for number in range(5 * MOST):
        ask(top, [b"/%d" % number])
        assert len(top) <= MOST
    assert len(top) > KEPT
    assert len(report(top)) == SHOWN


def test_a_busy_worker_counts_some_and_comes_to_the_same() -> None:
    top, _ = fresh()
    requests = [b"/often"] * 30_000 + [b"/seldom"] * 10_000
    random.Random(3).shuffle(requests)
    ask(top, requests, verdict=b"hit", size=10, busy=True)
    (often, *counts), (seldom, *others) = report(top)
    assert (often, seldom) == ("https://a.test/often", "https://a.test/seldom")
    assert counts[0] + others[0] == 40_000
    assert counts == [pytest.approx(30_000, rel=0.05)] * 2 + [pytest.approx(300_000, rel=0.05)]


def test_a_busy_workers_pattern_does_not_hide_a_url() -> None:
    top, _ = fresh()
    ask(top, [b"/%d" % (number % EACH) for number in range(100 * BATCH)], busy=True)
    assert len(report(top)) == EACH


def test_long_targets_are_cut() -> None:
    top, _ = fresh()
    ask(top, [b"/" + b"x" * 30_000 + tail for tail in (b"1", b"2")])
    ((url, number, *_),) = report(top)
    assert (len(url), number) == (len("https://a.test") + LONGEST, 2)


def test_old_requests_are_forgotten() -> None:
    top, clock = fresh()
    ask(top, [b"/old"])
    clock.advance(TURN)
    ask(top, [b"/new", b"/old"])
    assert report(top) == [("https://a.test/old", 2, 0, 0), ("https://a.test/new", 1, 0, 0)]
    clock.advance(TURN)
    assert report(top) == [("https://a.test/new", 1, 0, 0), ("https://a.test/old", 1, 0, 0)]
    clock.advance(TURN)
    assert report(top) == []


def test_a_report_tells_how_long_was_counted() -> None:
    top, clock = fresh()
    clock.advance(10.0)
    assert top.report(bytes)[0] == 10.0
    for _ in range(5):
        clock.advance(TURN)
        ask(top, [b"/"])
    clock.advance(20.0)
    assert top.report(bytes)[0] == TURN + 20.0


def test_secrets_are_masked_and_what_differs_in_them_alone_is_one() -> None:
    top, _ = fresh()
    ask(top, [b"/?id=1&token=%d" % number for number in range(3)])
    assert top.report(redactor())[1] == [("https://a.test/?id=1&token=***", 3, 0, 0)]


def test_bytes_that_are_no_text_are_shown_escaped() -> None:
    top, _ = fresh()
    ask(top, [b"/\xff"])
    assert report(top)[0][0] == "https://a.test/\\xff"


def test_reports_of_several_workers_are_added_up() -> None:
    assert merged([[("a", 1, 1, 10), ("b", 2, 0, 0)], [("a", 3, 2, 5)]]) == [("a", 4, 3, 15), ("b", 2, 0, 0)]
