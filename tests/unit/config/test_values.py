"""Values that are words: hosts, paths, patterns, stage maps, files."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from edgeproxy.config import values


def read(kind: Any, value: Any, **context: Any) -> Any:
    return TypeAdapter(kind).validate_python(value, context=context or None)


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (values.Host, "Example.COM.", "example.com"),
        (values.Host, "*.example.com", "*.example.com"),
        (values.Host, "bücher.example", "xn--bcher-kva.example"),
        (values.Host, "*.bücher.example", "*.xn--bcher-kva.example"),
        (values.Host, "[2001:db8::1]", "[2001:db8::1]"),
        (values.HostName, "Edge-1.example.net.", "edge-1.example.net"),
        (values.HostToSend, "preserve", "preserve"),
        (values.HostToSend, "B.example", "b.example"),
        (values.Path, "/a/b", "/a/b"),
        (values.Regex, "^/u/[0-9]+$", "^/u/[0-9]+$"),
        (values.Method, "get", "GET"),
        (values.Country, "de", "DE"),
        (values.Country, False, "NO"),  # what YAML makes of NO
        (values.FieldName, "X-Beta", "x-beta"),
        (values.Workers, "auto", "auto"),
        (values.Workers, "4", 4),
        (values.StageMap, {"a": None, "b": True, "c": "off", "d": False, "e": {"x": 1}}, None),
    ],
)
def test_values_come_to_one_form(kind: Any, written: Any, value: Any) -> None:
    if kind is values.StageMap:
        value = {"a": True, "b": True, "c": False, "d": False, "e": {"x": 1}}
    assert read(kind, written) == value


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (values.Host, ["", "a b", "a.example:80", "-a.example", "a..b", "a.*.example", "http://a", "x" * 64]),
        (values.HostName, ["*.example.com", "a.example:80", ""]),
        (values.HostToSend, ["*.example.com", "a.example:80"]),
        (values.Path, ["", "a", "/a?b", "/a#b", "/a b", "/a\n", "/%zz"]),
        (values.Regex, ["(", "[a"]),
        (values.Method, ["", "GET POST", "GE:T"]),
        (values.Country, ["", "D", "DEU", "D1", "ÄÖ", True]),
        (values.FieldName, ["", "a b", "a:b", "ä"]),
        (values.Name, ["", "-a", "a b", "x" * 65]),
        (values.Workers, [0, 257, True, "many", None, []]),
        (values.StageMap, [[], "off", 1]),
    ],
)
def test_what_is_no_such_value_is_refused(kind: Any, wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(ValidationError):
            print(repr(value), read(kind, value))


def test_files_start_at_the_configurations_folder_and_must_be_there(tmp_path: FilePath) -> None:
    (tmp_path / "a.pem").touch()
    assert read(values.File, "a.pem", folder=tmp_path) == str(tmp_path / "a.pem")
    for missing in ("b.pem", "."):
        with pytest.raises(ValidationError, match="no such file"):
            read(values.File, missing, folder=tmp_path)
    assert read(values.File, "b.pem") == "b.pem", "without a folder nothing is looked for"


def test_one_value_stands_for_a_list_of_one() -> None:
    kind = values.Annotated[tuple[str, ...], values.Many]
    assert (read(kind, "a"), read(kind, ["a", "b"])) == (("a",), ("a", "b"))
