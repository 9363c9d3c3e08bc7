"""``edgeproxy cache top`` asks a running node, and says what it says in lines that fit."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main
from edgeproxy.commands.cache import screen
from tests.support.client import ask
from tests.support.origin import answer
from tests.support.ports import end_process
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

LONG = b"/" + b"very-" * 60 + b"long?token=hush"


@pytest.fixture(scope="module")
def edge() -> Iterator[EdgeProcess]:
    """A node that was asked five times for one page, once for another."""
    with Site() as site:
        for target in (b"/page", LONG):
            site.on(target, answer(200, b"<p>kept", b"Cache-Control: max-age=600", b"Content-Type: text/html"))
        with EdgeProcess(config(site.url, log={"access": False})) as edge:
            for target in (*[b"/page"] * 5, LONG):
                ask(edge.address, request(target, b"Connection: close"))
            yield edge


def top(edge: EdgeProcess, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["cache", "top", "--admin", f"127.0.0.1:{edge.admin_port}", *arguments])


def row(text: str, name: str) -> list[str]:
    """The cells behind a name, in the first line that begins with it."""
    (line,) = re.findall(rf"^{re.escape(name)} +(.*)", text, re.MULTILINE)[:1] or [""]
    return re.split(r" {2,}", line)


def test_once_tells_where_answers_came_from(edge: EdgeProcess) -> None:
    result = top(edge, "--once")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("ready, 1 of 1 workers")
    assert row(result.output, "L1 memory")[:3] == ["4", "66.7%", "28 B"]
    assert row(result.output, "origin")[:3] == ["2", "33.3%", "14 B"]
    assert row(result.output, "html")[:2] == ["6", "66.7%"]
    assert row(result.output, "uri-miss")[:1] == ["2"]
    assert row(result.output, "http://a.example/page") == ["5", "80.0%", "35 B"]


def test_lines_fit_and_secrets_do_not_show(edge: EdgeProcess) -> None:
    lines = top(edge).output.splitlines()
    assert max(map(len, lines)) <= 100
    (long,) = [line for line in lines if line.startswith("http://a.example/very-")]
    assert "…" in long
    assert "token=***" in long
    assert "hush" not in "".join(lines)


def test_the_number_of_urls_is_chosen(edge: EdgeProcess) -> None:
    assert "http://a.example/page" in top(edge, "--limit", "1").output
    assert "http://a.example/very-" not in top(edge, "--limit", "1").output
    assert "http://" not in top(edge, "--limit", "0").output


def test_json_is_all_there_is(edge: EdgeProcess) -> None:
    stats = json.loads(top(edge, "--json").output)
    assert stats["window"]["tiers"]["l1"]["requests"] == 4
    assert stats["window"]["hit_ratio"] == pytest.approx(4 / 6)
    assert stats["top"]["urls"][0] == {"url": "http://a.example/page", "requests": 5, "hits": 4, "bytes": 35}
    assert stats.keys() >= {"version", "time", "health", "now", "history", "window", "stored", "top", "pools"}


def test_what_a_client_wrote_into_a_url_cannot_steer_the_terminal() -> None:
    nothing = json.loads(json.dumps(STATS))
    nothing["top"]["urls"] = [{"url": "http://a/\x1b[2J\r\n", "requests": 1, "hits": 0, "bytes": 0}]
    assert all(line.isprintable() for line in screen(nothing, 10, 80))


def test_a_node_that_has_done_nothing_is_shown_too() -> None:
    lines = screen(STATS, 10, 80)
    assert "hits -" in lines[0]
    assert lines[1] == "latency   p50 -   p90 -   p99 -"


def test_on_a_terminal_it_goes_on_until_it_is_interrupted(edge: EdgeProcess) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
    command = [str(Path(sys.executable).with_name("edgeproxy")), "cache", "top", "--every", "0.5"]
    command += ["--admin", f"127.0.0.1:{edge.admin_port}"]
    environment = {name: value for name, value in os.environ.items() if name not in {"LINES", "COLUMNS"}}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"})
    os.close(theirs)
    try:
        seen = b""
        while seen.count(b"workers") < 3:
            seen += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
    finally:
        end_process(process)
        os.close(ours)
    screens = re.split(rb"\x1b\[2J\x1b\[1;1H|\x1b\[H\x1b\[2J", seen)
    assert all(len(line) <= 70 for line in screens[1].decode().splitlines())
    assert len(screens[1].splitlines()) < 24


STATS = {
    "health": {"status": "ready", "workers": {"configured": 1, "ready": 1}},
    "now": {
        "seconds": 1.0,
        "requests": 0.0,
        "bytes": 0.0,
        "hit_ratio": None,
        "latency": {"p50": None, "p90": None, "p99": None},
    },
    "window": {
        "seconds": 1.0,
        "requests": 0,
        "hit_ratio": None,
        "byte_hit_ratio": None,
        "tiers": {},
        "types": {},
        "routes": {},
        "misses": {},
        "statuses": {},
        "evictions": {},
    },
    "stored": {"l1": {"bytes": 0.0, "entries": 0.0}},
    "top": {"seconds": 1.0, "urls": []},
}
