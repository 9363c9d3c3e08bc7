from __future__ import annotations

from pathlib import Path

import pytest

from edgeproxy.commands.config_file import default_config


def test_default_configuration_is_the_local_one_else_the_packaged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_config().is_absolute()
    assert default_config().is_file()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "edgeproxy.yaml").touch()
    assert default_config() == Path("config/edgeproxy.yaml")
