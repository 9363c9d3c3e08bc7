from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edgeproxy.config.load import load_text
from edgeproxy.config.watch import Status, Watch, files_of, status


class Disk:
    """Files whose status the test sets."""

    def __init__(self, **files: int | None) -> None:
        self.files = files

    def stat(self, path: str) -> Status:
        version = self.files[path]
        return None if version is None else (version, 10, 1)


def test_nothing_changed() -> None:
    watch = Watch(["a"], Disk(a=1).stat)
    assert [watch.look() for _ in range(3)] == [False] * 3


def test_change_is_told_once_when_it_has_settled() -> None:
    disk = Disk(a=1, b=1)
    watch = Watch(["a", "b"], disk.stat)
    disk.files["a"] = 2
    assert not watch.look()  # may still be written
    disk.files["a"] = 3
    assert not watch.look()
    assert watch.look()
    assert not watch.look()


def test_file_that_goes_away_is_no_change_until_it_is_back() -> None:
    disk = Disk(a=1)
    watch = Watch(["a"], disk.stat)
    disk.files["a"] = None
    assert [watch.look() for _ in range(3)] == [False] * 3
    disk.files["a"] = 2
    assert [watch.look() for _ in range(3)] == [False, True, False]


def test_other_files_can_be_watched_from_now_on() -> None:
    disk = Disk(a=1, b=1)
    watch = Watch(["a"], disk.stat)
    disk.files["a"] = 2
    watch.watch(["a", "b"])
    disk.files["b"] = 2
    assert [watch.look() for _ in range(3)] == [False, True, False]  # a's change was not lost, nor told twice


def test_status_sees_replacement_and_what_symbolic_links_lead_to(tmp_path: Path) -> None:
    """A ConfigMap is swapped by one rename of the link ``..data``; the path that is watched stays as it is."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "edge.yaml").write_text("same size")
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "edge.yaml").symlink_to("..data/edge.yaml")
    before = status(str(tmp_path / "edge.yaml"))
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").rename(tmp_path / "..data")
    assert status(str(tmp_path / "edge.yaml")) != before
    assert status(str(tmp_path / "none")) is None


async def test_run_calls_back_once_a_change() -> None:
    disk, told, slept = Disk(a=1), [], 0

    async def sleep(seconds: float) -> None:
        nonlocal slept
        slept += 1
        if slept == 2:
            disk.files["a"] = 2
        if slept == 8:
            raise asyncio.CancelledError

    async def changed() -> None:
        told.append(slept)

    with pytest.raises(asyncio.CancelledError):
        await Watch(["a"], disk.stat).run(changed, sleep=sleep)
    assert told == [3]


def test_files_of_names_configuration_certificates_and_authorities(tmp_path: Path) -> None:
    for name in ("a.pem", "a.key", "ca.pem", "o.pem"):
        (tmp_path / name).touch()
    config = load_text(
        """
listeners:
  - address: :443
    tls: {certificates: [{certificate: a.pem, key: a.key}], client_ca: ca.pem}
pools: {site: {endpoints: [https://a], tls: {ca: o.pem}}}
routes: [{name: all, pool: site}]
""",
        str(tmp_path / "edge.yaml"),
    )
    names = [Path(file).name for file in files_of(str(tmp_path / "edge.yaml"), config)]
    assert names == ["a.key", "a.pem", "ca.pem", "edge.yaml", "o.pem"]
