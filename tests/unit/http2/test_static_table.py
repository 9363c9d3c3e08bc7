"""The static table, compared with the `hpack` package's."""

from __future__ import annotations

from hpack.table import HeaderTable

from edgeproxy.http.headers import usual_name
from edgeproxy.http2 import static_table


def test_it_is_the_table_others_have() -> None:
    assert tuple(static_table.FIELDS[1:]) == HeaderTable.STATIC_TABLE
    assert len(HeaderTable.STATIC_TABLE) == static_table.SIZE


def test_a_field_is_found_by_its_first_number() -> None:
    assert static_table.NUMBERS[b":method", b"POST"] == 3
    assert static_table.NAMES[b":method"] == 2
    assert static_table.NAMES[b"www-authenticate"] == 61


def test_names_are_the_objects_fields_are_looked_up_with() -> None:
    assert all(name is usual_name(name) for name, _ in static_table.FIELDS[1:])
