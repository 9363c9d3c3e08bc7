"""A connection without a socket: what it does when two things happen in the same turn of the loop."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.config.pools import TimeoutsConfig
from edgeproxy.errors import EdgeError
from edgeproxy.http.message import Request
from edgeproxy.origin.client import Connection
from edgeproxy.origin.wire import Call

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok"


class Line(asyncio.Transport):
    """Keeps what is written, and says how it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.state = "open"

    def write(self, data) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.state = "paused"

    def resume_reading(self) -> None:
        self.state = "open"

    def is_closing(self) -> bool:
        return self.state in {"closed", "aborted"}

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"


class Owner:
    def __init__(self) -> None:
        self.timeouts = TimeoutsConfig()
        self.outcomes: list[tuple[EdgeError | None, int, bool]] = []

    def ended(self, connection, error, status) -> None:
        self.outcomes.append((error, status, connection.reusable))

    def lost(self, connection) -> None:
        pass


@pytest.fixture
async def parts():
    owner = Owner()
    connection = Connection(owner, asyncio.get_running_loop())
    line = Line()
    connection.connection_made(line)
    yield connection, line, owner
    connection.deadline.cancel()


def ask(connection: Connection) -> asyncio.Future:
    call = Call(Request(b"GET", b"/", {}), asyncio.get_running_loop().time() + 10)
    return connection.send(call, call.head(b"h"))


async def test_giving_up_before_the_answer_aborts(parts):
    connection, line, owner = parts
    answer = ask(connection)
    answer.cancel()
    connection.give_up(answer)
    assert line.state == "aborted"
    assert owner.outcomes == [(None, 0, False)]


async def test_giving_up_a_whole_answer_leaves_the_next_exchange_alone(parts):
    connection, line, owner = parts
    first = ask(connection)
    connection.data_received(WHOLE)
    second = ask(connection)
    connection.give_up(first)
    assert line.state == "open"
    connection.data_received(WHOLE)
    assert (await second).body == b"ok"
    assert owner.outcomes == [(None, 200, True), (None, 200, True)]


async def test_giving_up_a_streamed_answer_that_nobody_has_read_aborts(parts):
    connection, line, owner = parts
    answer = ask(connection)
    connection.data_received(PART)
    connection.give_up(answer)
    assert line.state == "aborted"
    assert owner.outcomes == [(None, 0, False)]


async def test_a_cancelled_wait_whose_answer_came_in_the_same_turn_keeps_the_connection(parts):
    connection, line, owner = parts
    answer = ask(connection)
    answer.cancel()
    connection.data_received(WHOLE)
    connection.give_up(answer)
    assert line.state == "open"
    assert owner.outcomes == [(None, 200, True)]


async def test_a_connection_whose_reader_holds_it_back_is_not_reused(parts):
    """The old answer's reader would let the next answer's flow on."""
    connection, line, owner = parts
    size = 400_000
    answer = ask(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    connection.data_received(b"x" * size)
    assert owner.outcomes == [(None, 200, False)]
    assert line.state == "closed"
    body = (await answer).body
    assert len(await body.read()) == size
    assert await body.read() == b""


async def test_an_exchange_ends_once(parts):
    connection, _, owner = parts
    answer = ask(connection)
    connection.data_received(b"rubbish")
    connection.connection_lost(None)
    connection.abort()
    assert len(owner.outcomes) == 1
    with pytest.raises(EdgeError):
        await answer
