"""The messages of an ONNX file, each field checked against what it must be, and all of them counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgeproxy.inference.onnx_schema import FIELDS, LISTS, WIRES
from edgeproxy.inference.protobuf import BYTES, Field, WireError, fields, signed

PARTS: Final = 2_000_000  # fields altogether, which is what reading costs
KEPT: Final = 250_000  # fields of one message that are held in memory
_NAME: Final = 10_000  # bytes
_SHOWN: Final = 60  # characters of a name in a sentence

# Lists of texts of which only the number matters: a tensor's, an attribute's.
_COUNTED: Final = {("TensorProto", 6), ("AttributeProto", 9)}

Message = dict[int, list[Field]]


class VetError(ValueError):
    """A file that is not let in. The text says what is wrong, and where."""


class Messages:
    """Reads messages out of ``content``. Raises VetError, and WireError for what is none."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.all = Field(0, BYTES, 0, 0, len(content))
        self._parts = 0

    def fields(self, message: str, place: Field) -> Iterator[Field]:
        """The fields of the message of this name that lies there."""
        known, lists = FIELDS[message], LISTS[message]
        once: set[int] = set()
        for part in fields(self.content, place.start, place.end, lists):
            self._parts += 1
            if self._parts > PARTS:
                raise VetError(f"it has more than {PARTS} parts")
            what = known.get(part.number)
            if what is None:
                raise WireError(f"at byte {part.start}: {message} has no field {part.number}")
            if part.wire != WIRES[what.rstrip("*")] and not (part.number in lists and part.wire == BYTES):
                raise WireError(f"at byte {part.start}: field {part.number} of {message} is not what it must be")
            if what[-1] != "*":  # a reader would take the last of them, or put them together
                if part.number in once:
                    raise WireError(f"at byte {part.start}: field {part.number} of {message} is given twice")
                once.add(part.number)
            yield part

    def read(self, message: str, place: Field) -> Message:
        """The fields of a message by their number."""
        found: Message = {}
        kept = 0
        for part in self.fields(message, place):
            listed = found.setdefault(part.number, [])
            if listed and (message, part.number) in _COUNTED:
                listed[0] = listed[0]._replace(elements=listed[0].elements + 1)
                continue
            kept += 1
            if kept > KEPT:
                raise VetError(f"at byte {place.start}: a {message} of more than {KEPT} parts")
            listed.append(part)
        return found

    def whole(self, parts: Message, number: int) -> int:
        """A field's whole number; 0 where it is not given."""
        return signed(parts[number][0].value) if number in parts else 0

    def text(self, parts: Message, number: int) -> str:
        """A field's text; "" where it is not given."""
        return self.show(parts[number][0]) if number in parts else ""

    def show(self, place: Field) -> str:
        """A name."""
        if place.end - place.start > _NAME:
            raise VetError(f"at byte {place.start}: a name of {place.end - place.start} bytes")
        return self.content[place.start : place.end].decode(errors="backslashreplace")


def short(name: str) -> str:
    """A name as it stands in a sentence."""
    return repr(name if len(name) <= _SHOWN else name[:_SHOWN] + "…")
