"""Settings of dictionaries: what is refused, and what is built."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.compression.choice import Choice
from edgeproxy.compression.dictionary_settings import DictionarySettings
from edgeproxy.compression.offers import Offer
from middleware.compression import Compression
from tests.support.stages import services, stage

CHOICE = Choice(["text/*"], 0)


def test_a_rule_is_a_path_or_a_map() -> None:
    settings = DictionarySettings.model_validate(
        {"match": ["/a.*.js", {"path": "/b.*.css", "destinations": "style"}, {"path": "/c", "destinations": []}]}
    )
    assert [rule.offer() for rule in settings.match] == [Offer("/a.*.js"), Offer("/b.*.css", ("style",)), Offer("/c")]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"match": "app.js"}, "does not begin with a slash"),
        ({"match": "/(.*)"}, "has *, :name and literal text"),
        ({"match": "/**"}, "not understood"),
        ({"match": [{"path": "/a", "destinations": ["picture"]}]}, "document"),
        ({"match": [{"destinations": ["script"]}]}, "Field required"),
        ({"level": 20}, "less than or equal to 19"),
        ({"versions": 0}, "greater than or equal to 1"),
        ({"largest": "9MB"}, "less than or equal to 8388608"),
        ({"size": 5}, "greater than or equal to"),
        ({"number": 0}, "greater than or equal to 1"),
        ({"keep": "1s"}, "greater than or equal to 60"),
        ({"folder": "dictionaries"}, "not an absolute path"),
        ({"dictionary": 1}, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused_with_the_reason(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as refused:
        stage(Compression, {"dictionaries": settings})
    assert why in str(refused.value)


def test_where_nothing_is_served_nothing_is_built() -> None:
    assert DictionarySettings().build(CHOICE, services()) is None


def test_the_folder_is_the_nodes_or_the_one_named(tmp_path: Path) -> None:
    lent = dataclasses.replace(services(), folder=tmp_path / "node")
    for settings, folder in (({}, tmp_path / "node" / "dictionaries"), ({"folder": str(tmp_path)}, tmp_path)):
        built = DictionarySettings.model_validate(settings).build(CHOICE, lent)
        assert built is not None
        assert built._shelf.folder == folder


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = DictionarySettings(folder=str(tmp_path / "file" / "dictionaries"))
    with pytest.raises(ValueError, match="no folder that may be written"):
        settings.build(CHOICE, services())
