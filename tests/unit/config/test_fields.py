"""Field names and values as configuration may set them."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from edgeproxy.config.fields import EditableField, FieldValue

NAME: TypeAdapter[str] = TypeAdapter(EditableField)
VALUE: TypeAdapter[str] = TypeAdapter(FieldValue)


def test_names_are_in_lower_case() -> None:
    assert NAME.validate_python("X-Frame-Options") == "x-frame-options"


@pytest.mark.parametrize("name", ["Connection", "TE", "Transfer-Encoding", "Content-Length", "host", "a b", "a:", ""])
def test_names_that_are_none_or_the_engines_own_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(name)


@pytest.mark.parametrize(
    ("value", "kept"), [(" a\tb ", "a\tb"), (1, "1"), (0.5, "0.5"), ("", ""), ("\u00e9", "\u00e9")]
)
def test_values_are_one_line(value: object, kept: str) -> None:
    assert VALUE.validate_python(value) == kept


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00", "\x1f", "\x7f", True, None, ["a"]])
def test_values_that_would_break_a_message_are_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        VALUE.validate_python(value)
