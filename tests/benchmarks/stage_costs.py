"""What every stage of a configuration costs a memory hit: ``PYTHON stage_costs.py CONFIGURATION HEADS REPEATS``.

Run by the interpreter whose edgeproxy is to be measured; prints JSON: CPU µs per exchange for each repeat, by stage.
Exchanges of different visitors pass one hook after the other in small batches, so that the hooks are timed apart and
find their data about as warm as they do in a worker.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from edgeproxy.cache.tiers import Tiers
from edgeproxy.clock import Clock
from edgeproxy.config.compile import compile_config
from edgeproxy.config.load import load_text
from edgeproxy.config.snapshot import Route
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request, Response
from edgeproxy.http.target import parse_target
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.chain import overrides
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.middleware import Services
from edgeproxy.pipeline.runner import serve

BATCH = 64
HOST = b"www.shop.example"
ANSWERS, ENDS = "the response hooks", "the log hooks"


class Origin:
    """Answers everything with what the cache keeps."""

    name = "origin"

    async def fetch(self, x: Exchange) -> Response:
        fields = {b"content-type": b"image/webp", b"cache-control": b"public, max-age=3600", b"etag": b'"1"'}
        return Response(200, fields, bytes(1024))


class Writer:
    """Where exchanges answer to while the cache is filled."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None

    def send(self, x: Exchange, response: Response) -> None: ...

    def interim(self, x: Exchange, status: int, fields: Headers) -> None: ...

    async def stream(self, x: Exchange, response: Response) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.task = asyncio.get_running_loop().create_task(work)


def begin(head: bytes, number: int, route: Route | None) -> Exchange:
    """The exchange a listener would begin for this head."""
    first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
    target, path, query = parse_target(first.split(b" ")[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    request = Request(b"GET", target, headers, authority=HOST, host=HOST, scheme=b"http", path=path, query=query)
    x = Exchange(request, Peer(f"10.1.{number >> 8 & 255}.{number & 255}", 40_000, "", "", None), time.monotonic())
    if route is not None:
        x.route = route
    return x


async def measure(text: str, heads: Sequence[bytes], repeats: int) -> dict[str, list[float]]:
    """CPU µs per exchange for each repeat, by stage; the cache's look-up under its own name."""
    clock, metrics = Clock(), Metrics()
    config = load_text(text, "edgeproxy.yaml")
    tiers = Tiers(config.cache.memory, clock, metrics)
    snapshot = compile_config(config, Services(clock, metrics, tiers, lambda: sys.exit("nothing is called here")))
    route = snapshot.route(begin(heads[0], 0, None).request)
    route.origin = Origin()
    route.chain = route.chain._replace(fetch=())  # a variant is kept like any answer, whatever it is made of
    for number, head in enumerate(heads):
        writer = Writer()
        serve(begin(head, number, route), writer)
        if writer.task is not None:
            await writer.task
    gc.collect()
    gc.freeze()
    chain = route.chain
    names = [stage.name for stage in chain.stages if overrides(stage, "request")]
    hooks = dict(zip(names, [hook for hook, _ in chain.inline], strict=True))
    out: dict[str, list[float]] = {name: [] for name in (*names, ANSWERS, ENDS)}
    for _ in range(repeats):
        spent = dict.fromkeys(out, 0.0)
        for start in range(0, len(heads), BATCH):
            batch = [begin(head, start + number, route) for number, head in enumerate(heads[start : start + BATCH])]
            for name, hook in hooks.items():
                spent[name] += _timed(batch, hook)
            answers = [x.response for x in batch]
            spent[ANSWERS] += _answered(batch, answers, chain.inline[-1][1])
            for x in batch:
                x.ended = time.monotonic()
            for log in chain.log:
                spent[ENDS] += _timed(batch, log)
        for name, seconds in spent.items():
            out[name].append(seconds / len(heads) * 1e6)
    return out


def _timed(batch: Sequence[Exchange], hook: Callable[[Exchange], Any]) -> float:
    """Seconds the hook takes for a batch, less what the loop alone does."""
    before = time.process_time()
    for x in batch:
        x.response = hook(x)
    after = time.process_time()
    for x in batch:
        x.response = x.response
    return after - before - (time.process_time() - after)


def _answered(batch: Sequence[Exchange], answers: Sequence[Any], responders: Sequence[Callable[..., None]]) -> float:
    before = time.process_time()
    for x, answer in zip(batch, answers, strict=True):
        for hook in responders:
            hook(x, answer)
    return time.process_time() - before


if __name__ == "__main__":
    configuration, file, times = sys.argv[1:]
    requests = [head for head in Path(file).read_bytes().split(b"\0") if head]
    print(json.dumps(asyncio.run(measure(Path(configuration).read_text(), requests, int(times)))))
