"""Guarantee 5: retries stay inside the budget; a non-idempotent request is never repeated once bytes were sent.

Seen to fail: with ``Budget.spend`` of origin/retry.py always true; with the second try that takes the place of a
kept-alive connection not counted (an origin that resets those is sent 1.5 times the requests, whatever the budget);
with ``Call.repeatable`` of origin/wire.py true of POST.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.guarantees.crowd import all_at_once, once
from tests.support.client import RawClient, ask
from tests.support.origin import Hang, RecordedRequest, RecordingOrigin, Script, answer
from tests.support.ports import free_port
from tests.support.processes import EdgeProcess
from tests.support.site import Site, request

QUIET = 3  # retries in 10 s that a pool may always make
OK = answer(200, b"ok", b"Cache-Control: no-store")


class Flaky(RecordingOrigin):
    """Resets the connection for every other request, once it has read it."""

    def __init__(self) -> None:
        super().__init__(self._every_other)
        self._numbers = itertools.count()

    def _every_other(self, _: RecordedRequest) -> Script:
        return OK if next(self._numbers) % 2 else Hang.RESET


@pytest.fixture
def flaky() -> Iterator[list[Flaky]]:
    with Flaky() as one, Flaky() as two:
        yield [one, two]


def pool(*endpoints: str, **settings: Any) -> dict[str, Any]:
    """A configuration with one pool, whose endpoints stay in service whatever they do."""
    site = {"endpoints": list(endpoints), "outlier": False, **settings}
    return {"pools": {"site": site}, "routes": [{"name": "all", "pool": "site"}], "log": {"access": False}}


@pytest.mark.parametrize("budget", [0, 20])
async def test_an_origin_that_fails_half_its_requests_gets_no_more_retries_than_the_budget(
    flaky: list[Flaky], metric: Callable[..., float], budget: int
) -> None:
    count = 200
    retry = {"tries": 4, "budget": f"{budget}%"}
    with EdgeProcess(pool(*(origin.url for origin in flaky), retry=retry)) as edge:

        async def client(number: int) -> list[int]:
            return [
                (await once(edge.address, request(b"/%d/%d" % (number, each)))).status for each in range(count // 10)
            ]

        statuses = [status for each in await all_at_once(map(client, range(10))) for status in each]
        retries = metric(edge, "edgeproxy_origin_retries_total")
    asked = sum(len(origin.requests) for origin in flaky)
    most = 0 if budget == 0 else count * budget // 100 + QUIET
    assert set(statuses) == {200, 502}
    assert asked - count <= most
    assert asked - count == retries
    if budget:
        assert asked - count > count * budget // 200, "the budget is used"
        assert statuses.count(200) > count // 2


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    """The site twice under two names, so that there is always another endpoint to try; one more is not there."""
    again = site.url.replace("127.0.0.1", "localhost")
    whole = pool(site.url, again, retry={"tries": 5, "budget": "100%"})
    whole["pools"]["half"] = {"endpoints": [f"http://127.0.0.1:{free_port()}", site.url], "outlier": False}
    whole["routes"].append({"name": "half", "match": {"path": "/half"}, "pool": "half"})
    with EdgeProcess(whole) as edge:
        yield edge


def warm(edge: EdgeProcess, site: Site) -> None:
    """Have a connection to the origin kept open, on which the next request goes out."""
    assert ask(edge.address, request(b"/warm")).final[0].status == 200
    site.clear()


REPEATED_IF_SAFE = [(b"GET", 502, True), (b"PUT", 502, True), (b"DELETE", 502, True)]
NEVER_REPEATED = [(b"POST", 502, False), (b"PATCH", 502, False)]


@pytest.mark.parametrize("ends", [Hang.RESET, Hang.CLOSE], ids=["reset", "closed"])
@pytest.mark.parametrize("kept", [True, False], ids=["on a kept connection", "on a fresh connection"])
@pytest.mark.parametrize(("method", "status", "repeated"), [*REPEATED_IF_SAFE, *NEVER_REPEATED])
def test_what_the_origin_has_read_is_repeated_only_if_that_is_harmless(
    edge: EdgeProcess, site: Site, method: bytes, status: int, repeated: bool, kept: bool, ends: Hang
) -> None:
    target = site.on(b"/order", ends)  # type: ignore[arg-type]
    if kept:
        warm(edge, site)
    else:
        site.on(b"/warm", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        warm(edge, site)
        site.on(b"/warm", OK)
    body = b"" if method in {b"GET", b"DELETE"} else b"one order"
    (got,) = ask(edge.address, request(target, b"Content-Length: %d" % len(body), method=method) + body).final
    assert got.status == status
    assert got.get(b"proxy-status") is not None
    assert all(each.body == body for each in site.to(target))
    assert (len(site.to(target)) > 1) is repeated


def test_a_post_in_pieces_that_breaks_off_midway_is_sent_once(edge: EdgeProcess, site: Site) -> None:
    target = site.on(b"/pieces", Hang.RESET)  # type: ignore[arg-type]
    warm(edge, site)
    with RawClient(edge.address) as client:
        client.send(request(target, b"Transfer-Encoding: chunked", method=b"POST"))
        for _ in range(20):
            client.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        client.send(b"0\r\n\r\n")
        assert [each.status for each in client.answers(1, (b"POST",)).final] == [502]
    assert len(site.to(target)) == 1


def test_a_post_that_was_never_sent_goes_to_the_next_endpoint(edge: EdgeProcess, site: Site) -> None:
    """Nothing reached the first one, so this repeats nothing."""
    site.clear()
    for _ in range(6):
        (got,) = ask(edge.address, request(b"/half", b"Content-Length: 5", method=b"POST") + b"order").final
        assert got.status == 200
    assert [each.body for each in site.to(b"/half")] == [b"order"] * 6
