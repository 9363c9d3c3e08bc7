"""How a configuration's mistakes are written."""

from __future__ import annotations

import pytest

from edgeproxy.config.errors import ConfigError, ConfigErrors, Loc, key_path, located


@pytest.mark.parametrize(
    ("loc", "path"),
    [
        ((), ""),
        (("routes",), "routes"),
        (("routes", 0, "match", "path"), "routes[0].match.path"),
        (("pools", "site", "endpoints", 1, 2), "pools.site.endpoints[1][2]"),
        ((0,), "[0]"),
    ],
)
def test_a_key_path_reads_as_people_write_it(loc: Loc, path: str) -> None:
    assert key_path(loc) == path


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("e.yaml", 3, 5, "log.level", "must be info"), "e.yaml:3:5: log.level: must be info"),
        (ConfigError("e.yaml", 1, 1, "", "the file is empty"), "e.yaml:1:1: the file is empty"),
        (ConfigError("e.yaml", 0, 0, "", "cannot be read"), "e.yaml: cannot be read"),
        (located(("pools", "a"), "no such file"), "configuration: pools.a: no such file"),
    ],
)
def test_an_error_says_what_is_known_of_its_place(error: ConfigError, text: str) -> None:
    assert str(error) == text


def test_many_errors_are_one_line_each() -> None:
    errors = ConfigErrors([located(("a",), "one"), located(("b",), "two")])
    assert str(errors) == "configuration: a: one\nconfiguration: b: two"
    assert [error.loc for error in errors.errors] == [("a",), ("b",)]
