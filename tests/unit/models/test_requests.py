"""The models that look at requests: what they say of captured heads, and of requests for what is not there."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproxy.features import head, request
from edgeproxy.features.log import LogReader
from edgeproxy.http.message import Request
from edgeproxy.inference import manifest
from edgeproxy.inference.session import Session

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "models"
AGENT = (
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36"
)


@cache
def session(name: str) -> Session:
    newest = max(manifest.load(MODELS / name).versions, key=int)
    return Session((MODELS / name / newest / "model.onnx").read_bytes())


@cache
def captured() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (MODELS / "bot-score/heads.jsonl").read_text(encoding="utf-8").splitlines()]


def bot(fields: dict[bytes, bytes], scheme: bytes = b"https") -> float:
    asked = head.vector(Request(b"GET", b"/", fields, scheme))[None]
    return float(session("bot-score").run({"features": asked})["probability"][0, 0])


def scored(told: dict[str, Any], agent: bytes = b"") -> float:
    """A captured head's probability; with ``agent`` in place of its own where it has one."""
    fields = {name.encode(): value.encode() for name, value in told["fields"]}
    if agent and b"user-agent" in fields:
        fields[b"user-agent"] = agent
    return bot(fields, told["scheme"].encode())


def strange(target: bytes, method: bytes = b"GET", **fields: bytes) -> float:
    asked = request.vector(Request(method, target, {name.encode(): value for name, value in fields.items()}))[None]
    return float(session("request-anomaly").run({"features": asked})["score"][0, 0])


def test_manifests_ask_for_as_many_numbers_as_are_made() -> None:
    shapes = {name: manifest.load(MODELS / name).inputs[0].shape for name in ("bot-score", "request-anomaly")}
    assert shapes == {"bot-score": (-1, head.LENGTH), "request-anomaly": (-1, request.LENGTH)}


def test_firefox_as_it_was_captured_is_a_browser() -> None:
    scores = [scored(told) for told in captured() if told["name"] == "firefox"]
    assert len(scores) > 100
    assert np.mean(np.array(scores) < 0.5) > 0.97


def test_chromium_is_a_browser_unless_its_agent_says_headless() -> None:
    own = AGENT.replace(b"Windows NT 10.0; Win64; x64", b"X11; Linux x86_64").replace(b"153", b"156")
    heads = [told for told in captured() if told["name"] == "chromium" and told["setting"] == "plain"]
    assert np.mean([scored(told, own) < 0.5 for told in heads]) > 0.97
    assert np.mean([scored(told) > 0.5 for told in heads]) > 0.97


def test_tools_and_liars_are_programs() -> None:
    for kind in ("tool", "liar"):
        scores = np.array(
            [scored(told, AGENT if kind == "liar" else b"") for told in captured() if told["kind"] == kind]
        )
        assert np.mean(scores > 0.5) > 0.95, kind


def test_what_makes_a_browsers_head_a_liars() -> None:
    """Its fields in another order, or without most of them."""
    told = next(each for each in captured() if each["name"] == "chromium" and dict(each["fields"]).get("sec-ch-ua"))
    fields = {name.encode(): value.encode() for name, value in told["fields"]}
    fields[b"user-agent"] = AGENT.replace(b"Windows NT 10.0; Win64; x64", b"X11; Linux x86_64").replace(b"153", b"156")
    honest = bot(fields)
    assert honest < 0.5
    assert bot(dict(reversed(fields.items()))) > honest + 0.3
    stripped = {name: fields[name] for name in (b"host", b"user-agent", b"accept")}
    assert bot(stripped) > 0.9


def test_no_head_tells_who_was_asked() -> None:
    text = (MODELS / "bot-score/heads.jsonl").read_text(encoding="utf-8")
    assert not [word for word in ("127.0.0.1", "localhost", "site.example", "root") if word in text]
    values = {value for told in captured() for name, value in told["fields"] if name in {"cookie", "authorization"}}
    assert values <= {"a=b"}


@pytest.mark.parametrize(
    "target", [b"/.env", b"/?url=http://169.254.169.254/&x=%3Cscript%3E", b"/a.php?id=1%27%20OR%20%271%27=%271"]
)
def test_what_a_site_is_never_asked_for_is_strange(target: bytes) -> None:
    usual = max(strange(b"/", user_agent=AGENT), strange(b"/river/article-7", user_agent=AGENT, referer=b"/"))
    assert strange(target, user_agent=AGENT) > usual


@pytest.mark.bench
def test_the_bot_score_takes_less_than_30_microseconds() -> None:
    fields = {name.encode(): value.encode() for name, value in captured()[0]["fields"]}
    asked, loaded = Request(b"GET", b"/", fields, b"https"), session("bot-score")
    start = time.process_time()
    for _ in range(20_000):
        loaded.run({"features": head.vector(asked)[None]})
    assert (time.process_time() - start) / 20_000 < 30e-6


@pytest.mark.slow
def test_a_node_fits_the_anomalies_to_its_own_log(tmp_path: Path) -> None:
    """What is usual there is no longer strange; and errors have taught it nothing."""
    environment = ROOT / ".venv-models"
    subprocess.run([ROOT / "scripts/setup-models", environment], check=True)
    folder = shutil.copytree(MODELS / "request-anomaly", tmp_path / "request-anomaly")
    lines = [
        f"192.0.2.{number % 250} - - [{1 + number // 200:02}/Sep/2026:{number % 24:02}:10:{number % 60:02} +0000] "
        f'"GET {target} HTTP/1.1" {status} 10 "-" "visitor"'
        for number in range(2_000)
        for target, status in ((f"/wiki/index.php?title=Page_{number}&action=view", 200), ("/.env", 404))
    ]
    log = tmp_path / "access.log"
    log.write_text("\n".join(sorted(lines, key=lambda line: line.split("[")[1][:20])))
    command = [environment / "bin/edgeproxy", "models", "fit", "request-anomaly", "--models", tmp_path, "--log", log]
    done = subprocess.run([*command, "--force"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    fitted = Session((folder / "2/model.onnx").read_bytes())
    records = list(LogReader(io.BufferedReader(io.BytesIO(log.read_bytes()))))  # type: ignore[arg-type]
    good, probe = records[0], next(record for record in records if record.target == "/.env")
    asked = np.stack([request.of_record(good), request.of_record(probe)])
    usual, odd = fitted.run({"features": asked})["score"][:, 0]
    assert odd > usual + 0.1
