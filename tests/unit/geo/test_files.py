"""Several files, looked after."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest

from edgeproxy.geo.files import Files
from edgeproxy.pipeline.exchange import NOWHERE, Place
from tests.support.mmdb import country, mmdb, network

GERMAN = mmdb({"192.0.2.0/24": country("DE")})


def put(file: Path, content: bytes | None) -> None:
    """Write over a file in place, or remove it."""
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)


def copies(folder: Path) -> list[Path]:
    return list(folder.glob("*.mmdb"))


class Kept:
    """Files under test: what is counted, and how often something changed."""

    def __init__(self, folder: Path, *paths: Path) -> None:
        self.outcomes: list[tuple[str, str]] = []
        self.changes = 0
        self.files = Files(map(str, paths), folder, self._changed, lambda *told: self.outcomes.append(told))

    def _changed(self) -> None:
        self.changes += 1

    def country(self) -> str:
        return self.files.find("192.0.2.7").country

    async def settled(self) -> None:
        """What stood still from one look to the next is taken."""
        await self.files.look()
        await self.files.look()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "country.mmdb"
    path.write_bytes(GERMAN)
    return path


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def kept(file: Path, shared: Path) -> Kept:
    kept = Kept(shared, file)
    kept.files.open()
    return kept


def test_files_are_laid_over_each_other(file: Path, tmp_path: Path, shared: Path) -> None:
    other = tmp_path / "asn.mmdb"
    other.write_bytes(mmdb({"192.0.0.0/16": network(64496, "Example") | country("AT")}))
    files = Kept(shared, file, other).files
    assert files.find("192.0.2.7") == NOWHERE
    files.open()
    assert files.find("192.0.2.7") == Place("DE", asn=64496, organisation="Example")
    assert files.find("192.0.9.7") == Place("AT", asn=64496, organisation="Example")
    assert files.built() == [("country.mmdb", 1_800_000_000), ("asn.mmdb", 1_800_000_000)]


@pytest.mark.parametrize("content", [None, b"", b"<html>"])
def test_what_cannot_be_used_is_an_error_that_names_the_file(file: Path, shared: Path, content: bytes | None) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{file} cannot be used: "):
        Kept(shared, file).files.open()


async def test_a_file_that_is_replaced_is_taken_when_it_stands_still(kept: Kept, file: Path) -> None:
    fresh = file.with_name("fresh")
    fresh.write_bytes(mmdb({"192.0.2.0/24": country("AT")}))
    fresh.replace(file)
    await kept.files.look()
    assert kept.country() == "DE"
    await kept.files.look()
    assert (kept.country(), kept.changes, kept.outcomes) == ("AT", 1, [("country.mmdb", "ok")])
    await kept.settled()
    assert kept.changes == 1


async def test_a_file_that_is_written_over_in_place_is_taken_when_it_is_whole(
    kept: Kept, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = mmdb({"192.0.2.0/24": country("AT")})
    for end in range(0, len(content), 100):
        put(file, content[:end])
        await kept.files.look()
        assert kept.country() == "DE"
    put(file, content)
    await kept.settled()
    assert kept.country() == "AT"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("content", [b"", b"<html>", mmdb({"192.0.2.0/24": country("AT")})[:-30]])
async def test_a_damaged_file_leaves_the_one_there_was_and_is_told_once(
    kept: Kept, file: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    put(file, content)
    for _ in range(3):
        await kept.settled()
    assert kept.country() == "DE"
    assert kept.outcomes == [("country.mmdb", "refused")]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(file) in caplog.text
    put(file, mmdb({"192.0.2.0/24": country("CH")}))
    await kept.settled()
    assert kept.country() == "CH"


async def test_a_file_that_is_gone_leaves_the_one_there_was(
    kept: Kept, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(file, None)
    for _ in range(3):
        await kept.settled()
    assert kept.country() == "DE"
    assert "it is gone" in caplog.text
    assert kept.outcomes == [("country.mmdb", "refused")]
    put(file, GERMAN)
    await kept.settled()
    assert kept.outcomes[1:] == [("country.mmdb", "ok")]


async def test_a_file_touched_but_unchanged_keeps_its_copy(kept: Kept, file: Path, shared: Path) -> None:
    os.utime(file, (1, 1))
    await kept.settled()
    assert kept.country() == "DE"
    assert len(copies(shared)) == 1


async def test_one_copy_of_what_is_in_service_is_left_and_none_in_the_end(kept: Kept, file: Path, shared: Path) -> None:
    await kept.files.start()
    for code in ("AT", "CH", "FR"):
        put(file, mmdb({"192.0.2.0/24": country(code)}))
        await kept.settled()
        assert len(copies(shared)) == 1
    await kept.files.stop()
    assert copies(shared) == []
    assert kept.country() == "FR"
    assert [task for task in asyncio.all_tasks() if "Files" in repr(task)] == []
