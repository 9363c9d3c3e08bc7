from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.acme import Node
from tests.support.pebble import Pebble


@pytest.fixture(scope="module")
def pebble() -> Iterator[Pebble]:
    """Takes every name for proved, but those it refuses."""
    with Pebble(valid=True, refused=("refused.example",), lifetime=90 * 86_400) as pebble:
        yield pebble


@pytest.fixture
def node(pebble: Pebble, tmp_path: Path) -> Node:
    return Node(pebble, tmp_path / "acme")
