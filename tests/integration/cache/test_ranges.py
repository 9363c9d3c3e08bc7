"""Parts of files that nginx serves, through the proxy on real sockets: every byte in its place, whatever is kept."""

from __future__ import annotations

import http.client
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import EdgeProcess, NginxServer
from tests.support.site import config

SIZE = 600_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def edge(folder: Path) -> Iterator[EdgeProcess]:
    server = f"server {{ listen 127.0.0.1:{{port}}; root {folder}; add_header Cache-Control max-age=600; }}"
    main = "user root;" if os.geteuid() == 0 else ""
    with NginxServer(server, main=main) as nginx, EdgeProcess(config(nginx.url, log={"access": False})) as edge:
        yield edge


@pytest.fixture
def client(edge: EdgeProcess) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
    yield connection
    connection.close()


def ask(client: http.client.HTTPConnection, name: str, **fields: str) -> tuple[int, str, bytes]:
    """Status, Cache-Status and body."""
    client.request("GET", f"/{name}", headers={name.replace("_", "-"): value for name, value in fields.items()})
    response = client.getresponse()
    return response.status, response.getheader("cache-status", ""), response.read()


@pytest.mark.parametrize("seed", range(4))
def test_random_parts_are_always_the_files_own(client: http.client.HTTPConnection, folder: Path, seed: int) -> None:
    dice = random.Random(seed)
    body = dice.randbytes(SIZE)
    name = f"random-{seed}.bin"
    (folder / name).write_bytes(body)
    hits = 0
    for _ in range(60):
        first = dice.randrange(SIZE)
        last = min(SIZE - 1, first + dice.choice((1, 5_000, 80_000)))
        form = dice.choice((f"{first}-{last}", f"{first}-", f"-{SIZE - first}"))
        expected = body[first : last + 1] if form.endswith(str(last)) and form[0] != "-" else body[first:]
        status, said, got = ask(client, name, range=f"bytes={form}")
        assert (status, got) == (206, expected), form
        hits += "hit" in said
    assert hits > 10
    assert ask(client, name)[::2] == (200, body)
    assert ask(client, name) == (200, "edgeproxy; hit", body)


def test_a_file_that_changes_between_its_parts_is_never_mixed(client: http.client.HTTPConnection, folder: Path) -> None:
    old, new = b"o" * SIZE, b"n" * SIZE
    file = folder / "changes.bin"
    file.write_bytes(old)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    assert ask(client, file.name, range="bytes=0-99999")[2] == old[:100_000]
    file.write_bytes(new)
    os.utime(file, (1_750_000_000, 1_750_000_000))
    assert ask(client, file.name)[::2] == (200, new)
    assert ask(client, file.name, range="bytes=0-9")[1:] == ("edgeproxy; hit", new[:10])


def test_several_parts_and_none(client: http.client.HTTPConnection, folder: Path) -> None:
    (folder / "small.txt").write_bytes(b"0123456789")
    assert ask(client, "small.txt", range="bytes=20-")[0] == 416
    ask(client, "small.txt")
    status, said, body = ask(client, "small.txt", range="bytes=0-1,8-9")
    assert (status, said) == (206, "edgeproxy; hit")
    assert body.count(b"content-range: bytes ") == 2
    assert ask(client, "small.txt", range="bytes=20-")[:2] == (416, "edgeproxy; hit")
    assert ask(client, "small.txt", range="bytes=0-1", if_range='"other"')[2] == b"0123456789"
