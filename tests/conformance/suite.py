"""The suite itself: installed from npm by its lock, and run through the proxy as anybody would start it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conformance.bridge import Bridge, Front
from tests.conformance.score import Case, Scored, score
from tests.support.certificates import Authority
from tests.support.ports import accepts, end_process, free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import config

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = ROOT / "build" / "conformance"
PACKAGE = FOLDER / "node_modules" / "http-cache-tests"
LIMIT = 300  # seconds the whole run may take

_LOCK = ("package.json", "package-lock.json")


class SuiteError(Exception):
    """The suite could not be installed or run; says what to do."""


def install() -> None:
    """Install what the lock says with npm, unless it is there. Raises SuiteError."""
    if all((FOLDER / name).is_file() and _same(name) for name in _LOCK) and PACKAGE.is_dir():
        return
    if not all(map(shutil.which, ("node", "npm"))):
        _call([str(ROOT / "scripts" / "debian-packages"), "nodejs", "npm"], ROOT)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in _LOCK:
        shutil.copyfile(HERE / name, FOLDER / name)
    try:
        _call(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], FOLDER)
    except SuiteError:
        shutil.rmtree(FOLDER)  # half an installation would pass for a whole one
        raise


def run(package: Path = PACKAGE, front: Front | None = None) -> list[Scored]:
    """Every case, and what became of it, through a proxy with the default cache configuration. ``front``: what the
    suite's client speaks to it by way of a bridge, in place of its HTTP/1.1. Raises SuiteError."""
    with _origin(package) as port, _front(config(f"http://127.0.0.1:{port}"), front) as url:
        command = ["node", "--no-warnings", str(HERE / "run.mjs"), str(package), url]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise SuiteError(f"the suite did not end within {LIMIT} s") from None
        if done.returncode:
            raise SuiteError(f"the suite's client failed:\n{done.stderr[-3000:]}")
        told = json.loads(done.stdout)
        return score([Case.read(case) for case in told["cases"]], told["results"])


@contextmanager
def _front(settings: dict[str, Any], front: Front | None) -> Iterator[str]:
    """The proxy with these settings; the URL that the suite asks."""
    edge = EdgeProcess(settings)
    if front is None:
        with edge:
            yield edge.url
        return
    with TemporaryDirectory(prefix="conformance-") as folder:
        authority = Authority(Path(folder))
        pair = authority.issue("localhost")
        tls = {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}]}
        spoken: dict[str, Any] = {"h2": {"protocols": ["h2"]}, "h3": {"protocols": ["h1", "h3"], "tls": tls}}[front]
        edge.write({**settings, "listeners": [{"address": f"127.0.0.1:{edge.port}", **spoken}]})
        with edge, Bridge(front, edge.port, authority.file) as bridge:
            yield bridge.url


@contextmanager
def _origin(package: Path) -> Iterator[int]:
    """The suite's origin server on a free loopback port."""
    port, engine = free_port(), package / "test-engine"  # where newer editions have it
    settings = {"npm_config_protocol": "http", "npm_config_port": str(port), "npm_config_pidfile": os.devnull}
    process = subprocess.Popen(
        ["node", "--no-warnings", "--import", str(HERE / "loopback.mjs"), "server/server.mjs"],
        cwd=engine if engine.is_dir() else package,
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), "the suite's origin listens")
        yield port
    finally:
        end_process(process)


def _call(command: list[str], folder: Path) -> None:
    """Raises SuiteError with what the command said, if it failed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SuiteError(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")


def _same(name: str) -> bool:
    return (HERE / name).read_bytes() == (FOLDER / name).read_bytes()
