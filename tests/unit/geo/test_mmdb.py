"""One MMDB file, asked for addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeproxy.geo.mmdb import open_database
from edgeproxy.geo.verify import DamagedError
from edgeproxy.pipeline.exchange import NOWHERE, Place
from tests.support.mmdb import country, mmdb, network


def written(folder: Path, content: bytes) -> str:
    file = folder / "a.mmdb"
    file.write_bytes(content)
    return str(file)


def test_addresses_are_where_the_file_says(tmp_path: Path) -> None:
    content = mmdb({"192.0.2.0/24": country("DE"), "2001:db8::/32": network(64496, "Example")})
    database = open_database(written(tmp_path, content), None)
    assert database.find("192.0.2.7") == Place("DE")
    assert database.find("2001:db8::7") == Place(asn=64496, organisation="Example")
    assert database.find("198.51.100.1") == NOWHERE
    assert database.built == 1_800_000_000
    assert repr(database) == "<Database Test>"


def test_a_file_of_ipv4_alone_knows_no_ipv6(tmp_path: Path) -> None:
    database = open_database(written(tmp_path, mmdb({"192.0.2.0/24": country("DE")}, version=4)), None)
    assert database.find("192.0.2.7") == Place("DE")
    assert database.find("2001:db8::7") == NOWHERE


def test_it_goes_on_when_the_file_is_cut_short_under_it(tmp_path: Path) -> None:
    """A mapped file that shrinks is SIGBUS."""
    file = tmp_path / "a.mmdb"
    file.write_bytes(mmdb({f"{number}.0.0.0/8": country("DE") for number in range(1, 200)}))
    database = open_database(str(file), tmp_path)
    file.write_bytes(b"")
    assert database.find("199.1.1.1") == Place("DE")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>", "no metadata"),
        (mmdb({"0.0.0.0/1": {"is_anonymous": True}}), "neither country nor network"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DamagedError, match=said):
        open_database(written(tmp_path, content), None)


def test_a_tree_that_goes_in_circles_is_refused(tmp_path: Path) -> None:
    whole = mmdb({"0.0.0.0/0": country("DE"), "2001:db8::/32": country("AT")}, bits=24)
    with pytest.raises(DamagedError):
        open_database(
            written(tmp_path, bytes(6) * (whole.index(bytes(16)) // 6) + whole[whole.index(bytes(16)) :]), None
        )
