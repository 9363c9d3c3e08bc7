"""The API at a running node, with models of a few bytes: tensors, texts and pictures in, answers and refusals out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import ValidationError

from edgeproxy.oip import request as questions
from edgeproxy.oip import response as answers
from edgeproxy.tensors import ANY, Array, Spec
from middleware.inference import Inference
from tests.support import models, onnx_bytes, pictures
from tests.support.client import RawClient, ask
from tests.support.models import ECHO, SCORE, SLOW, Small
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request
from tests.support.stages import stage

ROW = np.array([[1, 2, 4, -0.5]], np.float32)
SHADES = {"pixels": {"width": 4, "height": 1, "channels": "grey", "fit": "stretch"}}


def echo(kind: str, shape: tuple[int, ...], sample: list[Any]) -> Small:
    """What goes in comes out."""
    told = {"inputs": {"x": sample}, "outputs": {"y": sample}}
    return Small(onnx_bytes.identity(kind, shape), (Spec("x", kind, shape),), (Spec("y", kind, shape),), told)


class Node:
    """A running node with models, and its API in few words."""

    def __init__(self, edge: EdgeProcess, site: Site) -> None:
        self.edge = edge
        self.site = site

    def post(self, path: str, body: bytes | dict[str, Any], kind: str = "application/json", *more: bytes) -> Any:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        fields = (b"Content-Type: " + kind.encode(), b"Content-Length: %d" % len(content), *more)
        return self.send(path, *fields, content=content)

    def send(self, path: str, *fields: bytes, content: bytes = b"", method: bytes = b"POST") -> Any:
        head = request(path.encode(), *fields, b"Connection: close", method=method)
        (answer,) = ask(self.edge.address, head, content).final
        return answer

    def infer(self, model: str, x: Array, *, binary: bool = True, name: str = "x") -> tuple[bytes | None, Array]:
        told, body = questions.encode({name: x}, binary=binary)
        fields = [b"%b: %b" % (field, value) for field, value in told.items()]
        answer = self.send(f"/v2/models/{model}/infer", *fields, b"Content-Length: %d" % len(body), content=body)
        assert answer.status == 200, answer.body
        _, outputs = answers.decode({field.lower(): value for field, value in answer.fields}, answer.body)
        (output,) = outputs.values()
        return answer.get(b"edgeproxy-inference"), output


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("models")
    models.write(folder, "score", {"1": SCORE})
    models.write(folder, "echo", {"1": ECHO, "2": ECHO}, serve=[1, 2])
    models.write(folder, "slow", {"1": SLOW})
    broken = SCORE._replace(sample={"inputs": {"features": [0, 0, 0, 0]}, "outputs": {"score": [0.25]}})
    models.write(folder, "broken", {"1": broken})
    models.write(folder, "words", {"1": echo("BYTES", (ANY,), ["a"])})
    shades = models.write(folder, "shades", {"1": echo("FP32", (ANY, 1, 1, 4), [0.0] * 4)})
    _rewrite(shades, inputs=SHADES, outputs={"labels": ["a", "b", "c", "d"], "top": 2})
    stages = {"inference": {"index": True, "body_size": 200_000, "text_size": 20_000, "free_length": 64}}
    with (
        Site() as site,
        EdgeProcess(config(site.url, models={"folder": str(folder)}, middleware=stages)) as edge,
    ):
        yield Node(edge, site)


def _rewrite(folder: Path, **more: dict[str, Any]) -> None:
    """Add keys to the first input and output of a manifest."""
    file = folder / "manifest.yaml"
    content = yaml.safe_load(file.read_text())
    for group, keys in more.items():
        content[group][0] |= keys
    file.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_are_answered_with_tensors(node: Node, binary: bool) -> None:
    by, output = node.infer("score", ROW, binary=binary, name="features")
    assert output.tolist() == [[0.5]]
    assert by == b'edge;model="score";version="1"'
    assert node.infer("echo", ROW, binary=binary)[1].tolist() == ROW.tolist()


@pytest.mark.parametrize("binary", [True, False])
def test_texts_are_tensors_too(node: Node, binary: bool) -> None:
    output = node.infer("words", np.array(["é", "", "b"], object), binary=binary)[1]
    assert output.tolist() == ["é", "", "b"]


def test_a_model_that_takes_long_is_answered_from_a_thread(node: Node) -> None:
    shape = SLOW.inputs[0].shape
    assert node.infer("slow", np.ones(shape, np.float32))[1].shape == shape


def test_many_questions_on_one_connection_are_answered_in_their_order(node: Node) -> None:
    with RawClient(node.edge.address) as client:
        for number in range(20):
            body = json.dumps({"input": [number, 0, 0, 0]}).encode()
            fields = (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
            client.send(request(b"/v2/models/echo/predict", *fields, method=b"POST") + body)
        final = client.answers(20).final
    assert [json.loads(answer.body)["outputs"]["y"][0][0] for answer in final] == list(range(20))


def test_a_body_in_chunks_is_a_question(node: Node) -> None:
    body = json.dumps({"input": [1, 2, 3, 4]}).encode()
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    fields = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")
    answer = node.send("/v2/models/echo/predict", *fields, content=chunked)
    assert json.loads(answer.body)["outputs"] == {"y": [[1, 2, 3, 4]]}


def test_a_client_that_waits_to_be_told_is_told_to_send(node: Node) -> None:
    body = json.dumps({"input": [1, 2, 3, 4]}).encode()
    fields = (b"Content-Type: application/json", b"Content-Length: %d" % len(body), b"Expect: 100-continue")
    with RawClient(node.edge.address) as client:
        client.send(request(b"/v2/models/echo/predict", *fields, method=b"POST"))
        client.read_until(lambda received: b"100 Continue" in received)
        client.send(body)
        told = client.answers(1)
    assert [answer.status for answer in told.final] == [200]


def test_a_picture_becomes_labels(node: Node) -> None:
    picture = Image.new("L", (8, 2))
    for place, shade in enumerate((0, 255, 51, 102)):
        picture.paste(shade, (2 * place, 0, 2 * place + 2, 2))
    answer = node.post("/v2/models/shades/predict", pictures.encode(picture, "PNG"), "image/png")
    told = json.loads(answer.body)
    assert (told["model"], told["version"], told["by"]) == ("shades", "1", "edge")
    assert [each["label"] for each in told["labels"]] == ["b", "d"]
    assert [each["probability"] for each in told["labels"]] == pytest.approx([1.0, 0.4], abs=0.1)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [(b"noise", "image/png", 400), (b"", "image/png", 400), (b"a text", "text/plain", 415), (b"{", "image/gif", 400)],
)
def test_what_is_no_picture_is_refused(node: Node, content: bytes, kind: str, status: int) -> None:
    answer = node.post("/v2/models/shades/predict", content, kind)
    assert answer.status == status
    assert json.loads(answer.body).keys() == {"error"}


def test_a_text_becomes_what_the_model_makes_of_it(node: Node) -> None:
    for content, kind in (("é".encode(), "text/plain"), ({"input": "é"}, "application/json")):
        assert json.loads(node.post("/v2/models/words/predict", content, kind).body)["outputs"] == {"y": ["é"]}


def test_each_version_that_serves_may_be_asked(node: Node) -> None:
    for number in ("1", "2"):
        answer = node.post(f"/v2/models/echo/versions/{number}/predict", {"input": [1, 2, 3, 4]})
        assert json.loads(answer.body)["version"] == number
    assert node.post("/v2/models/echo/versions/3/predict", {"input": [1, 2, 3, 4]}).status == 404


def test_the_node_tells_what_it_has(node: Node) -> None:
    told = json.loads(node.send("/v2/models/echo", method=b"GET").body)
    assert told["versions"] == ["1", "2"] or told["versions"] == ["2", "1"]
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert json.loads(node.send("/v2", method=b"GET").body)["name"] == "edgeproxy"
    assert node.send("/v2/health/live", method=b"GET").status == 200
    assert node.send("/v2/models/echo/ready", method=b"GET").status == 200


def test_a_version_that_was_refused_is_listed_with_its_reason_and_not_ready(node: Node) -> None:
    index = json.loads(node.send("/v2/repository/index", b"Content-Length: 0").body)
    (broken,) = [each for each in index if each["name"] == "broken"]
    assert broken["state"] == "UNAVAILABLE"
    assert broken["reason"]
    assert [each["state"] for each in index if each["name"] == "score"] == ["READY"]
    assert node.send("/v2/models/broken/ready", method=b"GET").status == 400
    assert node.send("/v2/health/ready", method=b"GET").status == 400
    refused = node.post("/v2/models/broken/predict", {"input": [1, 2, 3, 4]})
    assert (refused.status, refused.get(b"retry-after")) == (503, b"1")


def test_heads_are_answered_without_a_body(node: Node) -> None:
    whole, head = (node.send("/v2/models/echo", method=method) for method in (b"GET", b"HEAD"))
    assert head.status == 200
    assert head.body == b""
    assert head.get(b"content-length") == whole.get(b"content-length")


def test_nothing_of_it_reaches_the_cache_or_the_origin(node: Node) -> None:
    before = len(node.site.requests)
    for _ in range(2):
        told = node.send("/v2/models/echo", method=b"GET")
        assert told.get(b"cache-control") == b"no-store"
        assert told.get(b"cache-status") is None
        assert node.post("/v2/models/echo/predict", {"input": [1, 2, 3, 4]}).get(b"cache-status") is None
    assert len(node.site.requests) == before
    assert node.send("/elsewhere", method=b"GET").status == 200
    assert len(node.site.requests) == before + 1


@pytest.mark.parametrize(
    ("path", "content", "kind", "status", "why"),
    [
        ("echo/infer", b"{", "application/json", 400, "The JSON cannot be read"),
        ("echo/infer", b"[" * 10_000, "application/json", 400, "nested too deeply"),
        ("echo/infer", b'{"inputs":[]}', "application/json", 400, "Inputs is not a list"),
        ("echo/infer", b"x" * 20_001, "application/json", 413, "More than 20000 bytes of JSON"),
        ("echo/infer", b"x" * 200_001, "application/octet-stream", 413, "More than 200000 bytes are"),
        ("echo/infer", b"{}", "text/html", 415, "What is taken here"),
        ("none/infer", b"{}", "application/json", 404, "There is no such model here."),
        ("echo/predict", b'{"input":[1,2]}', "application/json", 400, "has 2 values"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bad_question_is_refused_with_the_reason(
    node: Node, path: str, content: bytes, kind: str, status: int, why: str
) -> None:
    answer = node.post(f"/v2/models/{path}", content, kind)
    assert answer.status == status
    assert answer.get(b"content-type") == b"application/json"
    assert why in json.loads(answer.body)["error"]


def test_a_question_too_long_along_a_free_axis_is_refused(node: Node) -> None:
    rows = {"name": "x", "shape": [65, 4], "datatype": "FP32", "data": [0] * 260}
    answer = node.post("/v2/models/echo/infer", {"inputs": [rows]})
    assert answer.status == 400
    assert "longer than 64" in json.loads(answer.body)["error"]


def test_no_bad_question_left_a_trace_in_the_log(node: Node) -> None:
    node.post("/v2/models/echo/infer", b'{"inputs":[{"name":"\\ud800"}]}')
    node.post("/v2/models/echo/predict", b'{"input":{"\\ud800":1}}')
    assert "internal error" not in node.edge.logs()
    assert "Traceback" not in node.edge.logs()


@pytest.mark.parametrize(
    "settings",
    [{"prefix": "v2"}, {"prefix": "/v2/"}, {"prefix": "/"}, {"body_size": "1"}, {"questions": 0}, {"models": ["a/b"]}],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Inference, settings)
