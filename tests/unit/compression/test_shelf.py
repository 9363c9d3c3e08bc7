"""The shelf: what is found on it, what leaves it, and what damaged files do."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from edgeproxy.compression.offers import Offer
from edgeproxy.compression.shelf import Bounds, Shelf

ORIGIN, OTHER = b"https://a.test", b"https://b.test"
OFFER = Offer("/app.*.js", ("script",))
NOW = 1_800_000_000.0
BOUNDS = Bounds(size=1_000_000, number=100, versions=100, keep=1000)


def put(shelf: Shelf, body: bytes, offer: Offer = OFFER, now: float = NOW, origin: bytes = ORIGIN) -> bytes:
    shelf.put(body, origin, "/app.1.js", offer, True, now)
    return hashlib.sha256(body).digest()


def has(shelf: Shelf, body: bytes, now: float = NOW, origin: bytes = ORIGIN) -> bool:
    return shelf.find(hashlib.sha256(body).digest(), origin, now) is not None


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_every_worker_finds_what_one_has_put(tmp_path: Path) -> None:
    digest = put(Shelf(tmp_path / "made", BOUNDS), b"body\nmore")
    shelf = Shelf(tmp_path / "made", BOUNDS)
    found = shelf.find(digest, ORIGIN, NOW)
    assert found is not None
    assert digest == hashlib.sha256(b"body\nmore").digest()
    assert found.pattern.covers(b"/app.2.js")
    assert not found.pattern.covers(b"/other")
    assert (found.destinations, found.readable, found.origin) == (frozenset({b"script"}), True, ORIGIN)
    assert found.facet == b"dcz=" + digest.hex().encode()
    assert shelf.read(found) == b"body\nmore"
    assert repr(found) == f"<Dictionary {digest.hex()[:12]} https://a.test /app.*.js>"


def test_a_dictionary_is_one_of_its_own_origin_alone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, BOUNDS)
    put(shelf, b"body")
    assert not has(shelf, b"body", origin=OTHER)
    put(shelf, b"body", Offer("/other/*"), origin=OTHER)
    for origin, target in ((ORIGIN, b"/app.2.js"), (OTHER, b"/other/2")):
        found = Shelf(tmp_path, BOUNDS).find(hashlib.sha256(b"body").digest(), origin, NOW)
        assert found is not None
        assert found.pattern.covers(target)


def test_one_that_expired_is_not_found_and_goes_with_the_next_put(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, BOUNDS)
    put(shelf, b"body")
    assert has(shelf, b"body", NOW + 999)
    assert not has(shelf, b"body", NOW + 1000)
    assert not has(Shelf(tmp_path, BOUNDS), b"body", NOW + 1000)
    put(shelf, b"next", now=NOW + 1000)
    assert len(files(tmp_path)) == 1


def test_what_another_worker_removed_is_missed_within_a_minute(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, BOUNDS)
    digest = put(shelf, b"body")
    found = shelf.find(digest, ORIGIN, NOW)
    assert found is not None
    files(tmp_path)[0].unlink()
    assert shelf.read(found) is None
    assert has(shelf, b"body", NOW + 59)
    assert not has(shelf, b"body", NOW + 60)


def test_what_is_there_is_written_anew_when_half_its_time_is_over_or_it_is_for_others(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, BOUNDS)

    def written(now: float, offer: Offer = OFFER) -> int:
        put(shelf, b"body", offer, now)
        return files(tmp_path)[0].stat().st_ino

    first = written(NOW)
    assert written(NOW + 499) == first
    assert files(tmp_path)[0].stat().st_mtime == NOW + 499
    second = written(NOW + 500)
    assert second != first
    assert has(Shelf(tmp_path, BOUNDS), b"body", NOW + 1499)
    assert written(NOW + 501, Offer("/*")) != second


@pytest.mark.parametrize(
    "bounds", [BOUNDS._replace(number=3), BOUNDS._replace(versions=3), BOUNDS._replace(size=3 * 400)], ids=repr
)
def test_bounds_hold_and_the_longest_unused_go_first(tmp_path: Path, bounds: Bounds) -> None:
    shelf = Shelf(tmp_path, bounds)
    bodies = [b"%d" % n * 250 for n in range(4)]
    for n, body in enumerate(bodies[:3]):
        put(shelf, body, now=NOW + n)
    assert has(Shelf(tmp_path, bounds), bodies[0], NOW + 10)  # a look is a use
    put(shelf, bodies[3], now=NOW + 11)
    assert [has(Shelf(tmp_path, bounds), body, NOW + 12) for body in bodies] == [True, False, True, True]


def test_versions_are_counted_for_each_match_of_each_origin(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, BOUNDS._replace(versions=1))
    put(shelf, b"a", now=NOW)
    put(shelf, b"b", Offer("/style.*.css"), NOW + 1)
    put(shelf, b"c", origin=OTHER, now=NOW + 2)
    assert len(files(tmp_path)) == 3
    put(shelf, b"d", now=NOW + 3)
    assert not has(shelf, b"a", NOW + 3)
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{}\n",
        b"[1, 2]\n",
        b"null\n",
        b"[" * 5000 + b"\n",
        b"\xff\n",
        json.dumps(["https://a.test", "/app.1.js", "/(.*)", [], True, NOW + 1]).encode() + b"\n",
        json.dumps(["https://b.test", "/app.1.js", "/app.*.js", [], True, NOW + 1]).encode() + b"\n",
        json.dumps(["https://a.test", "/app.1.js", "/app.*.js", 5, True, NOW + 1]).encode() + b"\n",
        json.dumps(["https://a.test", "/app.1.js", "/app.*.js", [], True, "soon"]).encode() + b"\n",
    ],
)
def test_a_damaged_head_is_no_dictionary(tmp_path: Path, head: bytes) -> None:
    put(Shelf(tmp_path, BOUNDS), b"body")
    file = files(tmp_path)[0]
    file.write_bytes(head + b"body")
    shelf = Shelf(tmp_path, BOUNDS)
    assert not has(shelf, b"body")
    put(shelf, b"next")
    assert has(shelf, b"next")


def test_a_damaged_body_is_not_used_and_is_removed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, BOUNDS)
    digest = put(shelf, b"body")
    file = files(tmp_path)[0]
    file.write_bytes(file.read_bytes()[:-1])
    found = shelf.find(digest, ORIGIN, NOW)
    assert found is not None
    assert shelf.read(found) is None
    assert files(tmp_path) == []


def test_files_of_others_stay_and_unfinished_ones_go(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("an operator's")
    (tmp_path / "x.dictionary-new").write_text("its writer was killed")
    shelf = Shelf(tmp_path, BOUNDS)
    put(shelf, b"body")
    assert [file.suffix for file in files(tmp_path)] == [".dictionary", ".txt"]


def test_a_full_folder_is_an_error_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.utime", full)
    with pytest.raises(OSError, match="No space"):
        put(Shelf(tmp_path, BOUNDS), b"body")
    assert files(tmp_path) == []


def test_what_a_worker_remembers_is_bounded(tmp_path: Path) -> None:
    writer, reader = Shelf(tmp_path, BOUNDS), Shelf(tmp_path, BOUNDS._replace(number=4))
    for n in range(10):
        put(writer, b"%d" % n)
        assert has(reader, b"%d" % n)
    assert "2 known" in repr(reader)
