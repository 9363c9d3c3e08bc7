"""What a peer may do for nothing: budgets, and that each kind of flood meets its own."""

from __future__ import annotations

import pytest

from edgeproxy.http2 import floods, frames
from edgeproxy.http2.connection import Connection
from edgeproxy.http2.errors import ConnectionFailure
from edgeproxy.http2.events import Ended, Fields
from edgeproxy.http2.floods import BUDGETS, Floods
from edgeproxy.http2.hpack import encode
from edgeproxy.http2.settings import Settings
from tests.support.http2_attacks import ATTACKS, HEAD, OPENING, WHOLE, frame

SETTINGS = Settings(streams=100, window=100_000, connection_window=1_000_000, fields=16_000)


class Time:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def begun(time: Time, **more: int) -> Connection:
    connection = Connection(SETTINGS._replace(**more), clock=time)
    assert connection.receive(OPENING) == []
    connection.out.clear()
    return connection


@pytest.mark.parametrize("kind", ATTACKS, ids=lambda kind: BUDGETS[kind].kind)
def test_a_flood_ends_the_connection_when_its_budget_is_used_up(kind: int) -> None:
    connection = begun(Time(), streams=100 if kind == floods.REFUSED else 1000)
    budget = BUDGETS[kind]
    sent = 0
    while connection.over is None:
        assert sent < 3 * budget.most, "it goes on for ever"
        events = connection.receive(ATTACKS[kind](sent))
        sent += 1
    over = connection.over
    assert (over.code, over.flood) == (frames.ENHANCE_YOUR_CALM, budget.kind)
    assert isinstance(events[-1], Ended)
    assert sent > budget.most
    goaway = connection.out[-1]
    assert goaway[3] == frames.GOAWAY
    assert goaway[9:17] == frames.uint32(connection.last) + frames.uint32(frames.ENHANCE_YOUR_CALM)
    assert connection.receive(ATTACKS[kind](sent)) == []


@pytest.mark.parametrize("kind", ATTACKS, ids=lambda kind: BUDGETS[kind].kind)
def test_the_same_at_an_honest_rate_is_borne(kind: int) -> None:
    time = Time()
    connection = begun(time, streams=10_000)
    for sent in range(int(2 * BUDGETS[kind].most)):
        time.now += 1 / BUDGETS[kind].rate
        connection.receive(ATTACKS[kind](sent))
        connection.out.clear()
    assert connection.over is None


def test_more_streams_than_allowed_are_refused_and_in_the_end_the_connection() -> None:
    connection = begun(Time(), streams=1)
    for number in range(1, 2 * int(BUDGETS[floods.REFUSED].most) + 2, 2):
        connection.receive(frame(frames.HEADERS, WHOLE, number, HEAD))
    assert connection.over is None
    refused = [frame for frame in connection.out if frame[3] == frames.RST_STREAM]
    assert len(refused) == BUDGETS[floods.REFUSED].most
    assert {frame[9:] for frame in refused} == {frames.uint32(frames.REFUSED_STREAM)}
    connection.receive(frame(frames.HEADERS, WHOLE, 1001, HEAD))
    assert connection.over is not None
    assert connection.over.flood == "refused_streams"


def test_a_field_section_in_too_many_pieces_ends_the_connection() -> None:
    connection = begun(Time())
    connection.receive(frame(frames.HEADERS, frames.END_STREAM, 1, HEAD))
    pieces = 0
    while connection.over is None:
        assert pieces < 50
        connection.receive(frame(frames.CONTINUATION, 0, 1, b""))
        pieces += 1
    assert connection.over.flood == floods.CONTINUATION_FLOOD


def test_a_field_section_that_grows_beyond_measure_ends_the_connection_before_it_is_read() -> None:
    connection = begun(Time())
    connection.receive(frame(frames.HEADERS, frames.END_STREAM, 1, HEAD))
    size = 0
    while connection.over is None:
        connection.receive(frame(frames.CONTINUATION, 0, 1, bytes(16_000)))
        size += 16_000
    assert connection.over.flood == floods.CONTINUATION_FLOOD
    assert size <= 2 * SETTINGS.fields + 3 * frames.FRAME_SIZE


def test_windows_opened_byte_by_byte_end_the_connection() -> None:
    connection = begun(Time())
    connection.receive(frames.settings({frames.INITIAL_WINDOW_SIZE: 1}) + frame(frames.HEADERS, WHOLE, 1, HEAD))
    connection.fields(1, encode([(b":status", b"200")]), end=False)
    body = bytes(10_000)
    sent = 0
    while connection.over is None:
        sent += connection.data(1, body, end=True, start=sent)
        connection.out.clear()
        for stream in connection.streams.values():
            stream.outgoing += 1  # what updates would do, which have a budget of their own
    assert connection.over.flood == "tiny_windows"
    assert sent <= BUDGETS[floods.TINY].most + 1


def test_answers_nobody_takes_end_the_connection_after_a_few() -> None:
    connection = begun(Time())
    for number in range(1, 100, 2):
        assert [type(event) for event in connection.receive(frame(frames.HEADERS, WHOLE, number, HEAD))] == [Fields]
        connection.stalled(number)
        if connection.over is not None:
            break
    assert connection.over is not None
    assert connection.over.flood == "stalled_windows"
    assert number == 2 * BUDGETS[floods.STALLED].most + 1


def test_honest_work_pays_for_pings_and_windows() -> None:
    account = Floods(Time())
    for _ in range(10_000):
        account.worked += 1
        account.count(floods.PING)
        account.count(floods.WINDOW)
    for _ in range(int(BUDGETS[floods.PING].most) - 1):
        account.count(floods.PING)
    with pytest.raises(ConnectionFailure):
        account.count(floods.PING)


def test_time_refills_a_budget_and_never_beyond_its_most() -> None:
    time = Time()
    account = Floods(time)
    most = int(BUDGETS[floods.EMPTY].most)
    for _ in range(2):
        for _ in range(most):
            account.count(floods.EMPTY)
        with pytest.raises(ConnectionFailure):
            account.count(floods.EMPTY)
        time.now += 1_000_000


def test_a_connections_window_that_stays_shut_ends_it_at_once() -> None:
    connection = begun(Time())
    connection.receive(frame(frames.HEADERS, WHOLE, 1, HEAD) + frames.settings({frames.INITIAL_WINDOW_SIZE: 100_000}))
    connection.fields(1, encode([(b":status", b"200")]), end=False)
    assert connection.data(1, bytes(100_000), end=True) == 65_535
    connection.stalled(1)
    assert connection.over is not None
    assert connection.over.flood == "stalled_windows"
