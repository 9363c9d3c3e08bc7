from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Request
from edgeproxy.origin.http2_answer import Answer, head_of
from edgeproxy.origin.wire import Call

OK = (b":status", b"200")


def answer(method: bytes = b"GET", headers: dict[bytes, bytes] | None = None) -> Answer:
    return Answer(Call(Request(method, b"/", headers or {}), 0.0))


def test_a_head():
    pairs = [OK, (b"x", b"1"), (b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"x", b"2"), (b"trailer", b"x-sum")]
    assert head_of(pairs) == (200, {b"x": b"1, 2", b"set-cookie": b"a\nb"})


def test_an_answer_in_pieces():
    got = answer()
    got.take_head([OK, (b"content-length", b"5")], ended=False)
    got.take_data(b"hel")
    got.take_data(b"")
    assert not got.whole
    got.take_data(b"lo")
    got.finish()
    assert (got.status, got.chunks, got.whole) == (200, [b"hel", b"lo"], True)


def test_trailers_end_it_without_what_they_may_not_say():
    got = answer()
    got.take_head([OK], ended=False)
    got.take_trailers([(b"x-sum", b"1"), (b"content-type", b"text/html")])
    assert (got.trailers, got.whole) == ({b"x-sum": b"1"}, True)


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", b"200"), (b"GET", b"304"), (b"GET", b"204")])
def test_where_no_body_belongs_none_is_taken(method, status):
    got = answer(method)
    got.take_head([(b":status", status), (b"content-length", b"9")], ended=False)
    with pytest.raises(EdgeError):
        got.take_data(b"x")


def test_a_tunnel_is_one_only_if_it_was_asked_for_and_granted():
    asked = {b"connection": b"upgrade", b"upgrade": b"websocket"}
    for headers, status, switched in ((asked, b"200", True), (asked, b"404", False), ({}, b"200", False)):
        got = answer(headers=headers)
        got.take_head([(b":status", status)], ended=False)
        assert got.switched is switched


PAIRS = st.lists(
    st.tuples(
        st.one_of(st.binary(max_size=8), st.sampled_from([b":status", b"content-length", b"x-a", b"connection"])),
        st.one_of(st.binary(max_size=8), st.sampled_from([b"200", b"103", b"5", b"a"])),
    ),
    max_size=6,
)
STEPS = st.lists(st.one_of(st.tuples(PAIRS, st.booleans()), st.binary(max_size=4), PAIRS.map(tuple)), max_size=6)


@given(STEPS)
def test_whatever_comes_is_an_answer_or_an_origins_error(steps):
    got = answer()
    errors: list[EdgeError] = []
    for step in steps:
        try:
            if isinstance(step, bytes):
                got.take_data(step)
            elif len(step) == 2 and isinstance(step[1], bool):
                got.take_head(step[0], ended=step[1])
            else:
                got.take_trailers(step)
        except EdgeError as error:
            errors.append(error)
            break
    assert {error.source for error in errors} <= {"origin"}
    assert {error.kind for error in errors} <= {Kind.RESPONSE_INVALID, Kind.RESPONSE_TOO_LARGE}
