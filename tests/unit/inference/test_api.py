"""The API by the contract of the node's models: what is answered, what is refused and how."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pytest

from edgeproxy import __version__
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.features import table
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import UNKNOWN_LENGTH, Response
from edgeproxy.inference.api import FIELD, Api, Terms
from edgeproxy.inference.manifest import InputSpec, Manifest
from edgeproxy.inference.version import AskError, Outcome, Standing
from edgeproxy.oip import request, response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.tensors import Array, Tensors
from tests.support.oracle import HEAD, SCORE, Oracle, labelled, manifest
from tests.support.stages import exchange

X = {"name": "x", "kind": "FP32", "shape": [-1, 2]}
PIXELS = {"name": "pixels", "kind": "UINT8", "shape": [-1, 3, 1, 1], "pixels": {"width": 1, "height": 1}}
QUESTION = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}


@pytest.fixture(autouse=True)
def head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TABLE, "head/1", table.Row("request", "tests.support.oracle", "head"))


class Models(Oracle):
    """Version 1 of each serves, version 2 was refused; ``kept``: whether its outcomes were."""

    kept = False

    def manifests(self) -> list[Manifest]:
        return list(self.known.values())

    def standings(self) -> list[Standing]:
        ready = [Standing(name, "1", "ready", "") for name in self.known]
        return [*ready, *(Standing(name, "2", "refused", "its file is cut short") for name in self.known)]

    def is_ready(self, name: str, number: str = "") -> bool:
        return number in {"", "1"}

    def ask(self, name: str, tensors: Tensors, **more: Any) -> Outcome | Awaitable[Outcome]:
        outcome = super().ask(name, tensors, **more)
        if not isinstance(outcome, Outcome):
            return outcome
        return outcome._replace(kept=self.kept, version="" if self.by == "default" else outcome.version)


class Desk:
    """An API over models, and how many requests it has refused."""

    def __init__(self, inference: Models | None = None, /, **terms: Any) -> None:
        self.models = inference or Models(manifest("m", inputs=(X,)))
        self.refused = 0
        self.api = Api(self.models, Terms(**terms), self._decode, self._count)
        self.later: TimeoutError | None = None

    async def _decode(self, content: bytes, spec: InputSpec) -> Array:
        if self.later is not None:
            raise self.later
        return np.zeros((1, 3, 1, 1), np.uint8)

    def _count(self) -> None:
        self.refused += 1

    def begin(self, path: str, body: Any = None, method: bytes = b"POST", **fields: str) -> tuple[Exchange, Any]:
        """What the hook gives for a request whose body, if any, is here."""
        x = posted(path, body, method, **fields)
        return x, self.api.request(x)

    async def ask(self, path: str, body: Any = None, method: bytes = b"POST", **fields: str) -> Response:
        verdict = self.begin(path, body, method, **fields)[1]
        assert verdict is not None
        return verdict if isinstance(verdict, Response) else await verdict

    async def get(self, path: str) -> Any:
        answer = await self.ask(path, method=b"GET")
        assert (answer.get(b"cache-control"), answer.get(b"content-type")) == (b"no-store", b"application/json")
        assert isinstance(answer.body, bytes)
        return json.loads(answer.body)


def posted(path: str, body: Any = None, method: bytes = b"POST", **fields: str) -> Exchange:
    headers = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
    x = exchange(path.encode(), headers, method=method)
    if body is not None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        x.request.body = pipe = Pipe(len(content))
        x.request.length = len(content)
        pipe.feed(content)
        pipe.finish()
    return x


def why(answer: Response) -> str:
    assert isinstance(answer.body, bytes)
    assert (answer.get(b"cache-control"), answer.get(b"content-type")) == (b"no-store", b"application/json")
    told = json.loads(answer.body)
    assert told.keys() == {"error"}
    return str(told["error"])


def test_only_what_is_below_the_prefix_is_answered() -> None:
    desk = Desk(prefix=b"/ai/v2")
    for path in ("/", "/v2", "/ai/v2x", "/ai/v2x/models/m", "/ai", "/AI/v2"):
        assert desk.begin(path, method=b"GET")[1] is None
        assert desk.api.observe(posted(path)) is None
    for path in ("/ai/v2", "/ai/v2/", "/ai/v2/models/m", "/ai/v2/nothing"):
        assert isinstance(desk.begin(path, method=b"GET")[1], Response)
        assert desk.api.observe(posted(path)) is not None


async def test_the_server_and_its_models_tell_what_they_are() -> None:
    desk = Desk(listed=True)
    server = await desk.get("/v2")
    assert server == {
        "name": "edgeproxy",
        "version": __version__,
        "extensions": ["binary_tensor_data", "model_repository"],
    }
    assert (await Desk().get("/v2"))["extensions"] == ["binary_tensor_data"]
    assert await desk.get("/v2/health/live") == {"live": True}
    assert await desk.get("/v2/health/ready") == {"ready": True}
    assert await desk.get("/v2/models/m") == {
        "name": "m",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "score", "datatype": "FP32", "shape": [-1, 1]}],
    }
    assert await desk.get("/v2/models/m/versions/1") == await desk.get("/v2/models/m")
    assert await desk.get("/v2/models/m/ready") == {"name": "m", "ready": True}
    assert desk.refused == 0


async def test_what_is_not_ready_says_so_with_a_status_that_probes_understand() -> None:
    desk = Desk()
    answer = await desk.ask("/v2/models/m/versions/2/ready", method=b"GET")
    assert (answer.status, answer.body) == (400, b'{"name":"m","ready":false}')
    desk.models.is_ready = lambda name, number="": False  # type: ignore[method-assign]
    assert (await desk.ask("/v2/health/ready", method=b"GET")).status == 400
    assert (await desk.ask("/v2/health/live", method=b"GET")).status == 200
    assert desk.refused == 0


async def test_the_index_tells_each_version_to_those_who_may_see_it() -> None:
    desk = Desk(listed=True)
    answer = await desk.ask("/v2/repository/index")
    ready = {"name": "m", "version": "1", "state": "READY", "reason": ""}
    refused = {"name": "m", "version": "2", "state": "UNAVAILABLE", "reason": "its file is cut short"}
    assert json.loads(answer.body) == [ready, refused]  # type: ignore[arg-type]
    assert json.loads((await desk.ask("/v2/repository/index", {"ready": True})).body) == [ready]  # type: ignore[arg-type]
    assert (await desk.ask("/v2/repository/index", b"[")).status == 400
    assert (await Desk().ask("/v2/repository/index")).status == 404


async def test_an_inline_model_answers_at_once() -> None:
    desk = Desk()
    _, answer = desk.begin("/v2/models/m/infer", QUESTION)
    assert isinstance(answer, Response)
    assert answer.headers() == {
        b"content-type": b"application/json",
        b"cache-control": b"no-store",
        FIELD: b'edge;model="m";version="1"',
    }
    _, tensors = response.decode(answer.headers(), answer.body)  # type: ignore[arg-type]
    assert tensors["score"].tolist() == [[np.float32(0.9)]]
    assert desk.models.asked[0][1]["x"].tolist() == [[1, 2]]


async def test_a_question_in_binary_is_answered_in_binary() -> None:
    desk = Desk()
    fields, body = request.encode({"x": np.array([[1, 2]], np.float32)})
    more: dict[str, Any] = {name.decode().replace("-", "_"): value.decode() for name, value in fields.items()}
    answer = await desk.ask("/v2/models/m/versions/1/infer", body, **more)
    assert answer.get(b"content-type") == b"application/octet-stream"
    _, tensors = response.decode(answer.headers(), answer.body)  # type: ignore[arg-type]
    assert tensors["score"].tolist() == [[np.float32(0.9)]]
    assert desk.models.asked[0][2]["version"] == "1"


async def test_an_outcome_says_who_gave_it_and_whether_it_was_kept() -> None:
    desk = Desk()
    desk.models.kept, desk.models.by = True, "regional"
    answer = await desk.ask("/v2/models/m/infer", QUESTION)
    assert answer.get(FIELD) == b'regional;model="m";version="1";kept'


async def test_a_declared_default_has_no_version() -> None:
    desk = Desk()
    desk.models.by = "default"
    answer = await desk.ask("/v2/models/m/infer", QUESTION)
    assert answer.get(FIELD) == b'default;model="m"'


@pytest.mark.parametrize(("path", "question"), [("infer", QUESTION), ("predict", {"x": [1, 2]})])
async def test_what_another_node_asks_is_answered_by_this_one_or_not_at_all(path: str, question: Any) -> None:
    desk = Desk()
    await desk.ask(f"/v2/models/m/{path}", question, content_type="application/json")
    await desk.ask(f"/v2/models/m/{path}", question, content_type="application/json", edgeproxy_inference_hop="1")
    assert [more["here"] for _, _, more in desk.models.asked] == [False, True]


async def test_a_body_that_comes_later_and_a_model_that_takes_long_are_waited_for() -> None:
    desk = Desk()
    desk.models.gate = asyncio.Event()
    x = posted("/v2/models/m/infer")
    x.request.body = pipe = Pipe()
    x.request.length = UNKNOWN_LENGTH
    verdict = desk.api.request(x)
    assert verdict is not None
    assert not isinstance(verdict, Response)
    asked = asyncio.ensure_future(verdict)
    pipe.feed(json.dumps(QUESTION).encode()[:9])
    await asyncio.sleep(0)
    assert desk.api.in_hand == 1
    pipe.feed(json.dumps(QUESTION).encode()[9:])
    pipe.finish()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert desk.models.asked
    assert desk.api.in_hand == 1
    desk.models.gate.set()
    assert (await asked).status == 200
    assert desk.api.in_hand == 0


async def test_only_so_many_questions_are_in_hand_and_those_that_break_off_are_not() -> None:
    desk = Desk(questions=1)
    first, second = posted("/v2/models/m/infer"), posted("/v2/models/m/infer")
    for x in (first, second):
        x.request.body = Pipe()
        x.request.length = UNKNOWN_LENGTH
    asked = asyncio.ensure_future(desk.api.request(first))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    refused = desk.api.request(second)
    assert isinstance(refused, Response)
    assert (refused.status, refused.get(b"retry-after")) == (503, b"1")
    assert why(refused) == "Too many questions are in hand; try again soon."
    assert isinstance(first.request.body, Pipe)
    first.request.body.fail(EdgeError(Kind.CLIENT_GONE, "client"))
    with pytest.raises(EdgeError):
        await asked
    assert desk.api.in_hand == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "The JSON cannot be read: Expecting value at character 0."),
        (b"{", "The JSON cannot be read"),
        (b"{}", "Inputs is not a list of 1 to 64 tensors."),
        ({"inputs": [QUESTION["inputs"][0] | {"data": [1]}]}, "Input 'x' has 1 values; the shape [1, 2] has 2."),
        (QUESTION | {"outputs": [{"name": "z"}]}, "known are score."),
        ({"inputs": [QUESTION["inputs"][0] | {"shape": [9, 2], "data": [0] * 18}]}, "longer than 8 along an axis"),
    ],
    ids=str,
)
async def test_questions_that_are_none_are_refused_with_the_reason(body: Any, reason: str) -> None:
    desk = Desk(free_length=8)
    answer = await desk.ask("/v2/models/m/infer", body)
    assert answer.status == 400
    assert reason in why(answer)
    assert desk.refused == 1
    assert not desk.models.asked


@pytest.mark.parametrize(
    ("said", "status", "retry"),
    [("unknown", 404, None), ("tensors", 400, None), ("failed", 422, None), ("unanswered", 503, b"1")],
)
@pytest.mark.parametrize("path", ["infer", "predict"])
@pytest.mark.parametrize("waits", [True, False])
async def test_a_model_without_an_answer_is_a_status(
    path: str, said: str, status: int, retry: bytes | None, waits: bool
) -> None:
    desk = Desk(Models(manifest("m", inputs=(X,)), says=lambda _: AskError(said, "nobody could")))
    if waits:
        desk.models.gate = asyncio.Event()
        desk.models.gate.set()
    answer = await desk.ask(
        f"/v2/models/m/{path}",
        QUESTION if path == "infer" else {"x": [1, 2]},
        content_type="application/json",
    )
    assert (answer.status, answer.get(b"retry-after")) == (status, retry)
    assert why(answer) == "Nobody could."
    assert desk.refused == 1


async def test_an_answer_that_json_cannot_say_is_refused_and_told_in_binary() -> None:
    desk = Desk(Models(manifest("m", inputs=(X,)), says=lambda _: [float("nan")]))
    assert "not finite" in why(await desk.ask("/v2/models/m/infer", QUESTION))
    assert "infer tells it as binary data" in why(
        await desk.ask("/v2/models/m/predict", {"x": [1, 2]}, content_type="application/json")
    )
    binary = QUESTION | {"parameters": {"binary_data_output": True}}
    assert (await desk.ask("/v2/models/m/infer", binary)).status == 200


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/v2/nothing", 404, "There is nothing here."),
        ("/v2/models/other/infer", 404, "There is no such model here."),
        ("/v2/models/hidden/predict", 404, "There is no such model here."),
    ],
)
async def test_what_is_not_there_is_not_found(path: str, status: int, reason: str) -> None:
    desk = Desk(Models(manifest("m"), manifest("hidden")), models=frozenset(("m",)))
    answer = await desk.ask(path, QUESTION)
    assert (answer.status, why(answer)) == (status, reason)


async def test_a_version_that_does_not_serve_is_not_found() -> None:
    answer = await Desk().ask("/v2/models/m/versions/2", method=b"GET")
    assert (answer.status, why(answer)) == (404, "There is no such version here.")


async def test_the_index_and_readiness_are_about_what_clients_may_ask() -> None:
    desk = Desk(Models(manifest("hidden"), manifest("m")), models=frozenset(("m",)), listed=True)
    desk.models.is_ready = lambda name, number="": name == "m"  # type: ignore[method-assign]
    index = json.loads((await desk.ask("/v2/repository/index")).body)  # type: ignore[arg-type]
    assert {each["name"] for each in index} == {"m"}
    assert await desk.get("/v2/health/ready") == {"ready": True}


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        ("/v2/models/m/infer", b"GET", b"POST, OPTIONS"),
        ("/v2/models/m", b"POST", b"GET, HEAD, OPTIONS"),
        ("/v2", b"DELETE", b"GET, HEAD, OPTIONS"),
    ],
)
async def test_another_method_is_told_which_there_are(path: str, method: bytes, allow: bytes) -> None:
    desk = Desk()
    answer = await desk.ask(path, QUESTION, method)
    assert (answer.status, answer.get(b"allow")) == (405, allow)
    options = await desk.ask(path, method=b"OPTIONS")
    assert (options.status, options.get(b"allow")) == (204, allow)
    assert desk.refused == 1


async def test_too_much_is_refused_as_soon_as_it_shows() -> None:
    desk = Desk(body_size=100, text_size=50)
    announced = posted("/v2/models/m/infer")
    announced.request.length = 101
    refused = desk.api.request(announced)  # without a look at its body
    assert isinstance(refused, Response)
    assert (refused.status, why(refused)) == (413, "More than 100 bytes are not taken here.")
    streamed = posted("/v2/models/m/infer")
    streamed.request.body = pipe = Pipe()
    streamed.request.length = UNKNOWN_LENGTH
    pipe.feed(bytes(101))
    assert (await desk.api.request(streamed)).status == 413  # type: ignore[misc]
    assert pipe.closed
    assert "bytes of JSON are" in why(await desk.ask("/v2/models/m/infer", bytes(51)))
    assert "bytes of JSON or text are" in why(await desk.ask("/v2/models/m/predict", bytes(51)))


async def test_a_picture_and_binary_data_may_be_longer_than_texts() -> None:
    desk = Desk(Models(manifest("m", inputs=(PIXELS,))), text_size=10)
    assert (await desk.ask("/v2/models/m/predict", bytes(11), content_type="image/png")).status == 200
    desk = Desk(text_size=200)
    question, body = request.encode({"x": np.zeros((100, 2), np.float32)})
    size = question[b"inference-header-content-length"].decode()
    assert len(body) > 200
    assert (await desk.ask("/v2/models/m/infer", body, inference_header_content_length=size)).status == 200


@pytest.mark.parametrize(
    ("path", "fields", "reason"),
    [
        ("infer", {"content_type": "text/plain"}, "application/json or application/octet-stream"),
        ("infer", {"content_encoding": "gzip"}, "without a content coding"),
        ("predict", {"content_type": "image/png"}, "What the model takes here is application/json."),
        ("predict", {"content_encoding": "identity, br"}, "without a content coding"),
    ],
)
async def test_a_type_or_coding_that_is_not_taken_is_refused(path: str, fields: dict[str, Any], reason: str) -> None:
    answer = await Desk().ask(f"/v2/models/m/{path}", QUESTION, **fields)
    assert answer.status == 415
    assert reason in why(answer)
    assert answer.get(b"accept-encoding") == (b"identity" if "content_encoding" in fields else None)


async def test_a_plain_question_has_a_plain_answer() -> None:
    desk = Desk(Models(manifest("m", inputs=(X,), outputs=(labelled("a", "b"),)), says=lambda _: [0.25, 0.75]))
    answer = await desk.ask("/v2/models/m/predict", {"input": [1, 2]}, content_type="application/json")
    assert json.loads(answer.body)["labels"][0] == {"label": "b", "probability": 0.75}  # type: ignore[arg-type]
    assert answer.get(FIELD) == b'edge;model="m";version="1"'
    assert desk.models.asked[0][1]["x"].tolist() == [[1, 2]]


async def test_a_model_of_heads_looks_at_the_request_itself() -> None:
    desk = Desk(Models(manifest("m", inputs=(HEAD,), outputs=(SCORE,))))
    answer = await desk.ask("/v2/models/m/predict", user_agent="Mozilla/5.0")
    assert answer.status == 200
    assert desk.models.asked[0][1]["features"].tolist() == [[1, 1]]


async def test_a_picture_that_nobody_has_time_for_may_come_again() -> None:
    desk = Desk(Models(manifest("m", inputs=(PIXELS,))))
    desk.later = TimeoutError()
    answer = await desk.ask("/v2/models/m/predict", b"a file", content_type="image/png")
    assert (answer.status, answer.get(b"retry-after")) == (503, b"1")


async def test_a_manifest_that_has_changed_is_gone_by() -> None:
    desk = Desk()
    assert (await desk.ask("/v2/models/m/infer", QUESTION)).status == 200
    desk.models.known["m"] = manifest("m", inputs=(X | {"name": "z"},))
    assert "There is no input 'x'" in why(await desk.ask("/v2/models/m/infer", QUESTION))
    del desk.models.known["m"]
    assert (await desk.ask("/v2/models/m/infer", QUESTION)).status == 404
