"""Our connection beside the ``h2`` library's: the same frames to both, and each as the other's peer."""

from __future__ import annotations

from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeproxy.http2 import frames
from edgeproxy.http2.connection import Connection
from edgeproxy.http2.errors import Refused
from edgeproxy.http2.events import Answered, Data, Event, Fields, Leaving, Reset, Trailers
from edgeproxy.http2.hpack import encode
from edgeproxy.http2.settings import Settings

OWN = Settings(streams=100, window=80_000, connection_window=200_000, fields=16_000)
REQUEST = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/"), (b":authority", b"a.example")]
OK = [(b":status", b"200"), (b"server", b"s")]
TRAILER = [(b"x-sum", b"1")]


def library(*, client: bool) -> h2.connection.H2Connection:
    made = h2.connection.H2Connection(
        h2.config.H2Configuration(client_side=client, header_encoding=None, validate_inbound_headers=False)
    )
    if not client:
        made.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: OWN.streams,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: OWN.window,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: OWN.fields,
            },
        )
    made.initiate_connection()
    if not client:
        made.increment_flow_control_window(OWN.connection_window - frames.WINDOW_FIRST)
    return made


class Pair:
    """A client of ``h2`` that two servers hear: ours, and another ``h2``; what one answers the other does too."""

    def __init__(self) -> None:
        self.client = library(client=True)
        self.oracle = library(client=False)
        self.own = Connection(OWN, clock=lambda: 0.0)
        self.own.begin()
        self.heard: list[tuple[Any, ...]] = []
        self.expected: list[tuple[Any, ...]] = []
        self.exchange()

    def exchange(self) -> None:
        """All that was written goes to its reader, until nothing more is."""
        while (sent := self.client.data_to_send()) or self.own.out:
            self.heard += [told for event in self.own.receive(sent) if (told := plain(event))]
            self.expected += [told for event in self.oracle.receive_data(sent) if (told := plain_of(event))]
            self.oracle.data_to_send()
            self.client.receive_data(b"".join(self.own.out))
            self.own.out.clear()

    def compare(self) -> None:
        assert self.heard == self.expected
        assert self.own.outgoing == self.oracle.outbound_flow_control_window
        assert self.own.over is None
        for number, stream in self.own.streams.items():
            theirs = self.oracle.streams[number]
            assert stream.outgoing == theirs.outbound_flow_control_window, number
            assert stream.state == STATES[theirs.state_machine.state.name]
        assert len(self.own.streams) == self.oracle.open_inbound_streams


STATES = {"OPEN": 1, "HALF_CLOSED_LOCAL": 2, "HALF_CLOSED_REMOTE": 3}


def plain(event: Event) -> tuple[Any, ...] | None:
    if isinstance(event, Fields):
        return ("fields", event.stream, event.fields, event.ended)
    if isinstance(event, Data):
        return ("data", event.stream, event.data, event.size, event.ended)
    if isinstance(event, Trailers):
        return ("trailers", event.stream, event.fields)
    if isinstance(event, Reset):
        return ("reset", event.stream, event.code)
    return ("answered",) if isinstance(event, Answered) else None


def plain_of(event: h2.events.Event) -> tuple[Any, ...] | None:
    if isinstance(event, h2.events.RequestReceived):
        return ("fields", event.stream_id, [tuple(field) for field in event.headers or ()], bool(event.stream_ended))
    if isinstance(event, h2.events.DataReceived):
        size = event.flow_controlled_length
        return ("data", event.stream_id, event.data, size, bool(event.stream_ended))
    if isinstance(event, h2.events.TrailersReceived):
        return ("trailers", event.stream_id, [tuple(field) for field in event.headers or ()])
    if isinstance(event, h2.events.StreamReset) and event.remote_reset:
        return ("reset", event.stream_id, int(event.error_code or 0))
    return ("answered",) if isinstance(event, h2.events.PingAckReceived) else None


actions = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("open", "open", "data", "data", "end", "trailers", "cancel", "ping", "window", "windows", "settings"),
                *("answer", "answer-data", "answer-data", "answer-end", "answer-reset", "interim"),
            ]
        ),
        st.integers(0, 5),
        st.integers(0, 40_000),
    ),
    min_size=30,
    max_size=50,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions)
def test_ours_hears_what_the_library_hears_and_keeps_the_same_windows(steps: list[tuple[str, int, int]]) -> None:
    pair = Pair()
    asking: list[int] = []  # what may be done with which streams: the library's own checks leave it broken
    unanswered: list[int] = []
    answering: list[int] = []
    streams = {
        **dict.fromkeys(("data", "end", "trailers"), asking),
        **dict.fromkeys(("answer", "interim"), unanswered),
        **dict.fromkeys(("answer-data", "answer-end"), answering),
    }
    for action, which, size in steps:
        if action == "open":
            number = pair.client.get_next_available_stream_id()
            unanswered.append(number)
            if size % 3:
                asking.append(number)
        elif action in {"ping", "windows", "settings"}:
            number = 0
        else:
            known = streams.get(action) or unanswered + answering
            if not known or (action in streams and not streams[action]):
                continue
            number = known[which % len(known)]
        if action == "data" and size > pair.client.local_flow_control_window(number):
            continue
        if action == "answer-end" and pair.own.streams[number].outgoing < 0:
            continue  # the library's client takes no end then, though it takes none of a window
        act(pair, action, number, size)
        if action in {"end", "trailers", "cancel", "answer-reset"} and number in asking:
            asking.remove(number)
        if action in {"answer", "cancel", "answer-reset"} and number in unanswered:
            unanswered.remove(number)
            if action == "answer" and size % 4:
                answering.append(number)
        if action in {"answer-end", "cancel", "answer-reset"} and number in answering:
            answering.remove(number)
        pair.exchange()
        pair.compare()


def act(pair: Pair, action: str, number: int, size: int) -> None:
    client, own, oracle = pair.client, pair.own, pair.oracle
    match action:
        case "answer" | "interim":
            head = OK if action == "answer" else [(b":status", b"103")]
            end = action == "answer" and size % 4 == 0
            oracle.send_headers(number, head, end_stream=end)
            own.fields(number, encode(head), end=end)
        case "answer-data":
            sent = min(size, own.window(number))
            for at in range(0, sent, frames.FRAME_SIZE):
                oracle.send_data(number, bytes(min(frames.FRAME_SIZE, sent - at)))
            assert own.data(number, bytes(size), end=False) == sent
        case "answer-end":
            oracle.end_stream(number)
            assert own.data(number, b"", end=True) == 0
        case "answer-reset":
            oracle.reset_stream(number, frames.CANCEL)
            own.reset(number, frames.CANCEL)
        case _:
            ask(client, action, number, size)


def ask(client: h2.connection.H2Connection, action: str, number: int, size: int) -> None:
    match action:
        case "open":
            client.send_headers(number, REQUEST, end_stream=size % 3 == 0)
        case "data":
            client.send_data(number, bytes(size % 16_000), pad_length=size % 250 if size % 2 else None)
        case "end":
            client.end_stream(number)
        case "trailers":
            client.send_headers(number, TRAILER, end_stream=True)
        case "cancel":
            client.reset_stream(number, frames.CANCEL)
        case "ping":
            client.ping(bytes(8))
        case "window":
            client.increment_flow_control_window(size + 1, number)
        case "windows":
            client.increment_flow_control_window(size + 1)
        case "settings":
            client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: size + 1})


def server() -> tuple[Connection, h2.connection.H2Connection]:
    """Ours as the client of the library's server."""
    own = Connection(OWN._replace(push=False), client=True, clock=lambda: 0.0)
    own.begin()
    theirs = library(client=False)
    theirs.receive_data(b"".join(own.out))
    own.out.clear()
    own.receive(theirs.data_to_send())
    return own, theirs


def test_as_a_client_it_asks_and_hears_interim_answers_body_and_trailers() -> None:
    own, theirs = server()
    assert own.settled
    number = own.request(encode(REQUEST), end=False)
    assert own.data(number, bytes(100_000), end=True) == 65_535 or own.window(number) == 0
    theirs.receive_data(b"".join(own.out))
    for head in ([(b":status", b"100")], [(b":status", b"103"), (b"link", b"</a>")], OK):
        theirs.send_headers(number, head)
    theirs.send_data(number, b"body")
    theirs.send_headers(number, TRAILER, end_stream=True)
    events = own.receive(theirs.data_to_send())
    assert [plain(event) for event in events] == [
        ("fields", 1, [(b":status", b"100")], False),
        ("fields", 1, [(b":status", b"103"), (b"link", b"</a>")], False),
        ("fields", 1, OK, False),
        ("data", 1, b"body", 4, False),
        ("trailers", 1, TRAILER),
    ]


def test_as_a_client_it_opens_no_more_than_both_sides_bear() -> None:
    own, theirs = server()
    theirs.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 2})
    own.receive(theirs.data_to_send())
    assert own.room == 2
    own.request(encode(REQUEST), end=True)
    own.request(encode(REQUEST), end=True)
    with pytest.raises(Refused):
        own.request(encode(REQUEST), end=True)


def test_as_a_client_it_forgets_the_streams_a_leaving_server_has_not_seen() -> None:
    own, theirs = server()
    for _ in range(3):
        own.request(encode(REQUEST), end=True)
    theirs.receive_data(b"".join(own.out))
    theirs.close_connection(last_stream_id=1)
    (event,) = own.receive(theirs.data_to_send())
    assert isinstance(event, Leaving)
    assert (event.last, list(own.streams)) == (1, [1])


def test_a_server_may_not_take_more_room_than_it_was_given_nor_promise() -> None:
    own, _ = server()
    own.request(encode(REQUEST), end=True)
    own.receive(frames.frame(frames.PUSH_PROMISE, 4, 1, frames.uint32(2) + encode(REQUEST)))
    assert own.over is not None
    assert own.over.code == frames.PROTOCOL_ERROR


def test_a_long_head_is_cut_and_read_whole() -> None:
    pair = Pair()
    pair.client.send_headers(1, REQUEST, end_stream=True)
    pair.exchange()
    fields = [*OK, *((b"x-%d" % n, b"v" * 1000) for n in range(60))]
    pair.own.fields(1, encode(fields), end=True)
    assert [frame[3] for frame in pair.own.out] == [frames.HEADERS] + [frames.CONTINUATION] * 3
    events = pair.client.receive_data(b"".join(pair.own.out))
    pair.own.out.clear()
    (response,) = [event for event in events if isinstance(event, h2.events.ResponseReceived)]
    assert [tuple(field) for field in response.headers or ()] == fields


def test_a_client_with_a_smaller_table_is_told_that_none_is_used() -> None:
    pair = Pair()
    pair.client.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: 100})
    pair.client.send_headers(1, REQUEST, end_stream=True)
    pair.client.send_headers(3, REQUEST, end_stream=True)
    pair.exchange()
    assert not pair.own.answer(1, encode(OK), b"body")
    pair.own.fields(1, encode(OK), end=False)
    pair.own.data(1, b"body", end=True)
    assert pair.own.answer(3, encode(OK), b"body")
    events = pair.client.receive_data(b"".join(pair.own.out))
    assert len([event for event in events if isinstance(event, h2.events.StreamEnded)]) == 2


def test_an_answer_goes_whole_or_not_at_all() -> None:
    pair = Pair()
    pair.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 100})
    pair.client.send_headers(1, REQUEST, end_stream=True)
    pair.exchange()
    assert not pair.own.answer(1, encode(OK), bytes(101))
    assert pair.own.out == []
    assert pair.own.answer(1, encode(OK), bytes(100))
    assert pair.own.streams == {}
    assert pair.own.answer(1, encode(OK), bytes(100)), "a stream that is over takes everything"


def test_leaving_is_said_twice_and_what_was_on_its_way_is_served() -> None:
    pair = Pair()
    own = pair.own
    request = frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, encode(REQUEST))
    own.shut()
    goaway, ping = own.out
    assert goaway[9:13] == frames.uint32(frames.STREAM_MOST)
    assert ping[3] == frames.PING
    own.out.clear()
    assert [type(event) for event in own.receive(request)] == [Fields]
    own.receive(frames.frame(frames.PING, frames.ACK, 0, ping[9:]))
    assert own.out == [frames.frame(frames.GOAWAY, 0, 0, frames.uint32(1) + frames.uint32(frames.NO_ERROR))]
    assert not own.left
    assert own.receive(request.replace(frames.uint32(1), frames.uint32(3), 1)) == []
    own.fields(1, encode(OK), end=True)
    assert own.left


def test_a_stream_that_is_over_takes_nothing_more() -> None:
    pair = Pair()
    pair.client.send_headers(1, REQUEST)
    pair.exchange()
    pair.own.reset(1, frames.NO_ERROR)
    assert len(pair.own.out) == 1
    pair.own.reset(1, frames.NO_ERROR)
    pair.own.fields(1, encode(OK), end=True)
    assert pair.own.data(1, bytes(10), end=True) == 10
    assert len(pair.own.out) == 1
    assert pair.own.window(1) == pair.own.inflow(1) == 0
