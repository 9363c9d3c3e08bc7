"""L2's environments and what is put into them, by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeproxy.cache import policy
from edgeproxy.cache.disk_batch import Batch, Item
from edgeproxy.cache.disk_environment import open_environment
from edgeproxy.cache.disk_layout import CHUNK, digest_of
from edgeproxy.cache.disk_store import Store
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.purge import Kind, Purge
from edgeproxy.cache.record import of_entry, pack

SIZE = 32_000_000
NOW = 1_800_000_000.0


def stored(
    key: bytes,
    body: bytes = b"hello",
    vary: tuple[bytes, ...] = (),
    variant: bytes = b"",
    tags: tuple[bytes, ...] = (),
    etag: bytes = b'"1"',
) -> Entry:
    """An answer that was asked for at NOW, and is fresh for ten years: the wall clock of a test may be any."""
    terms = policy.terms(200, {b"cache-control": b"max-age=300000000"}, request_time=NOW, response_time=NOW)
    return Entry(
        key, vary, variant, 200, {b"etag": etag, b"cache-control": b"max-age=600"}, terms, NOW, body, tags=tags
    )


def item(entry: Entry, began: float = NOW) -> Item:
    """The entry as a batch takes it."""
    body = entry.body or b""
    chunks = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
    record = of_entry(entry, began, len(body), CHUNK, tuple(digest_of(chunk) for chunk in chunks))
    return Item(record, pack(record), chunks)


def write(store: Store, *entries: Entry, began: float = NOW) -> list[bool]:
    """Store these in one batch; returns which of them were."""
    with Batch(store) as batch:
        return [batch.write(item(entry, began)) for entry in entries]


def body_of(store: Store, key: bytes, headers: dict[bytes, bytes] | None = None) -> bytes | None:
    """The body a look-up finds."""
    found = store.find(key, headers or {}, 2**40)
    return None if found is None else found.body


def rows(store: Store) -> dict[str, int]:
    """Rows by table."""
    tables = ("resources", "heads", "order", "tags", "pieces", "references")
    with store.environment.begin() as transaction:
        return {name: transaction.stat(getattr(store, name))["entries"] for name in tables}


def purge(kind: Kind, value: bytes = b"", *, soft: bool = False, at: float = NOW + 1) -> Purge:
    return Purge(kind, value, soft, at)


@contextmanager
def environment(folder: Path, size: int = SIZE) -> Iterator[Store]:
    """An environment opened, and closed in the end."""
    opened = open_environment(folder, size)
    try:
        yield opened.store
    finally:
        opened.close()


@contextmanager
def reader(folder: Path) -> Iterator[int]:
    """Another process, by its pid, that reads and goes on reading: LMDB keeps for it what it may still look at."""
    code = (
        "import pathlib, sys; from edgeproxy.cache.disk_environment import open_environment;"
        f"opened = open_environment(pathlib.Path(sys.argv[1]), {SIZE}); reading = opened.store.environment.begin();"
        "print('reading', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    with child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"reading\n"
            yield child.pid
        finally:
            child.kill()


def overwrite(file: Path, at: int, data: bytes) -> None:
    """Damage a file as a bad disk would."""
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


def find_bytes(file: Path, what: bytes) -> list[int]:
    """Where these bytes stand in a file."""
    data, places, at = file.read_bytes(), [], -1
    while (at := data.find(what, at + 1)) >= 0:
        places.append(at)
    return places
