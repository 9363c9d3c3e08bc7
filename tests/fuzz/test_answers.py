"""Origins' answers, whole, cut off and damaged, in any segments: the client sees the answer or sees that it broke."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.strategies import Given, answers, damaged, segments
from tests.support.client import Answer, NotHTTP, RawClient, Unfinished, first_answer
from tests.support.inprocess import InProcessEdge
from tests.support.origin import Hang, RecordedRequest, RecordingOrigin, answer
from tests.support.site import config as site_config

_DEEP = settings(settings.get_profile("default"), max_examples=4000, deadline=None, database=None)
_PLAIN = b"the answer that follows"
_BROKEN = {502, 504}


class Wire:
    """The proxy, and an origin that answers each target by its script, if it has one."""

    def __init__(self, origin: RecordingOrigin) -> None:
        config = site_config(origin.url, limits={"connections_per_client": 20000}, middleware={"bot_check": False})
        config["pools"]["site"] |= {"outlier": False, "retry": False, "timeouts": {"first_byte": "5s"}}
        self.edge = InProcessEdge(config)
        self.scripts: dict[bytes, list[bytes | Hang]] = {}
        self.played = threading.Event()
        """The origin has sent all of a script, as far as the proxy took it."""
        self.targets = (b"/%d" % number for number in itertools.count())

    def tell(self, request: RecordedRequest) -> Iterator[bytes | Hang]:
        script = self.scripts.get(request.target)
        if script is None:
            yield answer(200, _PLAIN, b"Cache-Control: no-store")
            return
        try:
            for piece in script:
                yield piece
                self.edge.settle()  # so that the next piece arrives by itself
        finally:
            self.played.set()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with RecordingOrigin() as origin:
        wire = Wire(origin)
        origin.answer = wire.tell
        with wire.edge:
            yield wire


def _get(method: bytes, target: bytes) -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: a.example\r\n\r\n"


def _relayed(wire: Wire, method: bytes, script: list[bytes | Hang]) -> Answer | None:
    """What the client sees of a scripted answer, None if it broke; whatever it was, the next exchange must be right."""
    target = next(wire.targets)
    wire.scripts[target] = script
    wire.played.clear()
    with RawClient(wire.edge.address) as client:
        client.send(_get(method, target))
        seen = client.answers(1, (method,))
        assert seen.final or client.closed, "the client waits for ever"
        # An origin's bytes behind its answer cost it the connection, once they are there to be seen.
        assert wire.played.wait(5)
        wire.edge.settle()
        if client.closed:
            assert not seen.final or not seen.final[0].until_close or seen.final[0].get(b"connection") == b"close"
        else:
            client.received.clear()
            client.send(_get(b"GET", b"/plain"))
            following = client.answers(1)
            assert [a.body for a in following.final] == [_PLAIN], following
    assert not wire.edge.faults
    del wire.scripts[target]
    relayed = seen.final[0] if seen.final else None
    _not_stored_broken(wire, target, method, relayed)
    return relayed


def _not_stored_broken(wire: Wire, target: bytes, method: bytes, relayed: Answer | None) -> None:
    """Asked again, the same target brings what was seen whole before, or the origin's next answer."""
    with RawClient(wire.edge.address) as client:
        client.send(_get(b"GET", target))
        again = client.answers(1).final[0]
    known = {_PLAIN} if relayed is None or method == b"HEAD" else {_PLAIN, relayed.body}
    assert again.body in known, "an answer that was never whole came from the cache"


def _whole(wire: Wire, given: Given, pieces: list[bytes]) -> None:
    relayed = _relayed(wire, given.method, [*pieces, *([Hang.CLOSE] if given.close else [])])
    assert relayed is not None
    assert relayed.status == given.status
    assert relayed.body == (b"" if given.method == b"HEAD" else given.body)


def _cut_off(wire: Wire, given: Given, pieces: list[bytes], end: Hang) -> None:
    """``pieces`` are a beginning of the answer's bytes, shorter than the whole."""
    received = b"".join(pieces)
    relayed = _relayed(wire, given.method, [*pieces, end])
    if relayed is None or relayed.status in _BROKEN:
        return
    expected = first_answer(received, given.method)  # raises Unfinished: the proxy took a part for the whole
    assert relayed.status == expected.status
    assert relayed.body == expected.body
    assert end is Hang.CLOSE or not expected.until_close, "a reset is no end of a body"


def _damaged(wire: Wire, method: bytes, data: bytes, pieces: list[bytes]) -> None:
    relayed = _relayed(wire, method, [*pieces, Hang.CLOSE])
    if relayed is None or relayed.status in _BROKEN:
        return
    try:
        expected = first_answer(data, method)
    except NotHTTP:
        return  # read more kindly than by the test's parser; that nothing is mixed up is seen above
    except Unfinished:
        pytest.fail(f"taken for a whole answer: {data!r}")
    assert relayed.status == expected.status
    assert relayed.body == expected.body


_pieces = answers().flatmap(lambda given: st.tuples(st.just(given), segments(given.wire)))


@st.composite
def _beginnings(draw: st.DrawFn) -> tuple[Given, list[bytes], Hang]:
    given = draw(answers())
    cut = given.wire[: draw(st.integers(0, len(given.wire) - 1))]
    return given, draw(segments(cut)) if cut else [], draw(st.sampled_from(Hang))


@st.composite
def _spoilt(draw: st.DrawFn) -> tuple[bytes, bytes, list[bytes]]:
    given = draw(answers())
    data = draw(damaged(given.wire))
    return given.method, data, draw(segments(data)) if data else []


@given(_pieces)
def test_a_whole_answer_arrives_as_it_was(wire: Wire, drawn: tuple[Given, list[bytes]]) -> None:
    _whole(wire, *drawn)


@given(_beginnings())
def test_an_answer_cut_off_is_never_taken_for_whole(wire: Wire, drawn: tuple[Given, list[bytes], Hang]) -> None:
    _cut_off(wire, *drawn)


@given(_spoilt())
def test_a_damaged_answer_is_never_mixed_up(wire: Wire, drawn: tuple[bytes, bytes, list[bytes]]) -> None:
    _damaged(wire, *drawn)


@pytest.mark.slow
@_DEEP
@given(_pieces)
def test_whole_answers_at_length(wire: Wire, drawn: tuple[Given, list[bytes]]) -> None:
    _whole(wire, *drawn)


@pytest.mark.slow
@_DEEP
@given(_beginnings())
def test_answers_cut_off_at_length(wire: Wire, drawn: tuple[Given, list[bytes], Hang]) -> None:
    _cut_off(wire, *drawn)


@pytest.mark.slow
@_DEEP
@given(_spoilt())
def test_damaged_answers_at_length(wire: Wire, drawn: tuple[bytes, bytes, list[bytes]]) -> None:
    _damaged(wire, *drawn)
