from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edgeproxy.acme import hook
from edgeproxy.acme.failure import AcmeError


def script(folder: Path, text: str) -> str:
    path = folder / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_it_is_told_what_to_do_and_nothing_is_the_shell_s(tmp_path: Path) -> None:
    command = script(tmp_path, f'printf "%s|" "$@" > {tmp_path}/told')
    hook.run([command, "--zone", "$HOME; x"], "present", "_acme-challenge.a.example", "a-b_c", timeout=10)
    assert (tmp_path / "told").read_text() == "--zone|$HOME; x|present|_acme-challenge.a.example|a-b_c|"


def test_it_sees_of_the_environment_what_is_its_own(tmp_path: Path) -> None:
    command = script(tmp_path, f"env > {tmp_path}/env")
    environment = {"PATH": os.environ["PATH"], "DNS_TOKEN": "given", "AWS_SECRET": "hidden", "HOME": "/root"}
    hook.run([command], "present", "n", "v", timeout=10, environment=environment)
    seen = (tmp_path / "env").read_text()
    assert "DNS_TOKEN=given" in seen
    assert "hidden" not in seen


def test_what_fails_says_so(tmp_path: Path) -> None:
    with pytest.raises(AcmeError, match="ended with 3 at cleanup"):
        hook.run([script(tmp_path, "exit 3")], "cleanup", "n", "v", timeout=10)
    with pytest.raises(AcmeError, match="cannot be run: No such file"):
        hook.run([str(tmp_path / "missing")], "present", "n", "v", timeout=10)


def test_what_hangs_is_ended_with_all_it_began(tmp_path: Path) -> None:
    command = script(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    with pytest.raises(AcmeError, match="within"):
        hook.run([command], "present", "n", "v", timeout=0.5)
    pid = (tmp_path / "pid").read_text().strip()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_text().startswith("sleep"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
