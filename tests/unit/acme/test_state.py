from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.acme.state import NEW, ORDERS_KEPT, Order, State, decode, decode_orders, encode, encode_orders

STATE = State(due=5.0, expires=9.0, failures=2, retry=7.0, reason="refused", asked=3.0, suggested=4.0, on_demand=True)

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*State._fields, "x"]), inner),
    max_leaves=12,
)


def test_a_state_comes_back_as_it_was() -> None:
    assert decode(encode(STATE)) == STATE
    assert decode(encode(NEW)) == NEW


def test_what_is_no_state_is_a_new_one() -> None:
    for data in (None, b"", b"{}", b"[]", b'"x"', b"\xff", encode(STATE)[:-5], b"[" * 100_000):
        assert decode(data) == NEW
    for change in ({"failures": -1}, {"failures": 1.5}, {"due": "x"}, {"due": 1e400}, {"on_demand": 1}, {"new": 1}):
        assert decode(json.dumps(STATE._asdict() | change).encode()) == NEW


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_whatever_lies_there_is_read_without_an_error(data: bytes) -> None:
    assert isinstance(decode(data), State)
    assert all(isinstance(order, Order) for order in decode_orders(data))


def test_a_reason_is_one_line() -> None:
    assert decode(encode(STATE._replace(reason="a\nb\x1b[31m" + "x" * 1000))).reason.startswith("a b [31mxxx")
    assert len(decode(encode(STATE._replace(reason="x" * 1000))).reason) == 400


def test_something_is_to_be_done_when_it_is_due_or_the_authority_is_to_be_asked() -> None:
    assert State(due=10.0).next == 10
    assert State(due=10.0, retry=20.0).next == 20
    assert State(due=10.0, asked=5.0).next == 5
    assert State(due=10.0, asked=5.0, retry=7.0).next == 7


def test_orders_come_back_and_are_bounded() -> None:
    orders = [Order(float(at), at % 2 == 0) for at in range(ORDERS_KEPT + 10)]
    assert decode_orders(encode_orders(orders)) == orders[10:]
