"""One function answers for all models: here, from what was kept, from further in, or with what was declared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp.test_utils import TestServer

from edgeproxy.config.models import ModelsConfig
from edgeproxy.inference.service import Inference
from edgeproxy.inference.version import AskError, Outcome
from edgeproxy.observe.metrics import render
from edgeproxy.tensors import Spec
from tests.support import onnx_bytes
from tests.support.hop import Endpoint
from tests.support.models import SCORE, SLOW, Small, write
from tests.support.stages import services

ROW = {"features": np.zeros((1, 4), np.float32)}
X = {"x": np.full((1, 1), 0.5, np.float32)}
LONG = SLOW._replace(content=onnx_bytes.steady(256, 2_000))

_GIVEN, _TOLD = Spec("x", "INT64", (1,)), Spec("y", "FP32", (1,))
PICK = Small(
    onnx_bytes.model(
        onnx_bytes.graph(
            [onnx_bytes.node("Gather", ["table", "x"], ["y"])],
            [_GIVEN],
            [_TOLD],
            [onnx_bytes.tensor("table", [0.25, 0.5])],
        )
    ),
    (_GIVEN,),
    (_TOLD,),
    {"inputs": {"x": [0]}, "outputs": {"y": [0.25]}},
)
"""0.25 for 0, 0.5 for 1; beyond that it fails."""

Serve = Callable[..., Any]


@pytest.fixture
async def endpoints() -> tuple[Endpoint, Endpoint]:
    return Endpoint(), Endpoint()


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    async with aiohttp.ClientSession() as session:

        @asynccontextmanager
        async def serve(**settings: Any) -> AsyncIterator[Inference]:
            given = ModelsConfig.model_validate({"folder": str(tmp_path), **settings})
            inference = Inference(given, services(http=lambda: session))
            await inference.start()
            try:
                yield inference
            finally:
                await inference.stop()

        yield serve


def hop(server: TestServer) -> dict[str, Any]:
    return {"url": f"http://127.0.0.1:{server.port}", "failures": 1, "pause": 0.1}


async def outcome(inference: Inference, name: str, tensors: Any, **how: Any) -> Outcome:
    asked = inference.ask(name, tensors, **how)
    return asked if isinstance(asked, Outcome) else await asked


async def reason(inference: Inference, name: str, tensors: Any, **how: Any) -> str:
    with pytest.raises(AskError) as refused:
        await outcome(inference, name, tensors, **how)
    return refused.value.reason


def counted(inference: Inference, metric: str, **labels: str) -> float:
    """The sum of a counter's values with these labels."""
    found = 0.0
    for line in render(inference._metrics.dump()).decode().splitlines():
        if line.startswith(metric + "{") and all(f'{name}="{value}"' in line for name, value in labels.items()):
            found += float(line.rpartition(" ")[2])
    return found


async def test_what_is_small_is_answered_at_once(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path, "score", {"1": SCORE})
    async with serve() as inference:
        told = inference.ask("score", ROW)
        assert isinstance(told, Outcome)
        assert (told.model, told.version, told.by, told.kept) == ("score", "1", "edge", False)
        assert told.tensors["score"].tolist() == [[0.5]]
        assert inference.is_ready("score")
        assert not inference.is_ready("score", "2")
        assert inference.require("score") in inference.manifests()
        assert [each.state for each in inference.standings()] == ["ready"]


async def test_whoever_asks_wrong_is_told_so(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path, "score", {"1": SCORE})
    async with serve() as inference:
        assert await reason(inference, "none", ROW) == "unknown"
        assert await reason(inference, "score", ROW, version="2") == "unknown"
        assert await reason(inference, "score", {}) == "tensors"
        assert await reason(inference, "score", {"features": np.zeros((1, 5), np.float32)}) == "tensors"


async def test_an_equal_question_is_answered_from_what_was_kept_until_the_model_changes(
    tmp_path: Path, serve: Serve
) -> None:
    write(tmp_path, "slow", {"1": SLOW}, budget="30s")
    async with serve(poll=0.1) as inference:
        assert not (await outcome(inference, "slow", X)).kept
        kept = inference.ask("slow", X)
        assert isinstance(kept, Outcome)
        assert kept.kept
        inference._changed("slow")
        assert not (await outcome(inference, "slow", X)).kept
        assert counted(inference, "edgeproxy_inference_total", by="kept") == 1


async def test_equal_questions_at_the_same_time_are_one_run(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path, "slow", {"1": SLOW}, budget="30s")
    async with serve() as inference:
        await asyncio.gather(*(outcome(inference, "slow", X) for _ in range(5)))
        assert counted(inference, "edgeproxy_inference_seconds_count", part="run") == 1


async def test_what_is_out_of_budget_goes_further_in_hop_by_hop_and_then_to_the_default(
    tmp_path: Path, serve: Serve, endpoints: tuple[Endpoint, Endpoint]
) -> None:
    write(tmp_path, "score", {"1": SCORE._replace(content=b"no model")}, default={"score": [0.125]})
    regional, central = endpoints
    async with (
        TestServer(regional.app) as near,
        TestServer(central.app) as far,
        serve(regional=hop(near), central=hop(far)) as inference,
    ):
        assert not inference.is_ready("score")
        assert (await outcome(inference, "score", ROW)).by == "regional"
        regional.status = 503
        assert (await outcome(inference, "score", ROW)).by == "central"
        central.status = 503
        last = await outcome(inference, "score", ROW)
        assert (last.by, last.version, last.tensors["score"].tolist()) == ("default", "", [[0.125]])
        assert await reason(inference, "score", ROW, here=True) == "unanswered"
        assert [
            counted(inference, "edgeproxy_inference_total", by=by) for by in ("regional", "central", "default")
        ] == [1, 1, 1]


async def test_another_node_is_told_that_a_model_fails_at_its_values_and_whoever_else_has_the_default(
    tmp_path: Path, serve: Serve
) -> None:
    write(tmp_path, "pick", {"1": PICK}, default={"y": [0.125]}, pure=False)
    async with serve() as inference:
        assert (await outcome(inference, "pick", {"x": np.array([1])})).tensors["y"].tolist() == [0.5]
        beyond = {"x": np.array([2])}
        assert await reason(inference, "pick", beyond, here=True) == "failed"
        assert (await outcome(inference, "pick", beyond)).by == "default"
        assert (await outcome(inference, "pick", {"x": np.array([0])}, here=True)).by == "edge"


async def test_without_a_default_there_is_no_answer(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path, "long", {"1": LONG}, budget="1ms")
    async with serve(trial=60) as inference:
        assert await reason(inference, "long", X) == "unanswered"
        assert counted(inference, "edgeproxy_inference_failures_total", by="edge", reason="late") == 1


async def test_whoever_leaves_ends_no_run_that_others_wait_for(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path, "slow", {"1": SLOW}, budget="30s")
    async with serve() as inference:
        first = asyncio.ensure_future(outcome(inference, "slow", X))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(outcome(inference, "slow", X))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).by == "edge"


async def test_endpoints_killed_and_restored_leave_no_question_without_an_answer(
    tmp_path: Path, serve: Serve, endpoints: tuple[Endpoint, Endpoint]
) -> None:
    write(tmp_path, "score", {"1": SCORE._replace(content=b"no model")}, default={"score": [0.125]})
    regional, central = endpoints
    async with (
        TestServer(regional.app) as near,
        TestServer(central.app) as far,
        serve(regional=hop(near), central=hop(far)) as inference,
    ):
        given: list[str] = []
        for turn in range(120):
            regional.status = 500 if turn // 20 in {1, 3, 5} else 200
            central.status = 500 if turn // 20 in {2, 3} else 200
            given += [told.by for told in await asyncio.gather(*(outcome(inference, "score", ROW) for _ in range(4)))]
        assert len(given) == 480
        for by in ("regional", "central", "default"):
            assert given.count(by) == counted(inference, "edgeproxy_inference_total", by=by) > 0


async def test_a_question_of_many_rows_leaves_the_loop(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path, "score", {"1": SCORE}, budget="30s")
    async with serve() as inference:
        assert isinstance(inference.ask("score", ROW), Outcome)
        asked = inference.ask("score", {"features": np.zeros((1_000, 4), np.float32)})
        assert not isinstance(asked, Outcome)
        assert (await asked).tensors["score"].shape == (1_000, 1)


async def test_each_row_has_the_default(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path, "score", {"1": SCORE._replace(content=b"no model")}, default={"score": [0.125]})
    async with serve() as inference:
        told = await outcome(inference, "score", {"features": np.zeros((3, 4), np.float32)})
        assert (told.by, told.tensors["score"].tolist()) == ("default", [[0.125]] * 3)


async def test_endpoints_are_asked_for_the_version_that_the_client_asked_for(
    tmp_path: Path, serve: Serve, endpoints: tuple[Endpoint, Endpoint]
) -> None:
    write(tmp_path, "long", {"1": LONG}, budget="1ms")
    regional, _ = endpoints
    async with TestServer(regional.app) as near, serve(trial=60, regional=hop(near)) as inference:
        regional.status = 404
        for version in ("", "1"):
            assert await reason(inference, "long", X, version=version) == "unanswered"
        assert regional.paths == ["/v2/models/long/infer", "/v2/models/long/versions/1/infer"]
