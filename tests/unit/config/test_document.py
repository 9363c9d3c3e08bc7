"""A YAML text as plain values, each with its place. Whole files and their errors are in golden/."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.config.document import Document
from edgeproxy.config.errors import Loc

TEXT = """\
workers: 2
pools: &pools
  site:
    endpoints:
      - http://a
      - url: ${HOST}
routes: [{name: all, match: {<<: {path: /x}, host: 007}}]
on: ${FLAG:-yes}
"""
ENVIRONMENT = {"HOST": "http://hidden-host"}


@pytest.fixture
def document() -> Document:
    return Document(TEXT, "e.yaml", ENVIRONMENT)


def read(text: str, **env: str) -> Any:
    return Document(text, "e.yaml", env).data


def test_scalars_are_what_yaml_and_people_agree_on() -> None:
    assert read("[1, -1, 0, 1.5, true, On, no, ~, '', null, '1', 007, 0x1F, 1_000, 12:30:45, 2026-01-31, .5, 1e3]") == [
        *(1, -1, 0, 1.5, True, True, False, None, "", None),
        *("1", "007", "0x1F", "1_000", "12:30:45", "2026-01-31", ".5", "1e3"),
    ]


def test_a_variable_has_the_type_its_value_would_have_in_the_file() -> None:
    assert read("- ${A}\n- '${A}'\n- x${A}\n- ${B:-off}\n- $${A}", A="5") == [5, "5", "x5", False, "${A}"]


@pytest.mark.parametrize(
    ("loc", "place"),
    [
        (("workers",), (1, 10)),
        (("pools", "site", "endpoints", 1, "url"), (6, 14)),
        (("routes", 0, "match", "path"), (7, 41)),
        (("pools", "site"), (3, 3)),  # of a section the key, not what stands in it
        (("pools", "site", "missing"), (3, 3)),
        (("nothing", "like", "this"), (1, 1)),
    ],
)
def test_an_error_points_at_the_value_or_as_near_as_the_text_goes(
    document: Document, loc: Loc, place: tuple[int, int]
) -> None:
    error = document.error(loc, "wrong")
    assert (error.line, error.column) == place


def test_an_error_about_a_key_points_at_the_key(document: Document) -> None:
    error = document.error(("workers",), "unknown key", at_key=True)
    assert (error.line, error.column) == (1, 1)


def test_what_a_variable_brought_is_never_quoted(document: Document) -> None:
    loc: Loc = ("pools", "site", "endpoints", 1, "url")
    assert document.error(loc, "'http://hidden-host' is no address").message == "${HOST} is no address"
    assert "hidden" not in document.error(loc, "no such host: HIDDEN-HOST").message
    assert "hidden" not in document.error(("pools",), "hidden-host in a pool").message


def test_a_number_can_be_had_as_the_text_it_was_written_as(document: Document) -> None:
    assert document.data["workers"] == 2
    assert document.take_text(("workers",))
    assert document.data["workers"] == "2"
    assert document.take_text(("on",))
    assert document.data["on"] == "yes"
    assert not document.take_text(("routes", 0, "name")), "it is text already"
    assert not document.take_text(("pools",)), "a map has no text"
    assert not document.take_text(("nowhere",))
    assert not document.take_text(())


def test_what_is_merged_in_gives_way_to_what_stands_there() -> None:
    assert read("a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}\nc: {<<: [{x: 3}, *a]}")["b"] == {"x": 1, "y": 2}
    assert read("a: &a {x: 1, y: 1}\nc: {<<: [{x: 3}, *a]}")["c"] == {"x": 3, "y": 1}
