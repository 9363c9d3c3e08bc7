"""Pydantic's errors in the words of whoever writes the file: what was wrong, and what would be right."""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Union, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, PlainSerializer
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from edgeproxy.config.errors import Loc
from edgeproxy.config.values import NAME

_PHRASES = {
    "missing": "is required",
    "string_type": "must be text",
    "bytes_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be a map",
    "model_type": "must be a map of settings",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "string_too_short": "must not be empty",
}
_RANGE = {"greater_than_equal", "greater_than", "less_than_equal", "less_than"}
# The errors a number or truth value makes where text was wanted: the scalar's text is then tried instead.
TEXT_WANTED = {"string_type", "bytes_type", "literal_error", "enum"}


def phrase(error: ErrorDetails, model: type[BaseModel]) -> str:
    """The message for one of ``model``'s errors; ``error["loc"]`` counts from it."""
    kind, loc, context = error["type"], error["loc"], error.get("ctx", {})
    if kind == "extra_forbidden":
        owner, _ = _type_at(model, loc[:-1])
        return f"unknown key{nearest(str(loc[-1]), _keys(owner))}"
    if kind == "literal_error":
        choices = [str(choice) for choice in get_args(_type_at(model, loc)[0])]
        given = error["input"]
        close = difflib.get_close_matches(given, choices, 1, cutoff=0.7) if isinstance(given, str) else []
        must = f"must be {_either(choices)}" if choices else f"must be {context['expected']}"
        return f"{must}; did you mean {close[0]!r}?" if close else must
    if kind in _RANGE:
        return f"out of range; {_range(_type_at(model, loc)[1], context)}"
    if kind == "too_short":
        return "must not be empty" if context["min_length"] == 1 else f"needs at least {context['min_length']} entries"
    if kind == "too_long":
        return f"may have at most {context['max_length']} entries"
    if kind == "string_pattern_mismatch" and context.get("pattern") == NAME:
        return "is not a name: letters, digits, '_', '-' and '.', at most 64, a letter or digit first"
    if kind == "value_error":
        return str(context["error"])
    return _PHRASES.get(kind) or error["msg"][:1].lower() + error["msg"][1:]


def nearest(word: str, known: Iterable[str]) -> str:
    """What may have been meant, or else what there is: the end of a sentence."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is {', '.join(known)}" if known else ""


def _either(choices: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))


def _keys(owner: Any) -> list[str]:
    if not (isinstance(owner, type) and issubclass(owner, BaseModel)):
        return []
    return [field.alias or name for name, field in owner.model_fields.items()]


def _range(metadata: list[Any], context: dict[str, Any]) -> str:
    show: Callable[[Any], str] = str
    for meta in metadata:
        if isinstance(meta, PlainSerializer):
            show = cast("Callable[[Any], str]", meta.func)
    low = next((meta for meta in metadata if isinstance(meta, Ge | Gt)), None)
    high = next((meta for meta in metadata if isinstance(meta, Le | Lt)), None)
    if low is None and high is None:
        (bound, value), *_rest = context.items()
        return f"must be {bound} {value}"
    lowest = (
        ("" if isinstance(low, Ge) else "more than ") + show(low.ge if isinstance(low, Ge) else low.gt) if low else ""
    )
    highest = (
        ("" if isinstance(high, Le) else "less than ") + show(high.le if isinstance(high, Le) else high.lt)
        if high
        else ""
    )
    if lowest and highest:
        return f"from {lowest} to {highest}"
    return f"at least {lowest}" if lowest else f"at most {highest}"


def _type_at(model: type[BaseModel], loc: Loc) -> tuple[Any, list[Any]]:
    """The type and the annotations at a key path below ``model``; (None, []) where the path leaves what is known."""
    kind: Any = model
    metadata: list[Any] = []
    for part in loc:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = next((field for name, field in kind.model_fields.items() if (field.alias or name) == part), None)
            if field is None:
                return None, []
            kind, metadata = _bare(field.annotation)
            metadata = [*metadata, *field.metadata]
        else:
            arguments = get_args(kind)
            if not arguments or get_origin(kind) not in {tuple, list, dict, set, frozenset}:
                return None, []
            kind, metadata = _bare(arguments[1] if get_origin(kind) is dict else arguments[0])
    return kind, metadata


def _bare(kind: Any) -> tuple[Any, list[Any]]:
    """A type without Annotated and Optional, and the annotations that stood on it."""
    if get_origin(kind) is Annotated:
        inner, *metadata = get_args(kind)
        bare, more = _bare(inner)
        flat = [item for meta in metadata for item in (meta.metadata if isinstance(meta, FieldInfo) else [meta])]
        return bare, [*more, *flat]
    if get_origin(kind) in {Union, types.UnionType}:
        return _bare(next(member for member in get_args(kind) if member is not type(None)))
    return kind, []
