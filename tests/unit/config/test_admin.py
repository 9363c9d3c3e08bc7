"""The admin listener's token: one of a value and a file, long enough, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgeproxy.config.admin import AdminConfig

TOKEN = "sixteen-or-more-characters"


def config(folder: Path | None = None, **settings: str) -> AdminConfig:
    return AdminConfig.model_validate(settings, context={"folder": folder})


def test_the_token_comes_from_its_key_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f" {TOKEN}\n")
    assert config().secret() is None
    assert config(token=TOKEN).secret() == TOKEN
    assert config(tmp_path, token_file="token").secret() == TOKEN


def test_it_is_not_shown() -> None:
    assert TOKEN not in repr(config(token=TOKEN))
    assert TOKEN not in config(token=TOKEN).model_dump_json()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"token": "short"}, "16 characters"),
        ({"token": ""}, "16 characters"),
        ({"token_file": "short"}, "short cannot be used: a token has 16"),
        ({"token_file": "bytes"}, "bytes cannot be used"),
        ({"token_file": "none"}, "no such file"),
        ({"token": TOKEN, "token_file": "good"}, "one of token and token_file"),
    ],
)
def test_what_would_guard_nothing_is_refused(settings: dict[str, str], told: str, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(TOKEN)
    (tmp_path / "short").write_text("short")
    (tmp_path / "bytes").write_bytes(b"\xff" * 20)
    with pytest.raises(ValidationError, match=told) as raised:
        config(tmp_path, **settings)
    assert TOKEN not in str(raised.value.errors(include_input=False))


def test_a_file_that_is_gone_is_an_error_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    made = config(tmp_path, token_file="token")
    (tmp_path / "token").unlink()
    with pytest.raises(ValueError, match="cannot be used"):
        made.secret()
