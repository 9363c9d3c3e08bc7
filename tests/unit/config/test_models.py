"""The section of models: what it takes, and what it refuses before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.config.models import ModelsConfig

SHA = "0" * 64


def refused(settings: dict[str, Any], context: dict[str, Any] | None = None) -> str:
    with pytest.raises(ValidationError) as error:
        ModelsConfig.model_validate(settings, context=context)
    return str(error.value)


def test_nothing_has_to_be_said() -> None:
    assert ModelsConfig() == ModelsConfig.model_validate({})


def test_a_folder_starts_where_the_configuration_lies_and_is_there(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    told = ModelsConfig.model_validate({"folder": "models"}, context={"folder": tmp_path})
    assert told.folder == str(tmp_path / "models")
    assert "no folder that may be read" in refused({"folder": "elsewhere"}, {"folder": tmp_path})


def test_what_is_fetched_comes_by_a_way_nobody_can_change() -> None:
    told = {"remote": {"tags": {"url": "https://models.example.net/tags.tar.gz", "sha256": SHA}}}
    assert ModelsConfig.model_validate(told).remote["tags"].sha256 == SHA
    for url in ("http://models.example.net/tags.tar.gz", "ftp://127.0.0.1/x", "file:///etc/passwd"):
        assert "https" in refused({"remote": {"tags": {"url": url, "sha256": SHA}}})
    assert "sha256" in refused({"remote": {"tags": {"url": "https://a.example/x"}}})


def test_endpoints_further_in_are_urls_and_their_tokens_stay_secret() -> None:
    told = ModelsConfig.model_validate({"regional": {"url": "https://a.example/models/", "token": "let me in"}})
    assert told.regional is not None
    assert told.regional.url == "https://a.example/models"
    assert "let me in" not in repr(told)
    assert "no URL of the web" in refused({"central": {"url": "a.example"}})


def test_a_name_stands_in_a_list_once() -> None:
    assert "twice" in refused({"only": ["a", "a"]})
