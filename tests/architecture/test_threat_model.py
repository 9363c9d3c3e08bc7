"""THREAT_MODEL.md names code and tests that exist, and every threat has a number, a place and a test or is open."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")
THREATS = [line for line in TEXT.splitlines() if line.startswith("| T-")]
QUOTED = re.compile(r"`([^`]+)`")


def cells(threat: str) -> list[str]:
    return [cell.strip() for cell in threat.strip("|").split("|")]


def number(threat: str) -> str:
    return cells(threat)[0]


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_there_are_threats_in_every_subsystem() -> None:
    subsystems = {number(threat).split("-")[1] for threat in THREATS}
    assert subsystems == {
        *("LST", "RTE", "ADR", "STG", "JWT", "CRD", "SIG", "LIM", "BOT", "CHL", "GEO", "FLD"),
        *("CCH", "CMP", "IMG", "INF", "SPL", "ORG", "CFG", "SUP", "OBS", "DEM"),
        *("H2", "H3", "TLS", "ACM", "HNT"),
    }
    assert len({number(threat) for threat in THREATS}) == len(THREATS)


@pytest.mark.parametrize("threat", THREATS, ids=number)
def test_code_and_tests_exist(threat: str) -> None:
    _, _, defence, code, tests = cells(threat)
    for path in QUOTED.findall(code):
        assert (ROOT / path).is_file(), path
    named = QUOTED.findall(tests)
    for name in named:
        file, _, function = name.partition("::")
        assert (ROOT / file).is_file(), file
        assert function in functions(ROOT / file), name
    assert named or (tests == "none" and "open" in defence.lower()), "without a test it must be said to be open"


@pytest.mark.parametrize("threat", THREATS, ids=number)
def test_what_is_open_stands_in_the_list_at_the_end(threat: str) -> None:
    *_, listed = TEXT.partition("## Open risks")
    _, subsystem, last = number(threat).split("-")
    told = any(last in numbers for numbers in re.findall(rf"T-{subsystem}-(\d\d(?:, -\d\d)*)", listed))
    assert told is ("**open" in cells(threat)[2].lower())
