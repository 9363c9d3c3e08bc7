"""Clients that are brought back to their endpoint by a running node."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Answer, ask
from tests.support.origin import RecordedRequest, RecordingOrigin, answer
from tests.support.processes import EdgeProcess
from tests.support.site import request

NAMES = (b"a", b"b", b"c")


@pytest.fixture(scope="module")
def origins() -> Iterator[dict[bytes, RecordingOrigin]]:
    def told(name: bytes) -> Callable[[RecordedRequest], bytes]:
        return lambda _: answer(200, name, b"Cache-Control: no-store", b"Set-Cookie: session=1")

    running = {name: RecordingOrigin(told(name)) for name in NAMES}
    for origin in running.values():
        origin.__enter__()
    yield running
    for origin in running.values():
        origin.__exit__()


@pytest.fixture(scope="module")
def edge(origins: dict[bytes, RecordingOrigin]) -> Iterator[EdgeProcess]:
    pool = {"endpoints": [origin.url for origin in origins.values()], "balance": "round_robin"}
    config = {
        "pools": {"site": pool},
        "routes": [{"name": "all", "pool": "site"}],
        "middleware": {"sticky": {}, "bot_check": False},
        "workers": 2,
    }
    with EdgeProcess(config) as edge:
        yield edge


def go(edge: EdgeProcess, *fields: bytes) -> Answer:
    (told,) = ask(edge.address, request(b"/", *fields)).final
    return told


def words(told: Answer) -> list[bytes]:
    return [found for value in told.all(b"set-cookie") for found in re.findall(rb"edge_endpoint=[^;]+", value)]


def test_a_client_comes_back_to_its_endpoint_by_every_worker(edge, origins):
    first = go(edge)
    (own,) = words(first)
    assert first.all(b"set-cookie")[0] == b"session=1"
    for _ in range(12):
        again = go(edge, b"Cookie: session=1; " + own)
        assert again.body == first.body
        assert words(again) == []
    seen = origins[first.body].requests[-1]
    assert seen.get(b"cookie") == b"session=1"
    assert {go(edge).body for _ in range(12)} == set(NAMES)


def test_a_made_up_cookie_is_as_good_as_none(edge):
    assert len(words(go(edge, b"Cookie: edge_endpoint=1.MTI3LjAuMC4xOjgw"))) == 1


def test_a_client_whose_endpoint_is_drained_gets_another_and_stays_there(edge, origins):
    first = go(edge)
    (own,) = words(first)
    assert b"127.0.0.1" not in own
    address = origins[first.body].url.removeprefix("http://")
    order = {"pool": "site", "endpoint": address}
    assert edge.admin("/pools/drain", "POST", order)[0] == 200
    moved = go(edge, b"Cookie: " + own)
    assert moved.body != first.body
    (new,) = words(moved)
    assert {go(edge, b"Cookie: " + new).body for _ in range(6)} == {moved.body}
    assert edge.admin("/pools/undrain", "POST", order)[0] == 200
