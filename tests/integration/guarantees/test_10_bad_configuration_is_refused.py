"""Guarantee 10: bad configuration is refused before it runs: file, line, the key, what was wrong, what would be right.

Seen to fail: with ``extra="forbid"`` of config/schema.py made ``ignore``; with the places left out of errors
(config/errors.py); with a refused reload that starts the workers anew.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.client import ask
from tests.support.ports import free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

COMMAND = str(Path(sys.executable).with_name("edgeproxy"))


class Mistake(NamedTuple):
    """A line put in for another one; what is said of it: the column, the key, words of what was wrong and right."""

    line: str
    instead: str
    column: int
    key: str
    says: tuple[str, ...]


FILE = """\
workers: 1
listeners:
  - address: 127.0.0.1:{port}
admin:
  address: 127.0.0.1:{admin}
limits:
  head_size: 32KB
pools:
  site:
    endpoints: [{origin}]
    balance: least_request
    retry: {{tries: 2}}
routes:
  - name: all
    pool: site
    middleware:
      rate_limit: {{rate: 1000/s}}
log:
  access: off
"""

MISTAKES = {
    "an unknown key": Mistake("workers: 1", "worker: 1", 1, "worker", ("unknown key", "workers")),
    "an unknown key of a stage": Mistake(
        "{rate: 1000/s}", "{rates: 1000/s}", 20, "routes[0].middleware.rate_limit.rates", ("unknown key", "rate")
    ),
    "a value out of range": Mistake(
        "{tries: 2}", "{tries: 20}", 20, "pools.site.retry.tries", ("out of range", "1 to 10")
    ),
    "an unknown choice": Mistake(
        "least_request", "fastest", 14, "pools.site.balance", ("must be", "least_request", "round_robin")
    ),
    "an unknown unit": Mistake("32KB", "32 florins", 14, "limits.head_size", ("32 florins", "KB")),
    "an unknown pool": Mistake("pool: site", "pool: sight", 11, "routes[0].pool", ("sight", "site")),
    "no YAML": Mistake("workers: 1", "workers: [1", 0, "", ()),
}


@pytest.fixture(params=MISTAKES.values(), ids=MISTAKES)
def mistake(request: pytest.FixtureRequest) -> Mistake:
    found: Mistake = request.param
    return found


def broken(good: str, mistake: Mistake) -> tuple[str, int]:
    """The file with the mistake in it, and the mistake's line."""
    line = next(number for number, line in enumerate(good.splitlines(), 1) if mistake.line in line)
    return good.replace(mistake.line, mistake.instead), line


def check(said: str, file: Path, line: int, mistake: Mistake) -> None:
    found = re.search(rf"{re.escape(str(file))}:(\d+):(\d+): (.*)", said)
    assert found, said
    if mistake.column:
        assert (int(found[1]), int(found[2])) == (line, mistake.column), said
    assert found[3].startswith(f"{mistake.key}: " if mistake.key else ""), said
    assert all(word in found[3] for word in mistake.says), said
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    edge = EdgeProcess(config(site.url))
    edge.file.write_text(FILE.format(port=edge.port, admin=edge.admin_port, origin=site.url))
    with edge:
        yield edge


def run(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "run", "-c", str(file)], capture_output=True, text=True, timeout=20, check=False)


def test_it_is_refused_at_the_start(tmp_path: Path, mistake: Mistake) -> None:
    file = tmp_path / "edgeproxy.yaml"
    good = FILE.format(port=free_port(), admin=free_port(), origin="http://127.0.0.1:1")
    text, line = broken(good, mistake)
    file.write_text(text)
    ended = run(file)
    assert ended.returncode == 1
    check(ended.stderr, file, line, mistake)
    assert " listens" not in ended.stdout + ended.stderr


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "edgeproxy.yaml"
    text = FILE.format(port=free_port(), admin=free_port(), origin="http://127.0.0.1:1")
    several = [MISTAKES[name] for name in ("an unknown key", "a value out of range", "an unknown unit")]
    for each in several:
        text, _ = broken(text, each)
    file.write_text(text)
    ended = run(file)
    assert ended.returncode == 1
    for each in several:
        assert f": {each.key}: " in ended.stderr


def test_it_is_refused_on_reload_and_changes_nothing(
    edge: EdgeProcess, metric: Callable[..., float], mistake: Mistake
) -> None:
    good = edge.file.read_text()
    workers, running, said = edge.worker_pids(), edge.admin("/config"), len(edge.logs())
    failures = metric(edge, "edgeproxy_config_reload_failures_total")
    text, line = broken(good, mistake)
    edge.file.write_text(text)
    try:
        edge.reload()
        wait_until(lambda: metric(edge, "edgeproxy_config_reload_failures_total") > failures, "the file is refused")
        check(edge.logs()[said:], edge.file, line, mistake)
        assert metric(edge, "edgeproxy_config_last_reload_ok") == 0
        assert edge.admin("/config") == running
        assert edge.worker_pids() == workers
        assert edge.admin("/readyz")[0] == 200
        assert ask(edge.address, request()).final[0].status == 200
    finally:
        edge.file.write_text(good)
    edge.reload()
    wait_until(lambda: metric(edge, "edgeproxy_config_last_reload_ok") == 1, "the good file is taken again")


def test_what_only_starting_shows_is_refused_as_well(tmp_path: Path, site: Site) -> None:
    """An address somebody else has: the file is sound, the place it names is not."""
    file = tmp_path / "edgeproxy.yaml"
    file.write_text(FILE.format(port=site.port, admin=free_port(), origin=site.url))
    ended = run(file)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{site.port}: " in ended.stderr
    assert "Traceback" not in ended.stderr
