"""Features by name."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from edgeproxy.features.table import TABLE, feature
from edgeproxy.http.message import Request

SUBJECTS = {"request": Request(b"GET", b"/", {b"host": b"a.example"}), "text": "a text"}


@pytest.mark.parametrize("name", TABLE)
def test_every_one_makes_numbers_of_what_it_takes(name: str) -> None:
    found = feature(name)
    numbers = found.vector(SUBJECTS[found.of])
    assert numbers.dtype == np.float32
    assert numbers.ndim == 1
    assert np.isfinite(numbers).all()


def test_another_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'head/9' is no features known here; known are head/1, request/1, text/1"):
        feature("head/9")


def test_a_function_is_imported_when_it_is_asked_for() -> None:
    code = "import sys, edgeproxy.features.table; print('edgeproxy.features.text' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
