"""The demo site, alone and behind the real proxy with the configuration that comes with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml

from edgeproxy.demo.run import SECRET_VARIABLE
from tests.support.ports import end_process
from tests.support.processes import EdgeProcess

SHIPPED = Path(__file__).parents[3] / "config" / "edgeproxy.yaml"
SECRET = "a secret of this test run, 32 bytes and more"


def shipped_config() -> dict[str, Any]:
    """The configuration as shipped, but for its addresses."""
    config: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    return {key: value for key, value in config.items() if key not in {"listeners", "admin"}}


@pytest.fixture(scope="package")
def origin() -> Iterator[str]:
    """The demo's origin on a free port; its address."""
    command = [sys.executable, "-m", "edgeproxy.demo", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().rsplit(" ", 1)[1].strip().rstrip("/")
        finally:
            end_process(process)


@pytest.fixture(scope="package")
def edge(origin: str) -> Iterator[EdgeProcess]:
    environment = {**os.environ, "EDGEPROXY_ORIGIN": origin, SECRET_VARIABLE: SECRET}
    with EdgeProcess(shipped_config(), environment=environment) as process:
        yield process


@pytest.fixture
def token() -> str:
    """What opens /members/."""
    return jwt.encode({"sub": "reader", "exp": int(time.time()) + 600}, SECRET, algorithm="HS256")
