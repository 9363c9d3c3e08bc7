"""The load: wrk replaying request heads from a file over HTTP/1.1, h2load asking as many browsers over HTTP/2."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.servers import Server

SCRIPT = Path(__file__).with_name("replay.lua")
LOAD_CORE = "1"


@dataclass(frozen=True, slots=True)
class Result:
    """What wrk counted: answers read whole, bytes read, time."""

    requests: int
    seconds: float
    bytes: int

    @classmethod
    def parse(cls, output: str) -> Result:
        """From replay.lua's RESULT line. Raises BenchmarkError when any request failed or nothing was answered."""
        line = next((line for line in output.splitlines() if line.startswith("RESULT ")), None)
        if line is None:
            raise BenchmarkError(f"wrk reported no result:\n{output}")
        counts = json.loads(line.removeprefix("RESULT "))
        requests, microseconds, size = (counts.pop(name) for name in ("requests", "microseconds", "bytes"))
        if failed := {name: count for name, count in counts.items() if count}:
            raise BenchmarkError(f"requests failed under load: {failed}")
        if not requests:
            raise BenchmarkError("no request was answered under load")
        return cls(requests, microseconds / 1e6, size)


@dataclass(frozen=True, slots=True)
class Load:
    """How hard, and with which heads. ``streams``: requests at once on a connection."""

    heads: Path
    connections: int = 64
    streams: int = 1

    def run(self, server: Server, seconds: float) -> Result:
        """One wrk thread on its own core. Raises BenchmarkError."""
        command = [
            "taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{self.connections}", f"-d{max(1, round(seconds))}s",
            "--timeout", "10s", "-s", str(SCRIPT), f"http://127.0.0.1:{server.port}/", "--", str(self.heads),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
        if done.returncode:
            raise BenchmarkError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
        return Result.parse(done.stdout)


class Http2Load(Load):
    """The same heads over HTTP/2 and TLS: every h2load process is a browser with fields of its own on its share of the
    connections, and asks for the URLs of its share of the heads."""

    def run(self, server: Server, seconds: float) -> Result:
        """As many processes as browsers, all on the load's core. Raises BenchmarkError."""
        heads = self.heads.read_bytes().split(b"\0")[:-1]
        asking = []
        try:
            for number in range(BROWSERS):
                urls = self.heads.with_suffix(f".{server.tls_port}-{number}")
                targets = [head.split(b" ", 2)[1].decode() for head in heads[number::BROWSERS]]
                urls.write_text("".join([f"https://127.0.0.1:{server.tls_port}{target}\n" for target in targets]))
                command = [
                    "taskset", "-c", LOAD_CORE, "h2load", "-t1", f"-c{max(1, self.connections // BROWSERS)}",
                    f"-m{self.streams}", f"-D{max(1, round(seconds))}", "-i", str(urls), *_fields(heads[number]),
                ]  # fmt: skip
                asking.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            for each in asking:
                each.wait(seconds + 30)
        except subprocess.TimeoutExpired:
            raise BenchmarkError("h2load does not end") from None
        finally:
            for each in asking:
                each.kill()
            said = [each.communicate() for each in asking]
        return total([output + errors for output, errors in said])


class HandshakeLoad(Load):
    """A new connection for every request, over HTTP/1.1 and TLS: a whole handshake, no session resumed."""

    def run(self, server: Server, seconds: float) -> Result:
        """One h2load after the other, each with a browser's fields, all connections at once. Raises BenchmarkError."""
        heads = self.heads.read_bytes().split(b"\0")[:-1]
        urls = self.heads.with_suffix(f".{server.tls_port}")
        said = []
        began = time.monotonic()
        for head in itertools.cycle(heads):
            urls.write_text(f"https://127.0.0.1:{server.tls_port}{head.split(b' ', 2)[1].decode()}\n")
            command = [
                "taskset", "-c", LOAD_CORE, "h2load", "--h1", "-t1", f"-c{self.connections}", f"-n{self.connections}",
                "-i", str(urls), *_fields(head),
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            said.append(done.stdout + done.stderr)
            if time.monotonic() > began + seconds:
                break
        counted = total(said)
        return Result(counted.requests, time.monotonic() - began, counted.bytes)


BROWSERS = 16
_PER_CONNECTION = frozenset(("connection", "te"))
_DONE = re.compile(r"^requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed", re.MULTILINE)
_TRAFFIC = re.compile(r"^traffic: .*\((\d+)\) total, .*\((\d+)\) headers .*, .*\((\d+)\) data$", re.MULTILINE)
_SPENT = re.compile(r"^finished in ([\d.]+)(m?s)", re.MULTILINE)


def _fields(head: bytes) -> list[str]:
    """A head's fields as h2load is told them."""
    options = []
    for line in head.decode().split("\r\n")[1:-2]:
        name, _, value = line.partition(": ")
        name = name.lower()
        if name not in _PER_CONNECTION:
            options += ["-H", f"{':authority' if name == 'host' else name}: {value}"]
    return options


def total(reports: Sequence[str]) -> Result:
    """What all h2load processes counted together. Raises BenchmarkError where a request failed."""
    requests = size = 0
    longest = 0.0
    for report in reports:
        done, traffic, spent = _DONE.search(report), _TRAFFIC.search(report), _SPENT.search(report)
        if done is None or traffic is None or spent is None:
            raise BenchmarkError(f"h2load reported no result:\n{report[-2000:]}")
        if int(done[4]):
            raise BenchmarkError(f"requests failed under load:\n{done[0]}")
        requests += int(done[3])
        size += int(traffic[3])
        longest = max(longest, float(spent[1]) / (1000 if spent[2] == "ms" else 1))
    if not requests:
        raise BenchmarkError("no request was answered under load")
    return Result(requests, longest, size)
