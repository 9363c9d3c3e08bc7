from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pebble import Pebble


@pytest.fixture(scope="module")
def pebble() -> Iterator[Pebble]:
    with Pebble(valid=True, refused=("refused.example",)) as pebble:
        yield pebble


class Operator:
    """Somebody at a terminal, with a file of configuration."""

    def __init__(self, pebble: Pebble, folder: Path) -> None:
        self.file = folder / "edgeproxy.yaml"
        self.folder = folder / "acme"
        self.config: dict[str, Any] = {
            "listeners": [{"address": "127.0.0.1:8443", "tls": {"acme": ["a.example"]}}],
            "acme": {
                "agree_to_terms": True,
                "directory": pebble.directory,
                "ca": str(pebble.ca),
                "folder": str(self.folder),
            },
            "pools": {"site": {"endpoints": ["http://127.0.0.1:8000"]}},
            "routes": [{"name": "all", "pool": "site"}],
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.file.write_text(yaml.safe_dump(self.config))
        command = [
            sys.executable,
            "-m",
            "edgeproxy",
            "certificates",
            arguments[0],
            "-c",
            str(self.file),
            *arguments[1:],
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def operator(pebble: Pebble, tmp_path: Path) -> Operator:
    return Operator(pebble, tmp_path)


@pytest.mark.slow
def test_what_is_due_is_ordered_and_said(operator: Operator) -> None:
    done = operator.run("renew")
    assert done.returncode == 0, done.stderr
    assert "a.example: renewed, valid until" in done.stderr
    again = operator.run("renew")
    assert (again.returncode, again.stdout) == (0, "nothing is due\n")
    before = (operator.folder / "certificates" / "a.example.pem").read_bytes()
    assert operator.run("renew", "a.example").returncode == 0
    assert (operator.folder / "certificates" / "a.example.pem").read_bytes() != before


def test_a_failure_is_said_and_is_the_exit_status(operator: Operator) -> None:
    operator.config["listeners"][0]["tls"]["acme"].append("refused.example")
    done = operator.run("renew")
    assert done.returncode == 1
    assert "refused.example: no certificate: rejectedIdentifier" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_what_nobody_listed_or_configured_is_an_error(operator: Operator) -> None:
    done = operator.run("renew", "b.example")
    assert (done.returncode, done.stderr) == (1, "Error: b.example: no listener's tls.acme names it\n")
    (operator.folder).write_text("a file")
    assert operator.run("renew").stderr.startswith("Error: ")
    del operator.config["acme"], operator.config["listeners"][0]["tls"]
    assert "has no acme" in operator.run("renew").stderr


@pytest.mark.slow
def test_a_certificate_is_revoked_and_the_account_s_key_changed(operator: Operator) -> None:
    operator.run("renew")
    done = operator.run("revoke", "a.example")
    assert (done.returncode, done.stdout) == (0, "revoked: a.example\n"), done.stderr
    assert not (operator.folder / "certificates" / "a.example.pem").exists()
    assert operator.run("revoke", "a.example").stderr.endswith("there is no certificate for a.example\n")
    done = operator.run("new-account-key")
    assert (done.returncode, done.stdout) == (0, "the account has a new key\n"), done.stderr
