"""A pool's model: what it may decide, what is told of it, and that it is left when it knows less; real origins, and a
node with model files."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterator
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproxy.balance.learned import ENOUGH
from edgeproxy.balance.rows import NAMES
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.pool import Pool
from edgeproxy.tensors import ANY, Spec
from tests.support import models, onnx_bytes
from tests.support.client import ask
from tests.support.models import Small
from tests.support.origin import RecordedRequest, RecordingOrigin, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import request

EXPECTED, LATEST = NAMES.index("log of the expected time of this kind"), NAMES.index("log of the latest time")
SLOW = 0.2


def knows(rows: list[list[float]]) -> list[float]:
    """Who took long the last time does so again."""
    return [log(SLOW if given[LATEST] > log(SLOW / 2) else SLOW / 40) for given in rows]


def believes_the_contrary(rows: list[list[float]]) -> list[float]:
    return [log(SLOW / 40 if given[LATEST] > log(SLOW / 2) else SLOW) for given in rows]


def trusted(pool: Pool, predict: Any, plain: float = 2.0) -> Pool:
    """With a model that was nearer to the truth until now; ``plain``: how far off the default was."""
    assert pool.learning is not None
    pool.learning.use(predict)
    trust = pool.learning.trust
    trust.answers, trust.model, trust.plain, trust.deserved = ENOUGH, 0.01, plain, True
    return pool


def told(metrics: Metrics, name: str, *labels: str) -> float:
    (family,) = [each for each in metrics.dump() if each["name"] == name]
    return sum(numbers[0] for given, numbers in family["series"] if list(given) == ["site", *labels])


def after(seconds: float):
    """An origin that takes that long."""

    async def script(wire):
        while True:
            await wire.request()
            await asyncio.sleep(seconds)
            await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return script


async def gone(pool, exchange, count):
    """Where so many requests go, one after the other."""
    found = Counter()
    for _ in range(count):
        x = exchange()
        await pool.fetch(x)
        found["http://" + x.endpoint] += 1
    return found


async def pair(serve, make_pool, exchange, **settings: Any):
    """A slow origin and a fast one that have both been asked, and their pool."""
    slow, fast = await serve(after(SLOW)), await serve(after(0.0))
    learned = {"mode": "on", "exploration": 0, **settings.pop("learned", {})}
    pool = await make_pool(slow.url, fast.url, balance="learned", learned=learned, **settings)
    while not all(each["requests"] for each in pool.state()):
        await gone(pool, exchange, 1)
    return slow, fast, pool


async def test_the_models_choice_goes_to_the_endpoint_it_expects_first(serve, make_pool, exchange, metrics):
    _, fast, pool = await pair(serve, make_pool, exchange)
    assert await gone(trusted(pool, knows), exchange, 40) == Counter({fast.url: 40})
    assert told(metrics, "edgeproxy_origin_learned_total", "model") == 40
    assert told(metrics, "edgeproxy_origin_learned_trusted") == 1


async def test_it_is_the_model_that_decides(serve, make_pool, exchange):
    slow, _, pool = await pair(serve, make_pool, exchange)
    assert await gone(trusted(pool, believes_the_contrary), exchange, 5) == Counter({slow.url: 5})


async def test_some_requests_go_to_an_endpoint_drawn(serve, make_pool, exchange, metrics):
    slow, _, pool = await pair(serve, make_pool, exchange, learned={"exploration": "20%"})
    assert 0 < (await gone(trusted(pool, knows), exchange, 100))[slow.url] < 40
    assert 0 < told(metrics, "edgeproxy_origin_learned_total", "drawn") < 60


async def test_in_shadow_the_default_decides_and_it_is_told_how_often_the_model_would_not(
    serve, make_pool, exchange, metrics
):
    _, fast, pool = await pair(serve, make_pool, exchange, learned={"mode": "shadow"})
    found = await gone(trusted(pool, believes_the_contrary), exchange, 40)
    assert found[fast.url] > 35
    assert told(metrics, "edgeproxy_origin_learned_total", "differed") == found[fast.url]
    assert told(metrics, "edgeproxy_origin_learned_total", "model") == 0
    errors = [told(metrics, "edgeproxy_origin_learned_error", of) for of in ("model", "default")]
    assert errors[0] > 0.1
    assert 0 < errors[1] < 2.0


async def test_a_model_that_is_further_off_is_left_and_that_is_told_once(serve, make_pool, exchange, metrics, caplog):
    caplog.set_level(logging.INFO, "edgeproxy.origin")
    slow, fast, pool = await pair(serve, make_pool, exchange)
    found = await gone(trusted(pool, believes_the_contrary, plain=0.15), exchange, 100)
    assert 0 < found[slow.url] < 80
    assert (await gone(pool, exchange, 20))[fast.url] > 15
    assert told(metrics, "edgeproxy_origin_learned_trusted") == 0
    (record,) = [record for record in caplog.records if "the model" in record.getMessage()]
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("pool site: the model origin-latency is further off than class_ewma, by ")
    assert record.getMessage().endswith("; class_ewma decides")


async def test_trust_outlives_the_balancers(serve, make_pool, exchange):
    _, fast, pool = await pair(serve, make_pool, exchange)
    trusted(pool, knows)
    assert pool.drain(fast.url.removeprefix("http://"))
    assert pool.drain(fast.url.removeprefix("http://"), undo=True)
    assert pool.learning.trust.deserved


async def test_what_was_known_is_kept_with_the_time_it_took(serve, make_pool, exchange):
    slow, _, pool = await pair(serve, make_pool, exchange)
    trusted(pool, believes_the_contrary)
    x = exchange()
    await pool.fetch(x)
    assert x.endpoint == slow.url.removeprefix("http://")
    assert len(x.choice) == len(NAMES) + 1
    assert 0.9 * SLOW <= exp(x.choice[LATEST]) < 10 * SLOW
    assert SLOW <= x.choice[-1] < 10 * SLOW


async def test_an_answer_of_an_endpoint_that_was_not_chosen_says_nothing(serve, make_pool, exchange):
    """One that a client is kept at, or that was asked because the one chosen has its hands full."""
    slow, fast, pool = await pair(serve, make_pool, exchange, limits={"max_requests": 1})
    trusted(pool, believes_the_contrary)
    kept, first, second = exchange(), exchange(), exchange()
    kept.wanted = fast.url.removeprefix("http://").encode()
    await pool.fetch(kept)
    await asyncio.gather(pool.fetch(first), pool.fetch(second))
    assert ["http://" + x.endpoint for x in (kept, first, second)] == [fast.url, slow.url, fast.url]
    assert [bool(x.choice) for x in (kept, first, second)] == [False, True, False]


async def test_before_there_is_a_model_the_default_decides(serve, make_pool, exchange, metrics):
    _, fast, pool = await pair(serve, make_pool, exchange)
    assert (await gone(pool, exchange, 20))[fast.url] > 15
    assert told(metrics, "edgeproxy_origin_learned_total", "unanswered") == sum(
        each["requests"] for each in pool.state()
    )


# A node with model files.


def linear(weights: dict[int, float]) -> Small:
    """A model that says so many times some of the numbers it is told."""
    column = np.zeros((len(NAMES), 1), np.float32)
    for place, weight in weights.items():
        column[place] = weight
    return Small(
        onnx_bytes.classifier(column),
        (Spec("x", "FP32", (ANY, len(NAMES))),),
        (Spec("logits", "FP32", (ANY, 1)),),
        {"inputs": {"x": [0.0] * len(NAMES)}, "outputs": {"logits": [0.0]}},
    )


@pytest.fixture
def origin() -> Iterator[RecordingOrigin]:
    def kept(asked: RecordedRequest) -> bytes:
        more = b"Cache-Control: max-age=60" if asked.target == b"/kept" else b"Cache-Control: no-store"
        return answer(200, b"ok", more)

    with RecordingOrigin(kept) as origin:
        yield origin


def node(origin: RecordingOrigin, folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "models": {"folder": str(folder), "poll": "100ms"},
        "pools": {"site": {"endpoints": [origin.url], "balance": "learned"}},
        "routes": [{"name": "all", "pool": "site"}],
        **more,
    }


def count(edge: EdgeProcess, by: str) -> float:
    lines = edge.admin("/metrics")[1].decode().splitlines()
    prefix = f'edgeproxy_origin_learned_total{{by="{by}",pool="site"}} '
    return sum(float(line.removeprefix(prefix)) for line in lines if line.startswith(prefix))


def test_a_node_asks_its_model_and_logs_what_it_chose_by(origin: RecordingOrigin, tmp_path: Path) -> None:
    folder, file = tmp_path / "models", tmp_path / "access.log"
    models.write(folder, "origin-latency", {"1": linear({EXPECTED: 1.0})}, pure=False)
    with EdgeProcess(node(origin, folder, log={"access": {"file": str(file)}})) as edge:
        for target in (b"/a", b"/b", b"/kept", b"/kept"):
            assert ask(edge.address, request(target)).statuses == [200]
        wait_until(lambda: count(edge, "agreed") == 3, "the model was asked for what went to the origin")
        wait_until(lambda: file.exists() and len(file.read_text().splitlines()) == 4, "the log is written")
        logged = [json.loads(line) for line in file.read_text().splitlines()]
        assert [len(each.get("choice", ())) for each in logged] == [len(NAMES) + 1] * 3 + [0]
        assert all(0 < each["choice"][-1] <= each["duration"] for each in logged[:3])


@pytest.mark.slow
def test_a_model_that_is_missing_is_done_without_and_comes_back(origin: RecordingOrigin, tmp_path: Path) -> None:
    own = models.write(tmp_path, "origin-latency", {"1": linear({EXPECTED: 1.0})}, pure=False)
    held = (own / "1/model.onnx").read_bytes()
    (own / "1/model.onnx").unlink()

    def served() -> bool:
        return ask(edge.address, request(b"/a")).statuses == [200]

    with EdgeProcess(node(origin, tmp_path)) as edge:
        assert all(served() for _ in range(5))
        assert count(edge, "unanswered") == 5
        (own / "1/model.onnx").write_bytes(held)
        wait_until(lambda: served() and count(edge, "agreed") > 0, "the model is asked again", 15)
        logs = edge.logs()
        assert logs.count("class_ewma decides, for the model origin-latency does not answer") == 1
        assert logs.count("the model origin-latency answers again") == 1
