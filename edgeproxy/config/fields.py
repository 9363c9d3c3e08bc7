"""Header fields as configuration may set them: nothing that would break a message's framing gets in."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from edgeproxy.config.values import FieldName
from edgeproxy.http.headers import HOP_BY_HOP

# For the message's framing and routing, which the engine alone decides.
_ENGINES_OWN = HOP_BY_HOP | {b"content-length", b"host"}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _editable(name: str) -> str:
    if name.encode() in _ENGINES_OWN:
        raise ValueError(f"{name} belongs to the connection or the framing and cannot be edited")
    return name


def _own(name: str) -> str:
    if name in ("authorization", "cookie"):
        raise ValueError(f"{name} is where credentials come from; choose a field of your own, like x-user")
    return name


def _value(value: Any) -> Any:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if isinstance(text, str):
        if _CONTROL.search(text):
            raise ValueError("a field value is one line without control characters")
        return text.strip(" \t")
    return value


EditableField = Annotated[FieldName, AfterValidator(_editable)]
"""A field name in lower case, none of those that frame or route a message."""

OwnField = Annotated[EditableField, AfterValidator(_own)]
"""The same for a field in which the edge tells the origin what it found out: none of those credentials come in."""

FieldValue = Annotated[str, BeforeValidator(_value)]
"""A field value (RFC 9110 §5.5): one line, no control characters, no blanks around it."""
