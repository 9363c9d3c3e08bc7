from __future__ import annotations

import itertools
import random

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin.answer import FIELD_LIMIT, HEAD_LIMIT, Answer

OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = [
    OK + b"Content-Length: 5\r\nX: a \r\nx: b\r\n\r\nhello",
    OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: X-Y\r\nX-Y: 1\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nab",
    OK + b"\r\nuntil the end",
    OK + b"Content-Length: 2\r\n\r\nab" + OK + b"Content-Length: 2\r\n\r\nxy",
    OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nab",
    OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
]


def outcome(*segments: bytes, head_only: bool = False, tunnel: bool = False):
    """What is known when all segments have come, fed as a connection does: nothing more once the answer is whole."""
    answer = Answer()
    answer.expect(head_only=head_only, tunnel=tunnel)
    try:
        for segment in segments:
            if answer.whole:
                answer.persists = False  # bytes nobody asked for
                break
            answer.feed(segment)
    except EdgeError as error:
        return error.kind
    return (
        answer.status,
        answer.head,
        b"".join(answer.chunks),
        answer.fields if answer.whole else None,
        answer.whole,
        answer.persists,
        answer.until_eof,
    )


@pytest.mark.parametrize("wire", ANSWERS)
def test_where_segments_end_makes_no_difference(wire):
    expected = outcome(wire)
    for cut in range(1, len(wire)):
        assert outcome(wire[:cut], wire[cut:]) == expected
    assert outcome(*(wire[i : i + 1] for i in range(len(wire)))) == expected
    draw = random.Random(7)
    for _ in range(50):
        cuts = sorted({0, len(wire), *draw.sample(range(len(wire)), 5)})
        assert outcome(*(wire[a:b] for a, b in itertools.pairwise(cuts))) == expected


def test_what_came_of_them():
    whole = [outcome(wire) for wire in ANSWERS]
    assert whole[0] == (200, {b"content-length": b"5", b"x": b"a, b"}, b"hello", {}, True, True, False)
    assert whole[1] == (200, {}, b"abcde", {b"x-sum": b"5"}, True, True, False)
    assert whole[2] == (200, {b"content-length": b"1"}, b"a", {}, True, True, False)
    assert whole[3] == (204, {}, b"", {}, True, True, False)
    assert whole[4] == (304, {b"content-length": b"10"}, b"", {}, True, True, False)
    assert whole[5] == (200, {b"content-length": b"0"}, b"", {}, True, True, False)
    assert whole[6] == (200, {b"content-length": b"2"}, b"ab", {}, True, False, False)
    assert whole[7] == (200, {}, b"until the end", None, False, False, True)
    assert whole[8] == (200, {b"content-length": b"2"}, b"ab", {}, True, False, False)
    assert whole[9:] == [Kind.RESPONSE_INVALID, Kind.RESPONSE_INVALID]


@pytest.mark.parametrize(
    ("head", "persists"),
    [
        (OK + b"Content-Length: 9\r\n\r\n", True),
        (OK + b"\r\n", True),
        (OK + b"Connection: close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", True),
    ],
)
def test_the_answer_to_head_is_whole_with_its_head(head, persists):
    answer = Answer()
    for _ in range(2):  # the next answer is not taken for this one's body
        answer.expect(head_only=True, tunnel=False)
        answer.feed(head)
        assert (answer.whole, answer.persists, answer.chunks) == (True, persists, [])


def test_a_switch_leaves_what_came_behind_it():
    answer = Answer()
    answer.expect(head_only=False, tunnel=True)
    answer.feed(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n\x81\x01a")
    assert (answer.status, answer.switched) == (101, b"\x81\x01a")
    assert answer.head == {b"connection": b"Upgrade", b"upgrade": b"websocket"}


def test_a_switch_to_what_was_not_asked_for_is_refused():
    assert (
        outcome(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", tunnel=True) is Kind.RESPONSE_INVALID
    )


@pytest.mark.parametrize("name", [b"X-%d: 1\r\n", b"X: %d\r\n"])
def test_bounds_of_a_head(name):
    fields = b"".join(name % i for i in range(FIELD_LIMIT - 1))
    assert outcome(OK + fields + b"Content-Length: 0\r\n\r\n")[0] == 200
    assert outcome(OK + fields + b"Y: 1\r\nContent-Length: 0\r\n\r\n") is Kind.RESPONSE_TOO_LARGE
    long = b"X: %b\r\nContent-Length: 0\r\n\r\n"
    assert outcome(OK + long % (b"a" * (HEAD_LIMIT - 100)))[0] == 200
    assert outcome(OK + long % (b"a" * HEAD_LIMIT)) is Kind.RESPONSE_TOO_LARGE


def test_a_long_body_behind_a_head_is_no_large_head():
    size = 4 * HEAD_LIMIT
    assert outcome(OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)[0] == 200


def test_interim_answers_are_passed_on_with_what_is_the_origins_own():
    heard = []
    answer = Answer()
    answer.expect(head_only=False, tunnel=False, interim=lambda status, fields: heard.append((status, fields)))
    answer.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
    answer.feed(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nConnection: X\r\nX: 1\r\nContent-Length: 5\r\n\r\n"
    )
    answer.feed(OK + b"Content-Length: 2\r\n\r\nok")
    assert heard == [(102, {}), (103, {b"link": b"</a>, </b>"})]
    assert (answer.status, answer.head) == (200, {b"content-length": b"2"})
