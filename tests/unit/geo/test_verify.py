"""MMDB files that are whole, and such that are not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.geo.verify import MARKER, DamagedError, main, verify, verify_apart
from tests.support.mmdb import country, mmdb, network

NETWORKS = {
    **{f"{number}.0.0.0/8": country(code) for number, code in enumerate(["DE", "AT", "CH", "FR"] * 8, 1)},
    "2001:db8::/32": {**network(64496, "Example"), "float": 1.5, "yes": True, "list": [1, 2**40, "x" * 300]},
}
GOOD = mmdb(NETWORKS)

# What the C reader is asked of a file that has passed: all that a node would, in a process that may die of it.
READ = """
import sys, maxminddb
for path in sys.argv[1:]:
    try:
        reader = maxminddb.open_database(path, maxminddb.MODE_MMAP_EXT)
    except maxminddb.InvalidDatabaseError:
        continue
    for number in range(256):
        for address in (f"{number}.1.2.3", f"2001:db{number:x}::1"):
            try:
                reader.get(address)
            except (maxminddb.InvalidDatabaseError, ValueError):
                pass
"""


@pytest.mark.parametrize("bits", [24, 28, 32])
@pytest.mark.parametrize("version", [4, 6])
def test_whole_files_pass(bits: int, version: int) -> None:
    networks = {text: record for text, record in NETWORKS.items() if version == 6 or ":" not in text}
    verify(mmdb(networks, bits=bits, version=version))


def test_a_file_cut_short_anywhere_is_found() -> None:
    for end in range(GOOD.rfind(MARKER) + len(MARKER) + 40):
        with pytest.raises(DamagedError):
            verify(GOOD[:end])


@pytest.mark.parametrize("bits", [24, 28, 32])
def test_a_record_that_names_the_middle_of_a_value_is_found(bits: int) -> None:
    whole = mmdb({"10.0.0.0/8": country("DE")}, bits=bits, version=4)
    leaf, shifted = ((8 + 16 + inside).to_bytes(3, "big") for inside in (0, 3))
    place = whole.rfind(leaf, 0, 8 * bits // 4)
    assert place > 0
    with pytest.raises(DamagedError, match="tree names data"):
        verify(whole[:place] + shifted + whole[place + 3 :])


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (b"", "no metadata"),
        (b"<html>maintenance</html>", "no metadata"),
        (MARKER, "end in the middle"),
        (mmdb(NETWORKS, node_count=7), "does not end where its data begin"),
        (mmdb(NETWORKS, record_size=25), "no known form"),
        (mmdb(NETWORKS, binary_format_major_version=3), "no known form"),
        (mmdb(NETWORKS, build_epoch="yesterday"), "no known form"),
        (GOOD.replace(b"Country DE", b"Country \xff\xfe"), "no UTF-8"),
    ],
)
def test_what_is_wrong_is_said(damaged: bytes, said: str) -> None:
    with pytest.raises(DamagedError, match=said):
        verify(damaged)


def deep(levels: int) -> object:
    return {"a": deep(levels - 1)} if levels else 1


@pytest.mark.parametrize("record", [deep(40), [[["x"] * 100] * 100] * 2])
def test_records_that_would_take_too_much_to_read_are_refused(record: object) -> None:
    with pytest.raises(DamagedError, match=r"deeper|more than"):
        verify(mmdb({"10.0.0.0/8": {"x": record}}))


def test_pointers_go_to_what_stands_before_them_only() -> None:
    own = mmdb({"10.0.0.0/8": {"a": "b"}}, version=4)
    at = own.index(b"\x41a\x41b")
    with pytest.raises(DamagedError, match="data that are not there"):
        verify(own[: at + 2] + b"\x20\x00" + own[at + 4 :])  # the map itself, which is not whole yet


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_of_any_kind_is_found_or_harmless(changes: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    try:
        verify(bytes(content))
    except DamagedError:
        pass


def test_the_reader_survives_what_has_passed(tmp_path: Path) -> None:
    """Of files with flipped bits, those that pass are read by the C reader, in one process: damage to its memory adds
    up until it shows."""
    passed = []
    for place in range(0, len(GOOD) - 1, 3):
        for bit in (0, 3, 6):
            content = bytearray(GOOD)
            content[place] ^= 1 << bit
            try:
                verify(bytes(content))
            except DamagedError:
                continue
            file = tmp_path / f"{place}-{bit}.mmdb"
            file.write_bytes(content)
            passed.append(str(file))
    assert len(passed) > 20
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ, *passed],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONMALLOC": "malloc_debug"},
    )
    assert done.returncode == 0, done.stderr


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.mmdb"
    file.write_bytes(GOOD)
    assert main(str(file)) == 0
    file.write_bytes(GOOD[:-400])
    assert main(str(file)) == 1
    assert "no metadata" in capsys.readouterr().out


def test_an_open_file_is_gone_through_in_a_process_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "a.mmdb"
    file.write_bytes(GOOD)
    with file.open("rb") as content:
        verify_apart(content.fileno())
    file.write_bytes(b"nothing of the kind")
    with file.open("rb") as content, pytest.raises(DamagedError, match="no metadata"):
        verify_apart(content.fileno())
