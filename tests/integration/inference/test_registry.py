"""Versions come into service when they pass, replace each other while others are asked, and go when their files do."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproxy.config.models import ModelsConfig
from edgeproxy.inference import registry as registries
from edgeproxy.inference.registry import Registry
from edgeproxy.inference.version import Standing, Version
from edgeproxy.pipeline.middleware import Services
from edgeproxy.tensors import Spec
from tests.support import onnx_bytes
from tests.support.models import ECHO, SCORE, SLOW, Small, write
from tests.support.stages import services
from tests.support.waiting import eventually

OTHER = SCORE._replace(
    content=onnx_bytes.logistic((0, 0, 0, 0), bias=4.0),
    sample={"inputs": {"features": [0, 0, 0, 0]}, "outputs": {"score": [0.982]}},
)
WRONG = SCORE._replace(content=onnx_bytes.logistic((1, 0, 0, 0)), sample={"seed": 1, "outputs": {"score": [0.0]}})


class Node:
    """A folder of models, and the registry over it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.lent: Services = services()
        self.changed: list[str] = []
        given = ModelsConfig.model_validate({"folder": str(folder), **settings})
        self.registry = Registry(given, self.lent, self.changed.append)

    def write(self, name: str, versions: dict[str, Small], **changes: Any) -> None:
        write(self.folder, name, versions, **changes)

    async def look(self) -> None:
        """Twice: what changed has to stand still."""
        await self.registry.look()
        await self.registry.look()

    def states(self) -> dict[str, str]:
        return {f"{each.model}/{each.number}": each.state for each in self.registry.standings()}

    def reason(self, name: str, number: str) -> str:
        return next(each.reason for each in self.registry.standings() if each[:2] == (name, number))

    def score(self, number: str = "") -> float:
        version = self.registry.get("score", number)
        assert version is not None
        return scored(version)


def scored(version: Version) -> float:
    return float(version.session.run({"features": np.zeros((1, 4), np.float32)})["score"][0, 0])


@pytest.fixture
def node(tmp_path: Path) -> Node:
    write(tmp_path, "score", {"1": SCORE})
    return Node(tmp_path)


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edgeproxy")


async def test_what_passes_serves_and_what_does_not_says_why(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.write("echo", {"1": ECHO})
    node.write("slow", {"1": SLOW})
    node.write("wrong", {"1": WRONG})
    (node.folder / "wrong/manifest.yaml").write_text((node.folder / "wrong/manifest.yaml").read_text() + "more: 1\n")
    write(node.folder, "other", {"1": WRONG})
    await node.registry.start()
    assert node.states() == {
        "echo/1": "ready",
        "other/1": "refused",
        "score/1": "ready",
        "slow/1": "ready",
        "wrong/": "refused",
    }
    score, slow = node.registry.get("score"), node.registry.get("slow")
    assert score is not None
    assert slow is not None
    assert (score.inline, slow.inline) == (True, False)
    assert (score.number, node.registry.get("score", "1"), node.registry.get("score", "2")) == ("1", score, None)
    assert node.registry.get("none") is None
    assert "the manifest has 0" in node.reason("other", "1")
    assert "more: unknown key" in node.reason("wrong", "")
    assert [each.name for each in node.registry.manifests()] == ["echo", "other", "score", "slow"]
    assert "models: other/1: refused: to its sample, score[0] is" in caplog.text
    assert repr(node.registry) == "<Registry echo: ['', '1'], score: ['', '1'], slow: ['', '1']>"
    family = next(each for each in node.lent.metrics.dump() if each["name"] == "edgeproxy_model_versions")
    assert {labels[0]: values[0] for labels, values in family["series"]} == {
        "ready": 3,
        "loading": 0,
        "refused": 2,
        "replaced": 0,
    }
    await node.registry.stop()


async def test_a_newer_version_takes_over_and_who_runs_the_old_one_ends_in_peace(node: Node) -> None:
    await node.look()
    old = node.registry.get("score")
    assert old is not None
    assert node.changed == ["score"]
    node.write("score", {"1": SCORE, "2": OTHER})
    await node.look()
    assert node.score() == pytest.approx(0.982, abs=1e-3)
    assert node.registry.get("score", "1") is None
    assert node.states() == {"score/1": "replaced", "score/2": "ready"}
    assert node.changed == ["score", "score"]
    assert scored(old) == 0.5


async def test_there_is_a_version_at_every_moment_of_a_change(node: Node) -> None:
    await node.look()
    node.write("score", {"1": SCORE, "2": OTHER})
    await node.registry.look()
    looking = asyncio.create_task(node.registry.look())
    seen: list[float] = []
    while not looking.done():
        seen.append(node.score())
        await asyncio.sleep(0.001)
    assert seen[0] == 0.5
    assert node.score() == pytest.approx(0.982, abs=1e-3)


@pytest.mark.parametrize("also", [True, False])
async def test_a_version_that_does_not_pass_leaves_the_old_one(
    node: Node, caplog: pytest.LogCaptureFixture, also: bool
) -> None:
    """Whether or not the manifest still has it."""
    await node.look()
    before = node.registry.get("score")
    node.write("score", {"1": SCORE, "2": WRONG} if also else {"2": WRONG})
    if not also:
        (node.folder / "score/1").mkdir()
        (node.folder / "score/1/model.onnx").write_bytes(SCORE.content)
    for _ in range(3):
        await node.look()
    after = node.registry.get("score")
    assert before is not None
    assert after is not None
    assert after.session is before.session
    assert node.states() == {"score/1": "ready", "score/2": "refused"}
    assert caplog.text.count("score/2: refused") == 1
    assert node.changed == ["score"]


async def test_what_is_still_being_written_is_not_taken(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    await node.look()
    file = node.folder / "score/1/model.onnx"
    node.write("score", {"1": OTHER})
    file.write_bytes(OTHER.content[:50])
    await node.registry.look()  # it grows from look to look
    file.write_bytes(OTHER.content[:90])
    await node.registry.look()
    assert "refused" not in caplog.text
    await node.look()  # and stops half-way
    assert node.score() == 0.5
    assert "its file's SHA-256 is" in node.reason("score", "1")
    assert node.states() == {"score/1": "ready"}
    file.write_bytes(OTHER.content)
    await node.look()
    assert node.score() == pytest.approx(0.982, abs=1e-3)
    assert node.reason("score", "1") == ""


async def test_what_is_taken_away_goes_out_of_service(node: Node) -> None:
    node.write("echo", {"1": ECHO})
    node.write("score", {"1": SCORE, "2": OTHER}, serve=[1, 2])
    await node.look()
    assert node.states() == {"echo/1": "ready", "score/1": "ready", "score/2": "ready"}
    node.write("score", {"1": SCORE})
    shutil.rmtree(node.folder / "echo")
    await node.look()
    assert node.states() == {"score/1": "ready"}
    assert (node.registry.get("echo"), node.score()) == (None, 0.5)
    (node.folder / "score/1/model.onnx").unlink()
    await node.look()
    assert node.registry.get("score") is None
    assert node.reason("score", "1") == "its file is not there"
    assert node.changed[-1] == "score"


async def test_a_manifest_that_cannot_be_read_leaves_everything(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    await node.look()
    (node.folder / "score/manifest.yaml").write_text("name: [")
    for _ in range(3):
        await node.look()
    assert node.score() == 0.5
    assert node.states() == {"score/": "refused", "score/1": "ready"}
    assert caplog.text.count("refused") == 1
    node.write("score", {"1": SCORE})
    await node.look()
    assert node.states() == {"score/1": "ready"}


async def test_a_change_beside_the_content_needs_no_other_trial(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    await node.look()
    before = node.registry.get("score")
    monkeypatch.setattr(sys, "executable", "/there/is/none")
    node.write("score", {"1": SCORE}, budget="20ms")  # the file is another one, with the same content
    await node.look()
    after = node.registry.get("score")
    assert before is not None
    assert after is not None
    assert after.session is before.session
    assert after.manifest.budget == 0.02
    assert node.states() == {"score/1": "ready"}
    assert node.changed == ["score"]
    node.write("score", {"1": SCORE._replace(sample={"seed": 1, "outputs": {"score": [0.9]}})})
    await node.look()
    assert "did not start" in node.reason("score", "1")  # another sample is another trial


async def test_how_many_serve_is_the_manifests_choice(node: Node) -> None:
    three = {"1": SCORE, "2": OTHER, "10": SCORE}
    node.write("score", three, serve={"latest": 2})
    await node.look()
    assert node.states() == {"score/1": "replaced", "score/2": "ready", "score/10": "ready"}
    assert node.score() == 0.5  # of 10, which is newer than 2
    node.write("score", three, serve=[1])
    await node.look()
    assert node.states() == {"score/1": "ready", "score/2": "replaced", "score/10": "replaced"}
    node.write("score", {"1": SCORE, "2": OTHER, "3": WRONG}, serve={"latest": 2})
    await node.look()
    assert node.states() == {"score/1": "ready", "score/2": "ready", "score/3": "refused"}
    assert node.score() == pytest.approx(0.982, abs=1e-3)


async def test_only_those_named_are_loaded(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name, {"1": SCORE})
    node = Node(tmp_path, only=["b"])
    await node.look()
    assert node.states() == {"b/1": "ready"}
    with pytest.raises(ValueError, match=r"models\.only: there is no model 'c' in "):
        Node(tmp_path, only=["b", "c"])


async def test_links_out_of_the_folder_are_refused(node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, "linked", {"1": SCORE})
    (node.folder / "linked").symlink_to(elsewhere / "linked")
    file = node.folder / "score/1/model.onnx"
    file.unlink()
    file.symlink_to(elsewhere / "linked/1/model.onnx")
    await node.look()
    assert node.states() == {"linked/": "refused", "score/1": "refused"}
    assert "outside of the folder of models" in node.reason("linked", "")
    assert "outside of the folder of models" in node.reason("score", "1")


async def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "slow", {"1": SLOW})
    node = Node(tmp_path, file_size="1KB")
    await node.look()
    assert "file_size allows 1000" in node.reason("slow", "1")


async def test_what_was_no_fault_of_the_version_is_tried_again(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registries, "AGAIN", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/there/is/none")
        await node.look()
        await node.look()
        assert "did not start" in node.reason("score", "1")
    await node.look()
    assert node.states() == {"score/1": "ready"}
    assert caplog.text.count("refused") == 1


async def test_a_refused_version_is_not_tried_at_every_look(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.write("score", {"1": WRONG})
    await node.look()

    def read(*_: object) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr(registries, "load", read)
    monkeypatch.setattr(registries, "read_model", read)
    await node.look()
    assert node.states() == {"score/1": "refused"}


async def test_a_folder_that_goes_away_leaves_what_serves(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    await node.look()
    away = node.folder.rename(node.folder.with_name("away"))
    await node.look()
    assert node.score() == 0.5
    assert caplog.text.count("cannot be read") == 1
    away.rename(node.folder)
    await node.look()
    assert node.score() == 0.5


async def test_it_looks_by_itself(tmp_path: Path) -> None:
    write(tmp_path, "score", {"1": SCORE})
    node = Node(tmp_path, poll=0.1)
    await node.registry.start()
    node.write("score", {"1": SCORE, "2": OTHER})
    await eventually(lambda: node.states().get("score/2") == "ready")
    await node.registry.stop()
    node.write("score", {"1": SCORE})
    assert node.score() == pytest.approx(0.982, abs=1e-3)


async def test_a_start_does_not_wait_for_ever(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registries, "START_WITHIN", 0.0)
    await node.registry.start()
    assert node.registry.get("score") is None
    await eventually(lambda: node.registry.get("score") is not None)
    await node.registry.stop()


def test_what_stages_ask_for_is_there_or_said(node: Node) -> None:
    assert node.registry.manifest("score").name == "score"
    node.write("bad", {"1": SCORE}, licence="")
    (node.folder / "bad/1/model.onnx").write_bytes(b"")
    again = Node(node.folder, remote={"far": {"url": "https://models.example.net/far.tgz", "sha256": "ab" * 32}})
    for name, said in (
        ("none", r"there is no model 'none' in .*; known are bad, score"),
        ("bad", r"the model 'bad' cannot be used: .*manifest.yaml:4:10: licence: must not be empty"),
        ("far", r"the model 'far' has not been fetched yet; put its manifest into .*far"),
    ):
        with pytest.raises(ValueError, match=said):
            again.registry.manifest(name)
    with pytest.raises(ValueError, match=r"models\.folder: .* cannot be read"):
        Node(node.folder / "none")


async def test_the_trial_is_not_believed_about_the_time_a_run_takes(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "_load", lambda *_: (None, 0.5))
    await node.look()
    version = node.registry.get("score")
    assert version is not None
    assert (version.seconds, version.inline) == (0.5, False)


async def test_what_has_loops_never_runs_inline(tmp_path: Path) -> None:
    ends = (Spec("x", "FP32", (1,)),), (Spec("y", "FP32", (1,)),)
    loop = Small(onnx_bytes.loop(3), *ends, {"inputs": {"x": [1]}, "outputs": {"y": [4]}})
    write(tmp_path, "loop", {"1": loop}, control_flow=True)
    node = Node(tmp_path, inline="10ms")
    await node.look()
    version = node.registry.get("loop")
    assert version is not None
    assert version.seconds < 0.01
    assert not version.inline


async def test_standings_are_in_order(node: Node) -> None:
    node.write("score", {"2": OTHER, "10": SCORE, "1": SCORE})
    node.write("echo", {"1": ECHO})
    await node.look()
    assert [each[:2] for each in node.registry.standings()] == [
        ("echo", "1"),
        ("score", "1"),
        ("score", "2"),
        ("score", "10"),
    ]
    assert node.registry.standings()[1] == Standing("score", "1", "replaced", "others serve")
