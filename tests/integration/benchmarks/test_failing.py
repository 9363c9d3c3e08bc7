"""Origins that fail as told, and clients that keep count of it."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator

import pytest

from tests.benchmarks.chaos.steady import Steady, back, between
from tests.support.client import Answer, RawClient
from tests.support.failing import FailingOrigins, Fault, body_of
from tests.support.site import request

SOON = 0.3  # seconds; a well origin takes a few milliseconds


@pytest.fixture(scope="module")
def origins() -> Iterator[FailingOrigins]:
    with FailingOrigins(2) as origins:
        yield origins


@pytest.fixture
def client(origins: FailingOrigins) -> Iterator[RawClient]:
    """A connection to the first of them, made while it was well."""
    origins.fail()
    with RawClient(("127.0.0.1", origins.ports[0]), timeout=SOON) as client:
        assert told(client).status == 200
        yield client
    origins.fail()


def told(client: RawClient) -> Answer:
    client.received.clear()
    client.send(request(b"/a/1"))
    (final,) = client.answers(1).final
    return final


def connects(origins: FailingOrigins, number: int = 0) -> bool:
    """Raises ConnectionRefusedError where nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", origins.ports[number]), timeout=SOON):
            return True
    except TimeoutError:
        return False


def test_a_well_origin_says_who_it_is_and_counts(origins: FailingOrigins, client: RawClient) -> None:
    before = origins.asked()
    final = told(client)
    assert (final.body, final.get(b"x-endpoint")) == (body_of("/a/1"), b"0")
    assert [after["a"] - then["a"] for after, then in zip(origins.asked(), before, strict=True)] == [1, 0]


def test_one_answers_500(origins: FailingOrigins, client: RawClient) -> None:
    origins.fail(Fault.ERROR)
    assert told(client).status == 500


def test_one_resets(origins: FailingOrigins, client: RawClient) -> None:
    origins.fail(Fault.RESET)
    client.send(request(b"/a/1"))
    with pytest.raises(ConnectionResetError):
        client.socket.recv(1)
    assert connects(origins)


def test_one_stalls(origins: FailingOrigins, client: RawClient) -> None:
    origins.fail(Fault.STALL)
    client.send(request(b"/a/1"))
    assert (client.read_some(), client.closed) == (b"", False)
    assert connects(origins)


@pytest.mark.parametrize(("fault", "first"), [(Fault.TRICKLE, b"H"), (Fault.DRIP, body_of("/a/1")[:1])])
def test_one_trickles(origins: FailingOrigins, client: RawClient, fault: Fault, first: bytes) -> None:
    client.received.clear()
    origins.fail(fault)
    client.send(request(b"/a/1"))
    whole = client.read_until(lambda received: received.endswith(first))
    assert whole.rpartition(b"\r\n\r\n")[2] == first


def test_a_black_hole_takes_no_connection_and_answers_on_none(origins: FailingOrigins, client: RawClient) -> None:
    origins.fail(Fault.BLACK_HOLE)
    assert not connects(origins)
    assert connects(origins, 1)
    client.send(request(b"/a/1"))
    assert (client.read_some(), client.closed) == (b"", False)
    origins.fail()
    assert connects(origins)


def test_one_that_is_gone_refuses(origins: FailingOrigins, client: RawClient) -> None:
    origins.fail(Fault.GONE)
    assert (client.read_some(), client.closed) == (b"", True)
    with pytest.raises(ConnectionRefusedError):
        connects(origins)
    origins.fail()
    assert connects(origins)


async def test_clients_count_what_fails_and_who_answers(origins: FailingOrigins) -> None:
    origins.fail()
    async with Steady("load", origins.ports[1], 200) as load:
        await load.reached(20)
        origins.fail(Fault.WELL, Fault.ERROR)
        broken = time.monotonic()
        await load.reached(40)
        origins.fail()
        healed = time.monotonic()
        await load.reached(60)
        await load.answered(healed)
    assert {each.failure for each in load.asked} == {"", "status 500"}
    assert all(each.due + each.took > broken - 0.1 for each in load.asked if each.failure)
    assert {each.endpoint for each in load.asked} == {1}
    assert len({each.due for each in load.asked}) == len(load.asked)
    assert (back(load.asked, healed, [1]) or 9) < 1
    spaced = sorted(each.due for each in between(load.asked, 0, healed))
    assert all(abs(after - before - 1 / 200) < 1e-6 for before, after in itertools.pairwise(spaced))
