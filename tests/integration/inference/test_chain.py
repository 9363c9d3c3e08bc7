"""Three nodes under load, the first of which asks the other two: these are killed, frozen and restored, and whoever
asks the first has an answer, from whom the metrics say."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pytest

from edgeproxy.features.table import feature
from edgeproxy.http.message import Request
from edgeproxy.http.structured import Item, Token, parse_list
from edgeproxy.oip import request as questions
from edgeproxy.oip import response as answers
from edgeproxy.tensors import ANY, Array, Spec
from tests.support import models, onnx_bytes
from tests.support.client import Answer, first_answer
from tests.support.models import SLOW, Small
from tests.support.ports import accepts, wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

WEIGHTS = np.array([0.5, -0.25, 0.125, 1.0], np.float32)
BIAS = {"regional": 1.0, "central": -1.0}  # a value shows whose model it is
VERSION = {"edge": "1", "regional": "2", "central": "3", "default": ""}
DECLARED = 0.125
TIMEOUT = 0.5  # seconds a hop has
PAUSE = 0.03  # seconds between an answer and the next question
ENOUGH = 30  # answers to tell by
ROUNDS = 2
JSON = b"Content-Type: application/json"


class Node(EdgeProcess):
    """A node that is killed, frozen and restored with all its processes, and keeps its ports."""

    def __enter__(self) -> Self:
        assert not any(map(accepts, (self.port, self.admin_port))), "its ports were taken meanwhile"
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        super().__exit__()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not accepts(self.port), "nobody listens there")

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in (self.pid, *self.worker_pids()):  # the supervisor first, or it would start others
            with suppress(ProcessLookupError):
                os.kill(pid, number)


# What is asked, and what the answer has to be.


class Told(NamedTuple):
    """Who says to have answered, by which version, and what."""

    by: str
    version: str
    value: float


class Kind(NamedTuple):
    """A kind of question: its model, the request for four numbers, and how its answer is read."""

    model: str
    ask: Callable[[Array], bytes]
    read: Callable[[Answer], Told]


def infer(model: str, name: str, *, binary: bool) -> Kind:
    def ask(x: Array) -> bytes:
        fields, body = questions.encode({name: x if model == "score" else x[:, :1]}, binary=binary)
        return post(b"/v2/models/%b/infer" % model.encode(), body, *(b": ".join(field) for field in fields.items()))

    def read(answer: Answer) -> Told:
        version, outputs = answers.decode(dict(answer.fields), answer.body)
        (who,) = parse_list(answer.get(b"edgeproxy-inference") or b"") or ()
        assert isinstance(who, Item)
        assert isinstance(who.value, Token)
        assert (who.parameters["model"], who.parameters.get("version", "")) == (model, version)
        (output,) = outputs.values()
        return Told(who.value.text, version, float(output[0, 0]))

    return Kind(model, ask, read)


def predict() -> Kind:
    def ask(x: Array) -> bytes:
        return post(b"/v2/models/score/predict", json.dumps({"input": x[0].tolist()}).encode(), JSON)

    def read(answer: Answer) -> Told:
        told = json.loads(answer.body)
        return Told(told["by"], told["version"], told["outputs"]["score"][0][0])

    return Kind("score", ask, read)


def rule(model: str, ask: Callable[[Array], bytes]) -> Kind:
    def read(answer: Answer) -> Told:
        by, version, value = (answer.get(b"x-told") or b"").decode().split(";")
        return Told(by, version, float(value))

    return Kind(model, ask, read)


def post(target: bytes, body: bytes, *fields: bytes) -> bytes:
    return request(target, *fields, b"Content-Length: %d" % len(body), method=b"POST") + body


TELL = [{"response_header": "x-told", "as": "{by};{version};{value}"}]
RULES: list[dict[str, Any]] = [
    {"model": "head", "on": "head", "when": {"path": "/page"}, "into": TELL},
    {"model": "text", "on": "body", "when": {"path": "/letter"}, "into": TELL},
]
KINDS: Sequence[Kind] = (
    infer("score", "features", binary=True),
    infer("score", "features", binary=False),
    predict(),
    rule("head", lambda _: request(b"/page")),
    rule("text", lambda _: post(b"/letter", b"to whom it may concern", b"Content-Type: text/plain")),
)
CROWDED = infer("slow", "x", binary=True)  # more of it at a time than any node takes
ONLY_FURTHER_IN = ("score", "head", "text")


def expected(model: str, by: str, x: Array) -> float:
    """What a model has to answer, depending on whose it is."""
    if by == "default":
        return DECLARED
    if model == "slow":
        return float(x[0, 0])
    return 1 / (1 + math.exp(-BIAS[by] - (float(x[0] @ WEIGHTS) if model == "score" else 0)))


# The nodes.


def write_models(folder: Path, by: str) -> None:
    """Those of a node: on the edge what is to be asked further in is damaged."""
    number = VERSION[by]
    head = len(feature("head/1").vector(Request(b"GET", b"/", {b"host": b"a.example"}, scheme=b"http")))
    for name, width, features in (("score", 4, None), ("head", head, "head/1"), ("text", 4096, "text/1")):
        weights = WEIGHTS if name == "score" else np.zeros(width)
        bias = BIAS.get(by, 0.0)
        small = Small(
            b"damaged" if by == "edge" else onnx_bytes.logistic(weights, bias),
            (Spec("features", "FP32", (ANY, width)),),
            (Spec("score", "FP32", (ANY, 1)),),
            {"inputs": {"features": [0.0] * width}, "outputs": {"score": [1 / (1 + math.exp(-bias))]}},
        )
        given = {"name": "features", "kind": "FP32", "shape": [-1, width]}
        given |= {"features": features} if features else {}
        models.write(folder, name, {number: small}, inputs=[given], default={"score": [DECLARED]})
    models.write(folder, "slow", {number: SLOW}, default={"y": [DECLARED]}, queue=0, budget="5s")


class Chain(NamedTuple):
    """The nodes, the nearest first."""

    edge: Node
    regional: Node
    central: Node

    def counted(self, metric: str, *labels: str) -> Counter[tuple[str, ...]]:
        """A counter of the edge, by these labels."""
        found: Counter[tuple[str, ...]] = Counter()
        for line in self.edge.admin("/metrics")[1].decode().splitlines():
            if line.startswith(metric + "{"):
                values = dict(re.findall(r'(\w+)="([^"]*)"', line))
                found[tuple(values[label] for label in labels)] += int(float(line.rpartition(" ")[2]))
        return found


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """The regional one is not there yet."""

    def node(by: str, **more: Any) -> Node:
        write_models(tmp_path / by, by)
        own = config(site.url, workers=1, models={"folder": str(tmp_path / by)} | more)
        return Node(own | {"middleware": {"inference": {}, "predict": {"rules": RULES}} if more else {"inference": {}}})

    def hop(node: Node) -> dict[str, Any]:
        return {"url": node.url, "timeout": f"{TIMEOUT}s", "failures": 1, "pause": "100ms"}

    with ExitStack() as stack:
        site = stack.enter_context(Site())
        regional, central = node("regional"), node("central")
        found = Chain(node("edge", regional=hop(regional), central=hop(central)), regional, central)
        for each in found:
            stack.push(each)
        with ThreadPoolExecutor() as pool:
            list(pool.map(Node.__enter__, (found.edge, central)))
        yield found
        for each in found:
            assert "Traceback" not in each.logs()
            assert "internal error" not in each.logs()


# The load.


class Seen(NamedTuple):
    """One answer: the model, who gave it, when it was asked for, and how many seconds it took."""

    model: str
    by: str
    began: float
    took: float


class Load:
    """Eight connections on which questions are asked one after the other; three of them ask all the same model."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.seen: list[Seen] = []
        self._address = address
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = False

    async def __aenter__(self) -> Self:
        turns = [KINDS[at:] + KINDS[:at] for at in range(len(KINDS))] + [[CROWDED]] * 3
        self._tasks = [asyncio.create_task(self._ask(kinds, at)) for at, kinds in enumerate(turns)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whatever was asked is answered before it is over."""
        self._ending = True
        await asyncio.gather(*self._tasks)

    async def since(self, began: float, enough: Callable[[list[Seen]], bool], within: float = 20.0) -> list[Seen]:
        """The answers to what was asked since then by models that are only further in, when there are enough."""
        deadline = time.monotonic() + within
        while True:
            found = [each for each in self.seen if each.began >= began and each.model in ONLY_FURTHER_IN]
            if enough(found):
                return found
            for task in self._tasks:
                if task.done():
                    await task
            assert time.monotonic() < deadline, f"not within {within:g} s: {Counter(each.by for each in found)}"
            await asyncio.sleep(0.01)

    async def _ask(self, kinds: Sequence[Kind], seed: int) -> None:
        numbers = np.random.default_rng(seed)
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            for kind in cycle(kinds):
                if self._ending:
                    return
                x = numbers.random((1, 4), np.float32)
                began = time.monotonic()
                writer.write(kind.ask(x))
                told = kind.read(await _answer(reader))
                self.seen.append(Seen(kind.model, told.by, began, time.monotonic() - began))
                assert told.version == VERSION[told.by]
                assert told.value == pytest.approx(expected(kind.model, told.by, x), abs=1e-3)
                await asyncio.sleep(PAUSE)
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0])
    answer = first_answer(head + await reader.readexactly(length))
    assert answer.status == 200, answer
    return answer


# What becomes of it.


@asynccontextmanager
async def under_load(chain: Chain) -> AsyncIterator[Load]:
    """Every question has an answer, and the metrics tell from whom as those do who asked."""
    before = chain.counted("edgeproxy_inference_total", "model", "by")
    async with Load(chain.edge.address) as load:
        yield load
    after = chain.counted("edgeproxy_inference_total", "model", "by")
    assert Counter((each.model, each.by) for each in load.seen) == after - before


async def all_from(by: str, load: Load) -> None:
    """All that is asked from now on has its answer from there, and, once the machine has caught up, most of it soon."""

    def soon(found: list[Seen]) -> bool:
        return len(found) >= ENOUGH and statistics.median([each.took for each in found[-ENOUGH:]]) < TIMEOUT / 4

    found = await load.since(time.monotonic(), soon)
    assert Counter(each.by for each in found) == {by: len(found)}


async def again_from(by: str, load: Load) -> None:
    """What is asked is answered from there again after a while, and then all of it."""
    await load.since(time.monotonic(), lambda found: any(each.by == by for each in found))
    await all_from(by, load)


async def test_whoever_is_gone_is_answered_for_by_the_next_and_asked_again_when_back(chain: Chain) -> None:
    _, regional, central = chain
    async with under_load(chain) as load:
        await all_from("central", load)
        await asyncio.to_thread(regional.__enter__)
        await again_from("regional", load)
        await asyncio.to_thread(regional.freeze)
        await all_from("central", load)
        await asyncio.to_thread(regional.kill)
        await all_from("central", load)
        await asyncio.to_thread(central.kill)
        await all_from("default", load)
    assert chain.counted("edgeproxy_inference_failures_total", "model", "by", "reason")["slow", "central", "busy"] > 0


@pytest.mark.slow
async def test_round_after_round_of_nodes_frozen_killed_and_restored(chain: Chain) -> None:
    _, regional, central = chain
    async with under_load(chain) as load:
        for _ in range(ROUNDS):
            await asyncio.to_thread(regional.__enter__)
            await again_from("regional", load)
            await asyncio.to_thread(regional.freeze)
            await all_from("central", load)
            await asyncio.to_thread(regional.thaw)
            await again_from("regional", load)
            await asyncio.to_thread(central.kill)
            await all_from("regional", load)
            await asyncio.to_thread(regional.kill)
            await all_from("default", load)
            await asyncio.to_thread(central.__enter__)
            await again_from("central", load)
            await asyncio.to_thread(regional.__enter__)
            await again_from("regional", load)
            await asyncio.to_thread(regional.kill)
            await all_from("central", load)
