"""Pydantic's errors in plain words: what was wrong and what would be right."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeproxy.config.phrases import nearest, phrase
from edgeproxy.config.units import Duration, Share, Size
from edgeproxy.config.values import Many, Name


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    timeout: Duration = Field(5, ge=0.1, le=3600)
    level: Literal["low", "medium", "high"] = "low"


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: Size = Field(1, ge=1000)
    share: Share = Field(1, le=0.5)
    count: int = Field(1, gt=0, lt=10)
    flag: bool = False
    text: str = ""
    name: Name = "a"
    inner: Inner = Inner()
    many: Annotated[tuple[Inner, ...], Many] = Field((), max_length=2)
    some: tuple[str, ...] = Field(("a",), min_length=1)
    by_name: dict[str, Inner] = {}
    source: str = Field("", alias="from")


def said(given: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as raised:
        Outer.model_validate(given)
    (error,) = raised.value.errors()
    return phrase(error, Outer)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sise": 1}, "unknown key; did you mean 'size'?"),
        ({"inner": {"time": 1}}, "unknown key; did you mean 'timeout'?"),
        ({"by_name": {"x": {"lvel": 1}}}, "unknown key; did you mean 'level'?"),
        ({"inner": {"qqq": 1}}, "unknown key; there is level, timeout"),
        ({"fron": "x"}, "unknown key; did you mean 'from'?"),
        ({"inner": {"level": "hihg"}}, "must be low, medium or high; did you mean 'high'?"),
        ({"inner": {"level": 7}}, "must be low, medium or high"),
        ({"inner": {"timeout": 0}}, "out of range; from 100ms to 1h"),
        ({"many": [{"timeout": "2d"}]}, "out of range; from 100ms to 1h"),
        ({"size": 5}, "out of range; at least 1KB"),
        ({"share": "80%"}, "out of range; at most 50%"),
        ({"count": 10}, "out of range; from more than 0 to less than 10"),
        ({"count": "x"}, "must be a whole number"),
        ({"flag": "maybe"}, "must be true or false"),
        ({"text": 5}, "must be text"),
        ({"inner": 5}, "must be a map of settings"),
        ({"by_name": []}, "must be a map"),
        ({"some": "a"}, "must be a list"),
        ({"some": []}, "must not be empty"),
        ({"many": [{}] * 3}, "may have at most 2 entries"),
        ({"name": "a b"}, "is not a name: letters, digits, '_', '-' and '.', at most 64, a letter or digit first"),
        ({"size": "big"}, "'big' is not a size; write it like 512, 32KB, 10MB or 1GiB"),
    ],
)
def test_a_mistake_is_said_in_words(given: dict[str, Any], words: str) -> None:
    assert said(given) == words


def test_the_nearest_word_is_offered_else_all_there_are() -> None:
    assert nearest("rouets", {"routes", "pools"}) == "; did you mean 'routes'?"
    assert nearest("zzz", {"routes", "pools"}) == "; there is pools, routes"
    assert nearest("zzz", ()) == ""
