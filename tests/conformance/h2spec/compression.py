"""RFC 7541: blocks that cannot be decoded end the connection with COMPRESSION_ERROR."""

from __future__ import annotations

from tests.conformance.h2spec.steps import Case, Step, case, connection_error, head
from tests.conformance.h2spec.wire import HEADER_TABLE_SIZE, Code, Wire

NAMED = bytes.fromhex("00 85 f2b24a84ff")  # a literal named x-test; its value follows


def _case(id_: str, says: str, *steps: Step) -> Case:
    return case(id_, says, *steps, connection_error(Code.COMPRESSION_ERROR))


def _beyond_announced(wire: Wire) -> None:
    size = wire.settings.get(HEADER_TABLE_SIZE, 4096) + 1 - 0x1F
    change = bytearray(b"\x3f")
    while size >= 0x80:
        change.append(0x80 | size & 0x7F)
        size >>= 7
    change.append(size)
    head(before=bytes(change))(wire)


CASES = (
    _case("hpack/2.3.3/1", "an indexed field beyond the tables", head(behind=b"\xc6")),
    _case("hpack/2.3.3/2", "a literal whose name is beyond the tables", head(behind=b"\x7f\x07\x00")),
    _case("hpack/4.2/1", "a change of the table's size behind the fields", head(behind=b"\x21")),
    _case("hpack/5.2/1", "padding of more than 7 bits", head(behind=NAMED + bytes.fromhex("84 49509fff"))),
    _case("hpack/5.2/2", "padding of zeros", head(behind=NAMED + bytes.fromhex("83 495090"))),
    _case("hpack/5.2/3", "the end of string in a string", head(behind=NAMED + bytes.fromhex("87 4951fffffffa7f"))),
    _case("hpack/6.1/1", "an indexed field 0", head(behind=b"\x80")),
    _case("hpack/6.3/1", "a table larger than announced", _beyond_announced),
)
