"""Each file in golden/: a configuration, a line of dashes, then what it comes to, or the exact errors.

EDGEPROXY_UPDATE_GOLDEN=1 writes the second half anew; read the difference before keeping it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from edgeproxy.config.errors import ConfigErrors
from edgeproxy.config.load import load_text

GOLDEN = Path(__file__).parent / "golden"
LINE = "----------\n"
ENVIRONMENT = {
    "SECRET": "hunter2-hunter2-hunter2-hunter2-x",
    "WORKERS": "3",
    "ADDRESS": "[::1]:81",
    "BAD": "a: [b",
    "EMPTY": "",
}


def outcome(text: str, name: str) -> str:
    """What differs from the defaults, as YAML; or the errors."""
    try:
        config = load_text(text, str(GOLDEN / name), ENVIRONMENT)
    except ConfigErrors as errors:
        return str(errors).replace(f"{GOLDEN}/", "") + "\n"
    shown = yaml.safe_dump(config.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True)
    return shown.replace(f"{GOLDEN}/", "")


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.txt")), ids=lambda file: file.stem)
def test_configuration_comes_to_what_the_golden_file_says(file: Path) -> None:
    given, line, expected = file.read_text().rpartition(LINE)
    assert line, f"{file.name} has no line of dashes"
    got = outcome(given, file.name)
    if "EDGEPROXY_UPDATE_GOLDEN" in os.environ:
        file.write_text(given + LINE + got)
    else:
        assert got == expected


def test_there_are_many() -> None:
    assert len(list(GOLDEN.glob("*.txt"))) >= 40


def test_no_outcome_shows_a_secret() -> None:
    for file in GOLDEN.glob("error-*.txt"):
        assert ENVIRONMENT["SECRET"][:8] not in file.read_text()
