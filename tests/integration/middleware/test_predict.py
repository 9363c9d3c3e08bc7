"""A running node whose models look at heads, bodies and answers: real model files, real pictures."""

from __future__ import annotations

import io
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeproxy.features.table import feature
from edgeproxy.http.message import Request
from edgeproxy.tensors import ANY, Spec
from tests.support import models, onnx_bytes
from tests.support.client import Answer, RawClient, ask
from tests.support.models import Small
from tests.support.origin import RecordedRequest, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request
from tests.support.stages import CHROME

SPAM = "buy cheap pills now, cheap pills for you"
LETTER = "dear colleague, the minutes of our meeting are attached"
MORE = b"Cache-Control: max-age=60"
CURL = {b"host": b"a.example", b"user-agent": b"curl/8.14.1", b"accept": b"*/*"}
TEXTS = [{"name": "features", "kind": "FP32", "shape": [-1, 4096], "features": "text/1"}]
PIXELS = [
    {"name": "x", "kind": "FP32", "shape": [-1, 1, 1, 2], "pixels": {"width": 2, "height": 1, "channels": "grey"}}
]


def detector(like: Any, unlike: Any, steepness: float = 20.0) -> Small:
    """A model that says 1 of the first numbers, 0 of the second, and something between of what is between."""
    way = np.asarray(like, np.float64) - np.asarray(unlike, np.float64)
    weights = steepness * way / (way @ way)
    bias = -float(weights @ (np.asarray(like, np.float64) + np.asarray(unlike, np.float64))) / 2
    width = len(weights)
    return Small(
        onnx_bytes.logistic(weights, bias),
        (Spec("features", "FP32", (ANY, width)),),
        (Spec("score", "FP32", (ANY, 1)),),
        {"inputs": {"features": [0.0] * width}, "outputs": {"score": [1 / (1 + math.exp(-bias))]}},
    )


def write_models(folder: Path) -> None:
    """``spam`` in two versions, of which the first answers by default; ``side``; ``bot``."""
    text, head = feature("text/1").vector, feature("head/1").vector
    spam, blind = detector(text(SPAM), text(LETTER)), detector(text(LETTER), text(SPAM))
    models.write(folder, "spam", {"1": spam, "2": blind}, inputs=TEXTS, serve=[1, 2], budget="2s")
    shape = (ANY, 1, 1, 2)
    side = Small(
        onnx_bytes.identity(shape=shape),
        (Spec("x", "FP32", shape),),
        (Spec("y", "FP32", shape),),
        {"inputs": {"x": [0.25, 0.5]}, "outputs": {"y": [0.25, 0.5]}},
    )
    labelled = [{"name": "y", "kind": "FP32", "shape": list(shape), "labels": ["left", "right"]}]
    models.write(folder, "side", {"1": side}, inputs=PIXELS, outputs=labelled)
    browser, program = (head(Request(b"GET", b"/", fields, scheme=b"http")) for fields in (CHROME, CURL))
    bot = detector(program, browser)
    given = [{"name": "features", "kind": "FP32", "shape": [-1, len(browser)], "features": "head/1"}]
    models.write(folder, "bot", {"1": bot}, inputs=given)


RULES: list[dict[str, Any]] = [
    {
        "model": "bot",
        "into": [
            {"header": "x-bot"},
            {"response_header": "x-you", "as": "{value} by {model}"},
            {"log": "program", "above": 0.5},
            {"score": 40},
            {"route": "slow", "above": 0.5},
        ],
        "when": {"path": "/head"},
    },
    {
        "model": "spam",
        "on": "body",
        "version": 1,
        "size": "10KB",
        "unanswered": "refuse",
        "when": {"path": "/post"},
        "into": [{"refuse": True, "above": 0.5}, {"header": "x-spam"}],
    },
    {
        "model": "side",
        "on": "answer",
        "into": [{"tag": "side-{label}"}, {"response_header": "x-side"}],
    },
]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


def setup(site: Site, folder: Path, rules: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    whole = config(site.url, workers=1, models={"folder": str(folder)}, **more)
    whole["middleware"] = {"predict": {"rules": rules}, **more.get("middleware", {})}
    whole["routes"].append({"name": "slow", "pool": "site", "match": {"path": "/never-asked-for"}})
    whole["routes"][1]["middleware"] = {"headers": {"request": {"set": {"x-lane": "slow"}}}}
    return whole


@pytest.fixture(scope="module")
def edge(site: Site, folder: Path) -> Iterator[EdgeProcess]:
    with EdgeProcess(setup(site, folder, RULES, middleware={"bot_check": {"score": True}})) as edge:
        yield edge
        assert "Traceback" not in edge.logs()
        assert "internal error" not in edge.logs()


def get(edge: EdgeProcess, target: bytes, fields: dict[bytes, bytes]) -> Answer:
    lines = [b": ".join(pair) for pair in fields.items() if pair[0] != b"host"]
    return ask(edge.address, request(target, *lines)).final[0]


def post(edge: EdgeProcess, body: bytes, *fields: bytes, told: bytes = b"text/plain") -> Answer:
    head = request(b"/post", b"Content-Type: " + told, b"Content-Length: %d" % len(body), *fields, method=b"POST")
    return ask(edge.address, head + body).final[0]


def logged(edge: EdgeProcess, target: bytes) -> list[dict[str, Any]]:
    """The access log's lines of a target, when there is one."""
    found: list[dict[str, Any]] = []

    def read() -> bool:
        lines = [line for line in edge.logs().splitlines() if line.startswith("{")]
        found[:] = [line for line in map(json.loads, lines) if line.get("target", line.get("path")) == target.decode()]
        return bool(found)

    wait_until(read, "the line is written")
    return found


def counted(edge: EdgeProcess, name: str) -> dict[str, float]:
    """A metric's values by its labels, as text."""
    lines = edge.admin("/metrics")[1].decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if line.startswith(name)]
    return {labels.removeprefix(name): float(value) for labels, _, value in pairs}


def picture(*shades: int) -> bytes:
    out = io.BytesIO()
    Image.frombytes("L", (2, 1), bytes(shades)).resize((40, 20), Image.Resampling.NEAREST).save(out, "PNG")
    return out.getvalue()


# Heads.


def test_what_a_model_says_of_a_head_reaches_origin_and_client(edge: EdgeProcess, site: Site) -> None:
    target = site.on(b"/head/a", answer(200, b"ok", MORE))
    for again in range(2):
        got = get(edge, target, CHROME | {b"x-bot": b"0", b"x_bot": b"0"})
        said, by = (got.get(b"x-you") or b"").split(b" by ")
        assert (float(said) < 0.5, by, b"hit" in (got.get(b"cache-status") or b"")) == (True, b"bot", bool(again))
    (seen,) = site.to(target)
    assert [float(value) < 0.5 for value in seen.all(b"x-bot")] == [True]
    assert seen.all(b"x_bot") == []
    assert seen.get(b"x-lane") is None


def test_a_program_is_handed_over_to_another_route(edge: EdgeProcess, site: Site) -> None:
    target = site.on(b"/head/b", answer(200, b"ok", MORE))
    for fields in (CURL, CHROME, CURL, CHROME):
        assert get(edge, target, fields).status == 200
    assert [seen.get(b"x-lane") for seen in site.to(target)] == [b"slow", None]
    lines = logged(edge, target)
    assert ["program" in line.get("tags", ()) for line in lines] == [True, False, True, False]
    assert [line["route"] for line in lines] == ["slow", "all", "slow", "all"]
    assert lines[0]["score"] > lines[1].get("score", 0) + 30


# Bodies.


def test_a_body_is_refused_or_reaches_the_origin_whole(edge: EdgeProcess, site: Site) -> None:
    refused = post(edge, SPAM.encode())
    assert refused.status == 403
    assert refused.body == b"403 What was sent is not taken here.\n"
    assert refused.get(b"cache-control") == b"no-store"
    assert site.to(b"/post") == []
    assert post(edge, LETTER.encode(), b"X-Spam: 0").status == 200
    (seen,) = site.to(b"/post")
    assert seen.body == LETTER.encode()
    assert [float(value) < 0.5 for value in seen.all(b"x-spam")] == [True]


def test_a_body_in_chunks_is_looked_at_as_it_comes(edge: EdgeProcess, site: Site) -> None:
    head = request(b"/post", b"Content-Type: text/plain", b"Transfer-Encoding: chunked", method=b"POST")
    for text, status in ((SPAM, 403), (LETTER, 200)):
        half = len(text) // 2
        with RawClient(edge.address) as client:
            client.send(head)
            for part in (text[:half], text[half:]):
                client.send(b"%x\r\n%b\r\n" % (len(part), part.encode()))
            client.send(b"0\r\n\r\n")
            assert client.answers(1, [b"POST"]).final[0].status == status
    assert site.to(b"/post")[-1].body == LETTER.encode()


@pytest.mark.parametrize(
    ("body", "fields", "told", "status"),
    [
        (LETTER.encode() * 300, (), b"text/plain", 413),
        (LETTER.encode(), (b"Content-Encoding: gzip",), b"text/plain", 415),
        (SPAM.encode(), (), b"application/octet-stream", 200),
        (b"", (), b"text/plain", 200),
    ],
)
def test_what_cannot_be_looked_at(
    edge: EdgeProcess, site: Site, body: bytes, fields: tuple[bytes, ...], told: bytes, status: int
) -> None:
    assert post(edge, body, *fields, told=told).status == status


@pytest.mark.slow
def test_a_long_body_reaches_the_origin_whole_where_it_may_pass(site: Site, folder: Path) -> None:
    rule = {"model": "spam", "on": "body", "size": "10KB", "into": [{"refuse": True, "above": 0.5}], "version": 1}
    body = SPAM.encode() * 20_000
    with EdgeProcess(setup(site, folder, [rule])) as edge:
        assert post(edge, body).status == 200
        assert site.to(b"/post")[-1].body == body
        assert counted(edge, "edgeproxy_predictions_total") == {'{model="spam",on="body",outcome="too_long"}': 1.0}


# Answers.


def test_a_picture_is_tagged_when_it_is_kept_and_a_purge_finds_it(edge: EdgeProcess, site: Site) -> None:
    targets = []
    for name, shades in ((b"left", (255, 0)), (b"right", (0, 255))):
        target = site.on(b"/%b.png" % name, answer(200, picture(*shades), b"Content-Type: image/png", MORE))
        targets.append(target)
        for _ in range(2):
            assert get(edge, target, CURL).get(b"x-side") == name
        assert len(site.to(target)) == 1
    status, body = edge.admin("/purge", "POST", {"tag": "side-left"})
    assert (status, json.loads(body)["purged"]) == (200, 1), body
    for target in targets:
        get(edge, target, CURL)
    assert [len(site.to(target)) for target in targets] == [2, 1]


def test_a_file_that_is_no_picture_is_kept_as_it_came(edge: EdgeProcess, site: Site) -> None:
    target = site.on(b"/broken.png", answer(200, b"not a picture", b"Content-Type: image/png", MORE))
    for _ in range(2):
        got = get(edge, target, CURL)
        assert (got.status, got.body, got.get(b"x-side")) == (200, b"not a picture", None)
    assert counted(edge, "edgeproxy_predictions_total")['{model="side",on="answer",outcome="unreadable"}'] == 1


@pytest.mark.slow
def test_an_answer_that_streams_is_not_held_up_for_long(site: Site, folder: Path) -> None:
    go_on = threading.Event()

    def script(_: RecordedRequest) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n" + MORE + b"\r\n\r\n"
        yield b"5\r\nbegin\r\n"
        go_on.wait(20)
        yield b"3\r\nend\r\n0\r\n\r\n"

    target = site.on(b"/slow.png", script)
    with EdgeProcess(setup(site, folder, [RULES[2] | {"wait": "50ms"}])) as edge, RawClient(edge.address) as client:
        client.send(request(target))
        client.read_until(lambda received: b"begin" in received, 10)
        assert b"begin" in client.received
        go_on.set()
        assert client.answers(1).final[0].body == b"beginend"


# Beside what acts.


def test_a_shadow_is_compared_and_never_heeded(site: Site, folder: Path) -> None:
    rule = RULES[1] | {"shadow": 2}
    with EdgeProcess(setup(site, folder, [rule])) as edge:
        assert [post(edge, text.encode()).status for text in (SPAM, LETTER)] == [403, 200]
        other = '{model="spam",outcome="other",version="2"}'
        wait_until(lambda: sum(counted(edge, "edgeproxy_shadow_total").values()) == 2, "it has answered")
        assert list(counted(edge, "edgeproxy_shadow_total").values()) == [2.0], other
        assert sum(counted(edge, "edgeproxy_shadow_difference_sum").values()) == pytest.approx(2, abs=0.1)


@pytest.mark.slow
def test_in_observe_mode_nothing_is_done(site: Site, folder: Path) -> None:
    rules = [RULES[1]]
    with EdgeProcess(setup(site, folder, rules, middleware={"predict": {"rules": rules, "mode": "observe"}})) as edge:
        assert post(edge, SPAM.encode(), b"X-Spam: 0").status == 200
        assert site.to(b"/post")[-1].get(b"x-spam") is None
        assert counted(edge, "edgeproxy_observed_total") == {'{stage="predict"}': 1.0}


@pytest.mark.slow
def test_a_route_or_a_model_that_is_not_there_is_refused_before_it_runs(site: Site, folder: Path) -> None:
    for rules, why in (
        ([RULES[0] | {"into": [{"route": "fast", "above": 0.5}]}], "there is no route 'fast'"),
        ([RULES[0] | {"model": "bots"}], "rules[0]: "),
    ):
        with pytest.raises(RuntimeError) as raised, EdgeProcess(setup(site, folder, rules)):
            pass
        assert any(why in note for note in raised.value.__notes__)


# The bot score.


def test_a_model_counts_for_the_bot_score(site: Site, folder: Path) -> None:
    checks = {"bot_check": {"model": "bot", "model_weight": 60, "weights": {}, "actions": {"tag": 100}}}
    whole = config(site.url, workers=1, models={"folder": str(folder)}, middleware=checks)
    with EdgeProcess(whole) as edge:
        for fields in (CHROME, CURL):
            assert get(edge, b"/scored", fields).status == 200
        wait_until(lambda: len(logged(edge, b"/scored")) == 2, "both are logged")
        browser, program = (line.get("score", 0) for line in logged(edge, b"/scored"))
        assert browser < 30
        assert program == 100


def test_a_model_that_does_not_load_leaves_the_score_as_it_was_and_says_so_once(site: Site, tmp_path: Path) -> None:
    write_models(tmp_path)
    (tmp_path / "bot" / "1" / "model.onnx").write_bytes(b"damaged")
    checks = {"bot_check": {"model": "bot", "actions": {"tag": 100}}}
    whole = config(site.url, workers=1, models={"folder": str(tmp_path)}, middleware=checks)
    with EdgeProcess(whole) as edge:
        assert [get(edge, b"/scored", CURL).status for _ in range(3)] == [200, 200, 200]
        wait_until(lambda: "does not count for the score" in edge.logs(), "it is said")
        assert get(edge, b"/scored", CURL).status == 200
        assert edge.logs().count("does not count for the score") == 1
        assert "Traceback" not in edge.logs()
