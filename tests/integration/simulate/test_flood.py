"""A flood of 20,000 requests from 2,000 addresses with 50 good clients among them, as it comes and with measures."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config

SETTINGS: dict[str, dict[str, Any]] = {
    "as it comes": {"flood": True, "rate_limit": True},
    "with measures": {
        "flood": {"elevated": {"unknown": "limit"}, "attack": {"unknown": "refuse", "origin": "known", "worst": True}},
        "rate_limit": True,
    },
}


@pytest.fixture(scope="module", params=SETTINGS)
def played(request: pytest.FixtureRequest) -> dict[str, Any]:
    with Site() as origin:
        origin.on(b"/", answer(200, b"x" * 2000, b"Cache-Control: max-age=600"))
        settings = {"middleware": SETTINGS[request.param], "log": {"access": False}, "workers": 2}
        with EdgeProcess(config(origin.url, **settings)) as edge:
            where = ("--target", f"127.0.0.1:{edge.port}", "--admin", f"127.0.0.1:{edge.admin_port}")
            command = [sys.executable, "-m", "edgeproxy", "simulate", "flood", *where, "--quiet", "40s", "--json"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stderr
            assert "Traceback" not in edge.logs()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.slow
def test_it_is_recognised_within_five_seconds_and_is_over_by_itself(played: dict[str, Any]) -> None:
    assert played["attack"]["sent"] == 20_000
    assert played["flood"]["highest"] == 2
    assert played["flood"]["recognised_s"] < 5
    assert played["flood"]["over_s"] < 120


@pytest.mark.slow
def test_good_clients_are_answered(played: dict[str, Any]) -> None:
    assert played["good"]["attack"]["requests"] > 100
    assert played["good"]["attack"]["answered"] >= 0.99
    assert played["good"]["after"]["answered"] >= 0.99


@pytest.mark.bench
def test_good_clients_hardly_wait_longer(played: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    quiet, attack = (played["good"][phase]["p99"] * 1000 for phase in ("quiet", "attack"))
    with capsys.disabled():
        print(f"\ngood clients: p99 {quiet:.1f} ms in quiet time, {attack:.1f} ms during the flood")
    assert attack <= 3 * quiet
