"""curl, nghttp and h2load, as one types them."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.clients.cases import Answer, Case, site_cases
from tests.clients.run import Client
from tests.clients.stand import Stand

PATIENCE = 60.0
_CURL_SPEAKS = {"h1": "--http1.1", "h2": "--http2"}
_CURL_VERSIONS = {"1.1": "h1", "2": "h2", "3": "h3"}


async def output(*command: str) -> str:
    """What a command prints. Raises RuntimeError if it fails."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    told, complaints = await asyncio.wait_for(process.communicate(), PATIENCE)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {complaints.decode(errors='replace')}")
    return told.decode("latin-1")


async def curl(stand: Stand, protocol: str, cases: Sequence[Case]) -> list[Answer]:
    """All of them in one call, over as few connections as curl takes."""
    with tempfile.TemporaryDirectory(prefix="curl-") as name:
        folder = Path(name)
        command = ["curl"]
        for number, case in enumerate(cases):
            command += ["--next"] if number else []
            command += [
                _CURL_SPEAKS[protocol],
                "--cacert",
                str(stand.authority),
                "--silent",
                "--show-error",
                "--globoff",
            ]
            command += ["--path-as-is", "--write-out", "%{http_version}\n", "--max-time", "20"]
            command += ["--head"] if case.method == "HEAD" else ["--request", case.method]
            command += ["--dump-header", str(folder / f"{number}.head"), "--output", str(folder / f"{number}.body")]
            for field, value in case.fields.items():
                command += ["--header", f"{field}: {value}"]
            if case.sent:
                (folder / f"{number}.sent").write_bytes(case.sent)
                command += ["--data-binary", f"@{folder / f'{number}.sent'}"]
            command.append(stand.origin(protocol) + case.path)
        versions = (await output(*command)).split()
        return [_curled(folder, number, case, versions[number]) for number, case in enumerate(cases)]


def _curled(folder: Path, number: int, case: Case, version: str) -> Answer:
    heads = (folder / f"{number}.head").read_bytes().decode("latin-1").strip().split("\r\n\r\n")
    first, *lines = heads[-1].split("\r\n")  # a 100 may stand before it
    body = folder / f"{number}.body"
    whole = body.read_bytes() if body.exists() and case.method != "HEAD" else b""
    return Answer(_CURL_VERSIONS.get(version, version), int(first.split()[1]), _fields(lines), whole)


def _fields(lines: list[str]) -> dict[str, str]:
    pairs = [line.partition(":") for line in lines]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


_RECEIVED = re.compile(r"recv \(stream_id=\d+(?:, [^)]*)?\) (:?[^:]+): ?(.*)$", re.MULTILINE)


async def nghttp(stand: Stand, protocol: str, cases: Sequence[Case]) -> list[Answer]:
    """Each twice: it prints either frames or bodies."""
    return [await _nghttp(stand, protocol, case) for case in cases]


async def _nghttp(stand: Stand, protocol: str, case: Case) -> Answer:
    with tempfile.TemporaryDirectory(prefix="nghttp-") as folder:
        command = ["nghttp", "--no-dep", "--timeout=20"]
        command += [f"--header=:method: {case.method}"] if case.method != "GET" else []
        command += [f"--header={name}: {value}" for name, value in case.fields.items()]
        if case.sent:
            sent = Path(folder) / "sent"
            sent.write_bytes(case.sent)
            command.append(f"--data={sent}")
        url = stand.origin(protocol) + case.path
        told = await output(*command, "--verbose", "--null-out", url)
        body = (await output(*command, url)).encode("latin-1")
    received = {name: value.rstrip("\r") for name, value in _RECEIVED.findall(told)}
    return Answer("h2", int(received.get(":status", "0")), received, body)


async def h2load(stand: Stand, protocol: str) -> tuple[int, int]:
    """Every file ten times, over ten connections and, in HTTP/2, ten streams on each; it tells statuses alone."""
    paths = [case.path for case in site_cases(stand.token) if case.group == "files"]
    with tempfile.NamedTemporaryFile("w", prefix="h2load-", suffix=".txt") as file:
        file.writelines(f"{stand.origin(protocol)}{path}\n" for path in paths)
        file.flush()
        speaks = ["--h1", "--max-concurrent-streams=1"] if protocol == "h1" else ["--max-concurrent-streams=10"]
        size = 10 * len(paths)
        told = await output("h2load", *speaks, f"--requests={size}", "--clients=10", f"--input-file={file.name}")
    succeeded = re.search(r"status codes: (\d+) 2xx", told)
    return 0 if succeeded is None else int(succeeded[1]), size


def _absent(program: str) -> str:
    return "" if shutil.which(program) else f"{program} is not installed"


CLIENTS = (
    Client("curl", ("h1", "h2"), curl, missing=lambda: _absent("curl")),
    Client("nghttp", ("h2",), nghttp, unpacks=True, missing=lambda: _absent("nghttp")),
    Client("h2load", ("h1", "h2"), specials={"load": h2load}, missing=lambda: _absent("h2load")),
)
