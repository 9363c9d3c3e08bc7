"""The URLs asked for most: found in any crowd, in bounded memory, and forgotten in time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Request
from edgeproxy.observe.redact import redactor
from edgeproxy.observe.top import KEPT, LONGEST, MOST, SHOWN, TURN, Top, merged


def ask(top: Top, targets: Iterable[bytes], *, hits: int = 0, size: int = 0, scheme: bytes = b"https") -> None:
    """Count requests as the batch job does."""
    for target in targets:
        request = Request(b"GET", target, {}, scheme=scheme, authority=b"a.test")
        tally = top.tallies.get((request.authority, request.target)) or top.admit(request)
        tally.number += 1
        tally.hits += hits
        tally.size += size


def report(top: Top) -> list[tuple[str, int, int, int]]:
    return top.report(lambda url: url)[1]


def fresh() -> tuple[Top, ManualClock]:
    clock = ManualClock()
    return Top(clock.monotonic), clock


def test_few_urls_are_counted_exactly() -> None:
    top, _ = fresh()
    ask(top, [b"/a", b"/b", b"/a"], hits=1, size=10)
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
        assert len(top.tallies) <= MOST
    assert len(top.tallies) > KEPT
    assert len(report(top)) == SHOWN


def test_a_loop_may_hold_on_to_the_counters() -> None:
    top, _ = fresh()
    held = top.tallies
    ask(top, (b"/%d" % number for number in range(2 * MOST)))
    assert top.tallies is held


def test_long_targets_are_cut() -> None:
    top, _ = fresh()
    ask(top, [b"/" + b"x" * 30_000 + tail for tail in (b"1", b"2")])
    ((url, number, *_),) = report(top)
    assert (len(url), number) == (len("https://a.test") + LONGEST, 2)


def test_old_requests_are_forgotten() -> None:
    top, clock = fresh()
    ask(top, [b"/old"])
    clock.advance(TURN)
    top.turn()
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
        top.turn()
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
