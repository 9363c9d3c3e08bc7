"""The real `edgeproxy run` in front of scripted origins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from tests.support.processes import EdgeProcess
from tests.support.site import Site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def metric() -> Callable[..., float]:
    """The sum of a metric's series whose labels hold all of ``parts``; 0 if there are none."""

    def metric(edge: EdgeProcess, name: str, *parts: str) -> float:
        lines = edge.admin("/metrics")[1].decode().splitlines()
        found = [line for line in lines if re.match(rf"{name}[{{ ]", line) and all(part in line for part in parts)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    return metric
