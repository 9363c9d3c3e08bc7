"""A row from start to figure: start both servers, warm them, check them, load them in turns."""

from __future__ import annotations

import contextlib
import random
import shutil
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import heads
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.load import Load
from tests.benchmarks.measure import Expected, Sample, await_log, measure
from tests.benchmarks.rows import Row
from tests.benchmarks.servers import ETAG, EdgeproxyBetter, OriginServer, Server, certificate
from tests.benchmarks.stats import Ratio
from tests.support import pictures

HEADS = 8192
WORK_BYTES = 2 << 30
WARM_SECONDS = 1.0  # times the workers squared: each of them has to meet every URL by chance
WARM_RUNS = 10
SETTLE_SECONDS = 120.0  # for the better copies of a row's answers
STREAM_BYTES = 100_000_000
BOTH_CORES = "0,1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row measured: the ratio, and the samples it came from, in the order they were taken."""

    row: Row
    ratio: Ratio
    ours: tuple[Sample, ...]
    peer: tuple[Sample, ...]


class Session:
    """The origin and the files of one run of the benchmarks, inside ``work`` (best on a tmpfs)."""

    def __init__(self, work: Path, *, pairs: int, seconds: float, say: Callable[[str], None]) -> None:
        self.work = work
        certificate(work)
        self.pairs = pairs
        self.seconds = seconds
        self.say = say
        body_1k = _body(1024)
        self._write_bodies(body_1k)
        self.origin = OriginServer(work, body_1k)

    def _write_bodies(self, body_1k: bytes) -> None:
        root = self.work / "origin"
        root.mkdir()
        (root / "1k.webp").write_bytes(body_1k)
        (root / "16k.webp").write_bytes(_body(16 * 1024))
        (root / "10m.webp").write_bytes(_body(1_000_000) * 10)
        (root / "page.html").write_bytes(_page(32 * 1024))
        (root / "photo.jpg").write_bytes(pictures.encode(pictures.photo(480, 320), quality=88))
        with (root / "100m.webp").open("wb") as file:
            block = _body(1_000_000)
            for _ in range(STREAM_BYTES // len(block)):
                file.write(block)

    def run(self, row: Row) -> Outcome:
        """Measure a row. Raises BenchmarkError when a figure cannot be trusted; nothing is left out."""
        with self.servers(row) as (ours, peer):
            return self.compare(row, ours, peer)

    def compare(self, row: Row, our_server: Server, peer_server: Server) -> Outcome:
        """The same with servers that run."""
        ours, peer = [], []
        size = self.settle(our_server, row)
        expected = Expected(size=size, cached=row.cached, under_way=row.connections * row.streams)
        our_work = self.warm(our_server, row, size)
        peer_work = self.warm(peer_server, row, size, row.twin)
        for pair in range(self.pairs):
            ours.append(measure(our_server, self.origin, our_work, expected, self.seconds))
            peer.append(measure(peer_server, self.origin, peer_work, expected, self.seconds))
            a, b = row.value(ours[-1], ()), row.value(peer[-1], row.peer.parts)
            self.say(f"  {row.key} {pair + 1}/{self.pairs}: {a:.2f} against {b:.2f}, ratio {a / b:.3f}")
        ratio = Ratio.of([row.value(s, ()) for s in ours], [row.value(s, row.peer.parts) for s in peer])
        return Outcome(row, ratio, tuple(ours), tuple(peer))

    @contextlib.contextmanager
    def servers(self, row: Row) -> Iterator[tuple[Server, Server]]:
        """The origin, ours and the peer, running."""
        with contextlib.ExitStack() as running:
            running.enter_context(self.origin)
            ours = running.enter_context(self.server(row.ours, row.workers))
            peer = running.enter_context(self.server(row.peer.server, row.peer.workers))
            yield ours, peer

    def server(self, kind: type[Server], workers: int) -> Server:
        """A server, not yet started: one worker on the servers' core, several on all."""
        if workers > 1:
            return kind(self.work, origin_port=self.origin.port, workers=workers, core=BOTH_CORES)
        return kind(self.work, origin_port=self.origin.port)

    def load(self, row: Row, prefix: str) -> Load:
        """The row's heads, written out."""
        path = self.work / f"{row.key}{prefix.replace('/', '-')}.heads"
        etag = f'"{ETAG}"' if row.conditional else ""
        heads.write(path, heads.heads(heads.urls(prefix, row.urls), HEADS, etag=etag))
        return row.load(path, row.connections, row.streams)

    def settle(self, server: Server, row: Row) -> int:
        """The bytes of body that answers have. Those with better copies are asked for until no more are made; then the
        twin gets as many. Raises BenchmarkError where browsers get bodies of different sizes."""
        if not isinstance(server, EdgeproxyBetter):
            return row.size
        deadline = time.monotonic() + SETTLE_SECONDS
        asked = [(path, fields) for path in heads.urls(row.prefix, row.urls) for fields in (_FIELDS, _FIELDS_OF_SAFARI)]
        while True:
            sizes = {len(server.get(path, fields).body) for path, fields in asked}
            if len(sizes) == 1 and not server.waiting():
                break
            if time.monotonic() > deadline:
                raise BenchmarkError(
                    f"{row.prefix} is answered with {sorted(sizes)} bytes, {server.waiting()} to improve"
                )
        (size,) = sizes
        (self.work / "origin" / "twin.webp").write_bytes(_body(size))
        return size

    def warm(self, server: Server, row: Row, size: int, prefix: str = "") -> Load:
        """Ask each URL once, load until a whole run asks the origin nothing more, then check one more answer: ``size``
        bytes long, at the row's prefix or another one. Returns the load."""
        prefix = prefix or row.prefix
        work = self.load(row, prefix)
        paths = heads.urls(prefix, row.urls)
        if row.cached:
            for path in paths:
                server.get(path, _FIELDS)
        answered = 0
        for _ in range(WARM_RUNS):
            fetched = self.origin.requests()
            answered += work.run(server, WARM_SECONDS * server.workers**2).requests
            if not row.cached or self.origin.requests() == fetched + 1:
                break
        else:
            raise BenchmarkError(f"{server.name} still asks the origin after {WARM_RUNS} runs over all URLs")
        fields = dict(_FIELDS)
        if row.conditional:
            fields["If-None-Match"] = f'"{ETAG}"'
        answer = server.get(paths[0], fields)
        status, verdict = (304 if row.conditional else 200), ("hit" if row.cached else "miss")
        got = (answer.status, len(answer.body), server.verdict(answer.fields))
        if got != (wanted := (status, size, verdict)):
            raise BenchmarkError(f"{server.name} answered {prefix} with {got}, not {wanted} (status, bytes, cache)")
        await_log(server, answered)  # a line kept back would be counted as the first measurement's
        return work


def work_parent() -> str | None:
    """A tmpfs where there is room, so that no disk is measured; None if there is none."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > WORK_BYTES else None


_FIELDS = {
    "Host": heads.HOST,
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Accept": "image/avif,image/webp,*/*",
    "Accept-Language": "en",
    "Accept-Encoding": "gzip, deflate, br, zstd",
}
_FIELDS_OF_SAFARI = _FIELDS | {"Accept": "image/webp,image/avif,*/*", "Accept-Encoding": "gzip, deflate, br"}


def _page(size: int) -> bytes:
    """Text of so many bytes, whose words are drawn as unevenly as those of a language."""
    rng = random.Random(size)
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 10))) for _ in range(2_000)]
    drawn = rng.choices(words, cum_weights=heads.zipf_weights(len(words), 1.0), k=size)
    return " ".join(drawn).encode()[:size]


def _body(size: int) -> bytes:
    """Letters and digits: as good as incompressible, safe inside a configuration file, the same every time."""
    return "".join(random.Random(size).choices(string.ascii_letters + string.digits, k=size)).encode()
