"""Copies of requests on real sockets: what is sent, what is not, and that no client waits for any of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.client import Answer, RawClient, ask
from tests.support.inprocess import InProcessEdge
from tests.support.origin import Hang, RecordedRequest, Script, answer
from tests.support.ports import free_port, wait_until
from tests.support.site import Site, request

ROUTES: dict[str, dict[str, Any]] = {
    "plain": {},
    "bodies": {"compare": "body"},
    "few": {"concurrency": 2, "timeout": "300s"},
    "hasty": {"timeout": "0.1s"},
    "posts": {"methods": ["GET", "POST"], "body_size": 100, "remove": [], "compare": "body"},
    "asked": {"on": "request", "mark": "x-copy"},
    "dead": {"pool": "dead"},
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def shadow() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def edge(site: Site, shadow: Site) -> Iterator[InProcessEdge]:
    config = {
        "pools": {
            "site": {"endpoints": [site.url]},
            "shadow": {"endpoints": [shadow.url], "host": "shadow.example"},
            "dead": {"endpoints": [f"http://127.0.0.1:{free_port()}"]},
        },
        "routes": [
            {
                "name": name,
                "pool": "site",
                "match": {"path": f"/{name}"},
                "middleware": {"mirror": {"pool": "shadow", **settings}},
            }
            for name, settings in ROUTES.items()
        ],
    }
    with InProcessEdge(config) as edge:
        yield edge
        assert not [fault for fault in edge.faults if "no endpoint is fit" not in fault]


@pytest.fixture
def outcomes(edge: InProcessEdge) -> Callable[[str], float]:
    """How many more copies than at the test's beginning came to this end."""

    def now(outcome: str) -> float:
        mirrors = [each for name, each in edge.snapshot.stages.items() if name.startswith("mirror:")]
        (family,) = [each for each in mirrors[0].services.metrics.dump() if each["name"] == "edgeproxy_mirror_total"]
        return sum(numbers[0] for labels, numbers in family["series"] if labels[1] == outcome)

    names = ("same", "status", "differs", "unknown", "failed", "timeout", "dropped", "body", "given_up")
    before = {name: now(name) for name in names}
    return lambda outcome: now(outcome) - before[outcome]


def get(edge: InProcessEdge, target: bytes, *fields: bytes, method: bytes = b"GET", body: bytes = b"") -> Answer:
    (got,) = ask(edge.address, request(target, *fields, method=method) + body).final
    return got


def test_a_copy_bears_its_mark_the_pools_host_and_no_credentials(
    edge: InProcessEdge, site: Site, shadow: Site, outcomes: Callable[[str], float]
) -> None:
    target = b"/plain/a?b=1"
    assert get(edge, target, b"Cookie: s=1", b"Authorization: Basic x", b"X-Own: 1").body == b"ok"
    wait_until(lambda: outcomes("same") == 1, "the copy is compared")
    (copy,), (original,) = shadow.to(target), site.to(target)
    assert (copy.get(b"x-mirror"), copy.get(b"host"), copy.get(b"x-own")) == (b"1", b"shadow.example", b"1")
    assert (copy.get(b"cookie"), copy.get(b"authorization")) == (None, None)
    assert (original.get(b"x-mirror"), original.get(b"host"), original.get(b"cookie")) == (None, b"a.example", b"s=1")


def test_a_copy_is_not_copied_and_what_the_cache_answers_neither(
    edge: InProcessEdge, site: Site, shadow: Site, outcomes: Callable[[str], float]
) -> None:
    site.on(b"/plain/kept", answer(200, b"kept", b"Cache-Control: max-age=600"))
    for _ in range(3):
        assert get(edge, b"/plain/kept").body == b"kept"
    assert get(edge, b"/plain/marked", b"X-Mirror: 1").body == b"ok"
    wait_until(lambda: outcomes("same") == 1, "the copy is compared")
    assert len(shadow.to(b"/plain/kept")) == 1
    assert not shadow.to(b"/plain/marked")
    assert not shadow.to(b"/plain/posted")


def test_every_request_is_copied_where_it_says_so(
    edge: InProcessEdge, site: Site, shadow: Site, outcomes: Callable[[str], float]
) -> None:
    site.on(b"/asked/kept", answer(200, b"kept", b"Cache-Control: max-age=600"))
    for _ in range(3):
        assert get(edge, b"/asked/kept").body == b"kept"
    wait_until(lambda: outcomes("same") == 3, "the copies are compared")
    assert len(site.to(b"/asked/kept")) == 1
    assert [each.get(b"x-copy") for each in shadow.to(b"/asked/kept")] == [b"1"] * 3


def test_differences_are_counted(
    edge: InProcessEdge, site: Site, shadow: Site, outcomes: Callable[[str], float]
) -> None:
    shadow.on(b"/plain/broken", answer(500, b"", reason=b"Internal Server Error"))
    shadow.on(b"/plain/other", answer(204, b"", reason=b"No Content"))
    site.on(b"/bodies/large", answer(200, b"x" * 600_000))
    shadow.on(b"/bodies/large", answer(200, b"x" * 300_000 + b"y" * 300_000))  # alike as far as it is read
    site.on(b"/bodies/other", answer(200, b"x" * 200_000))
    shadow.on(b"/bodies/other", answer(200, b"x" * 199_999 + b"y"))
    shadow.on(b"/bodies/known", answer(304, b"", reason=b"Not Modified"))
    assert get(edge, b"/bodies/known").status == 200
    for target in (b"/plain/broken", b"/plain/other", b"/bodies/same", b"/bodies/large", b"/bodies/other"):
        assert get(edge, target).status == 200
    wait_until(lambda: sum(map(outcomes, ("status", "same", "differs", "unknown"))) == 6, "all are compared")
    assert (outcomes("status"), outcomes("same"), outcomes("differs"), outcomes("unknown")) == (1, 3, 1, 1)


def test_a_target_that_hangs_slows_nobody_and_has_no_more_than_its_number_of_copies(
    edge: InProcessEdge, shadow: Site, outcomes: Callable[[str], float]
) -> None:
    released, ended = threading.Event(), threading.Event()

    def hang(_: RecordedRequest) -> Script:
        released.wait(10)
        ended.set()
        return answer()

    shadow.on(b"/few/hanging", hang)
    try:
        for _ in range(20):
            assert get(edge, b"/few/hanging").body == b"ok"
        assert not ended.is_set(), "somebody waited for a copy"
        assert outcomes("dropped") == 18
        assert len(shadow.to(b"/few/hanging")) <= 2
    finally:
        released.set()
    wait_until(lambda: outcomes("same") == 2, "the two end")


def test_a_target_that_takes_too_long_is_given_up(
    edge: InProcessEdge, shadow: Site, outcomes: Callable[[str], float]
) -> None:
    released = threading.Event()

    def hang(_: RecordedRequest) -> Script:
        released.wait(10)
        return Hang.CLOSE

    shadow.on(b"/hasty/hanging", hang)
    try:
        assert get(edge, b"/hasty/hanging").body == b"ok"
        wait_until(lambda: outcomes("timeout") == 1, "the copy is given up")
    finally:
        released.set()


def test_a_dead_target_is_counted_and_nothing_else(edge: InProcessEdge, outcomes: Callable[[str], float]) -> None:
    assert [get(edge, b"/dead/a").status for _ in range(3)] == [200] * 3
    wait_until(lambda: outcomes("failed") == 3, "the copies fail")


def test_bodies_are_copied_when_they_are_here_and_small_enough(
    edge: InProcessEdge, site: Site, shadow: Site, outcomes: Callable[[str], float]
) -> None:
    length = b"Content-Length: %d"
    chunked = b"Transfer-Encoding: chunked"
    get(edge, b"/posts/a", length % 5, method=b"POST", body=b"hello")
    get(edge, b"/posts/b", chunked, method=b"POST", body=b"5\r\nhello\r\n0\r\n\r\n")
    get(edge, b"/posts/empty", length % 0, method=b"POST")
    get(edge, b"/posts/large", length % 101, method=b"POST", body=b"x" * 101)
    get(edge, b"/posts/larger", chunked, method=b"POST", body=b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n")
    get(edge, b"/plain/posted", length % 5, method=b"POST", body=b"hello")
    wait_until(lambda: outcomes("same") == 3, "the copies are compared")
    assert [shadow.to(target)[0].body for target in (b"/posts/a", b"/posts/b", b"/posts/empty")] == [
        b"hello",
        b"hello",
        b"",
    ]
    originals = (b"/posts/a", b"/posts/b", b"/posts/large", b"/posts/larger")
    assert [len(site.to(target)[0].body) for target in originals] == [5, 5, 101, 101]
    assert outcomes("body") == 2
    assert not any(shadow.to(target) for target in (b"/posts/large", b"/posts/larger", b"/plain/posted"))


def test_an_answer_that_failed_has_nothing_to_be_compared_with(
    edge: InProcessEdge, site: Site, outcomes: Callable[[str], float]
) -> None:
    site.on(b"/bodies/cut", lambda _: [answer(200, b"x" * 100)[:-50], Hang.CLOSE])
    with RawClient(edge.address) as client:
        client.send(request(b"/bodies/cut"))
        client.read_to_close()
    wait_until(lambda: outcomes("unknown") == 1, "the copy has ended")


def test_copies_under_way_are_given_up_when_the_stage_ends(
    edge: InProcessEdge, shadow: Site, outcomes: Callable[[str], float]
) -> None:
    released = threading.Event()

    def hang(_: RecordedRequest) -> Script:
        released.wait(10)
        return answer()

    shadow.on(b"/few/stopped", hang)
    try:
        assert get(edge, b"/few/stopped").body == b"ok"
        wait_until(lambda: bool(shadow.to(b"/few/stopped")), "the copy is on its way")
        for name, stage in edge.snapshot.stages.items():
            if name.startswith("mirror:"):
                edge.run(stage.stop())
        assert outcomes("given_up") == 1
    finally:
        released.set()
