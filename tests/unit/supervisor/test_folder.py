from __future__ import annotations

import stat
from pathlib import Path

from edgeproxy.supervisor.folder import PREFIX, SECRET, SECRET_BYTES, Folder


def test_it_is_the_users_alone_has_a_secret_and_is_gone_when_closed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert len((folder.path / SECRET).read_bytes()) == SECRET_BYTES
    folder.close()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_node_left_is_removed_and_a_running_ones_is_not(tmp_path: Path) -> None:
    left = tmp_path / f"{PREFIX}dead"
    left.mkdir()
    (left / "table").touch()
    first = Folder(tmp_path)
    second = Folder(tmp_path)
    assert not left.exists()
    assert first.path.is_dir()
    assert second.path.is_dir()
    first.close()
    second.close()


def test_two_nodes_draw_two_secrets(tmp_path: Path) -> None:
    first, second = Folder(tmp_path), Folder(tmp_path)
    assert (first.path / SECRET).read_bytes() != (second.path / SECRET).read_bytes()
    first.close()
    second.close()
