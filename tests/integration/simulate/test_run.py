"""Attacks as they are played, against the real proxy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config

PAGE = answer(200, b"x" * 2000, b"Cache-Control: max-age=600", b"Set-Cookie: seen=1; Path=/")
SMALL = ["--clients", "40", "--good", "4", "--quiet", "2s", "--duration", "2s"]


@pytest.fixture(scope="module")
def origin() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/", PAGE)
        yield site


def simulate(edge: EdgeProcess, *options: str) -> dict[str, Any]:
    where = ("--target", f"127.0.0.1:{edge.port}", "--admin", f"127.0.0.1:{edge.admin_port}")
    command = [sys.executable, "-m", "edgeproxy", "simulate", "flood", *where, *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_small_flood_is_recognised_refused_and_over(origin: Site) -> None:
    flood = {"floor": "20/s", "warm_up": "1s", "calm": "1s", "attack": {"unknown": "refuse"}}
    with EdgeProcess(config(origin.url, workers=2, middleware={"flood": flood})) as edge:
        report = simulate(edge, *SMALL, "--requests", "1000", "--after", "30s")
    assert report["attack"]["sent"] == 1000
    assert sum(report["attack"]["statuses"].values()) == 1000
    assert report["attack"]["statuses"]["503"] > 100
    assert report["flood"]["highest"] == 2
    assert report["flood"]["recognised_s"] < 5
    assert report["flood"]["over_s"] is not None
    assert report["good"]["quiet"]["requests"] > 0
    assert report["good"]["quiet"]["answered"] == 1


@pytest.mark.slow
def test_without_a_flood_stage_it_says_so_and_what_was_felt(origin: Site) -> None:
    with EdgeProcess(config(origin.url, middleware={"flood": False})) as edge:
        report = simulate(edge, *SMALL, "--requests", "200", "--after", "2s")
    assert report["flood"] == {"watched": False, "highest": 0, "recognised_s": None, "over_s": None}
    assert report["attack"]["through"] == 200
    assert report["good"]["attack"]["answered"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limit"),
    [("slow-head", "head_timeout"), ("slow-body", "body_timeout"), ("idle", "idle_timeout")],
)
def test_slow_attacks_are_let_go_of(origin: Site, name: str, limit: str) -> None:
    limits = {limit: "500ms", "body_rate": "1KB"}
    with EdgeProcess(config(origin.url, limits=limits, middleware={"flood": False})) as edge:
        report = simulate(edge, *SMALL, "--attack", name, "--requests", "30", "--duration", "5s", "--after", "1s")
    assert report["attack"]["sent"] == 30
    assert 0.3 < report["attack"]["held_median_s"] < 4
    assert report["good"]["attack"]["answered"] == 1


@pytest.mark.slow
def test_handshakes_that_never_end_keep_no_good_client_out(origin: Site, tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("localhost")
    edge = EdgeProcess({})
    tls = {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}]}
    listener = {"address": f"127.0.0.1:{edge.port}", "tls": tls}
    limits = {"handshakes_per_client": 2, "head_timeout": "2s"}
    edge.write(config(origin.url, workers=1, limits=limits, listeners=[listener], middleware={"flood": False}))
    with edge:
        options = ("--attack", "handshake", "--requests", "200", "--clients", "4", "--after", "1s")
        report = simulate(edge, *SMALL, *options)
    assert report["attack"]["connections_refused"] > 100
    assert report["good"]["attack"]["requests"] > 0
    assert report["good"]["attack"]["answered"] == 1
