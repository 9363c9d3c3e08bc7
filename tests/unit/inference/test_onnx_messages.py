"""Each field is what it must be, and comes as often as it may."""

from __future__ import annotations

import pytest

from edgeproxy.inference.onnx_messages import Messages, VetError, short
from edgeproxy.inference.protobuf import WireError
from tests.support.onnx_bytes import field, varint


def test_fields_come_by_number_and_texts_are_counted() -> None:
    content = field(8, "w") + field(2, 8) + field(1, 2) + field(1, 3) + field(6, "one") + field(6, "two")
    messages = Messages(content)
    parts = messages.read("TensorProto", messages.all)
    assert messages.text(parts, 8) == "w"
    assert messages.text(parts, 12) == ""
    assert (messages.whole(parts, 2), messages.whole(parts, 14)) == (8, 0)
    assert [each.elements for each in parts[1]] == [2]
    assert [each.elements for each in parts[6]] == [2]


def test_negative_numbers_are_negative() -> None:
    messages = Messages(field(1, -5))
    assert messages.whole(messages.read("ModelProto", messages.all), 1) == -5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (field(99, 1), "at byte 2: TensorProto has no field 99"),
        (field(2, "text"), "field 2 of TensorProto is not what it must be"),
        (field(8, 5), "field 8 of TensorProto is not what it must be"),
        (field(4, 5), "field 4 of TensorProto is not what it must be"),
        (field(8, "a") + field(8, "b"), "field 8 of TensorProto is given twice"),
    ],
)
def test_others_are_no_such_message(content: bytes, said: str) -> None:
    messages = Messages(content)
    with pytest.raises(WireError, match=said):
        messages.read("TensorProto", messages.all)


def test_lists_may_be_packed_or_not() -> None:
    for content in (field(1, varint(2) + varint(3)), field(1, 2) + field(1, 3)):
        messages = Messages(content)
        assert messages.read("TensorProto", messages.all)[1][0].elements == 2


def test_names_have_a_bound_and_need_be_no_utf8() -> None:
    messages = Messages(field(8, b"\xff\x00"))
    assert messages.text(messages.read("TensorProto", messages.all), 8) == "\\xff\x00"
    messages = Messages(field(8, b"w" * 10_001))
    with pytest.raises(VetError, match="a name of 10001 bytes"):
        messages.text(messages.read("TensorProto", messages.all), 8)
    assert short("a\nb") == r"'a\nb'"
    assert len(short("w" * 9_000)) == 63
