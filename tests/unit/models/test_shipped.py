"""The models that ship: files, manifests and cards that say the same, and answers that make sense.

Trained anew, each gives the figures of its card: those tests set up the environment for training, and are slow.
"""

# ruff: noqa: RUF001 (sentences in many languages)
from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

from edgeproxy.features.table import feature
from edgeproxy.inference import manifest, samples, vet
from edgeproxy.inference.manifest import Manifest, Pixels
from edgeproxy.inference.session import Session
from edgeproxy.tensors import Array
from edgeproxy.training import shelf

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "models"
SHIPPED = sorted(file.parent.name for file in MODELS.glob(f"*/{manifest.FILE}"))
FIXTURES = sorted(file.parent.name for file in MODELS.glob(f"*/{shelf.OUTLINE}"))
LARGEST = 1_000_000  # bytes of one file: they come with every installation


@cache
def read(name: str) -> Manifest:
    return manifest.load(MODELS / name)


@cache
def session(name: str) -> Session:
    newest = max(read(name).versions, key=int)
    return Session((MODELS / name / newest / "model.onnx").read_bytes())


def card(name: str) -> str:
    return (MODELS / name / shelf.CARD).read_text(encoding="utf-8")


def test_there_are_models() -> None:
    assert {"digits", "language-id", "spam", "recommender"} <= set(SHIPPED)
    assert FIXTURES == ["image-classifier", "object-detector"]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_files_are_those_the_manifest_names(name: str) -> None:
    files = {file.parent.name: file.read_bytes() for file in (MODELS / name).glob("*/model.onnx")}
    assert {number: hashlib.sha256(content).hexdigest() for number, content in files.items()} == {
        number: spec.sha256 for number, spec in read(name).versions.items()
    }
    assert all(len(content) <= LARGEST for content in files.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_may_serve_and_has_what_its_manifest_says(name: str) -> None:
    model = read(name)
    for number in model.versions:
        content = (MODELS / name / number / "model.onnx").read_bytes()
        facts = vet.read(content, control_flow=model.control_flow, largest=LARGEST * 8)
        vet.agree(facts, [each.spec for each in model.inputs], [each.spec for each in model.outputs])


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_answers_its_sample(name: str) -> None:
    model = read(name)
    for number, spec in model.versions.items():
        loaded = Session((MODELS / name / number / "model.onnx").read_bytes())
        asked = samples.question([each.spec for each in model.inputs], spec.sample.inputs, spec.sample.seed)
        wanted = {output: list(values) for output, values in spec.sample.outputs.items()}
        told = samples.answer(loaded.run(asked), {output: len(values) for output, values in wanted.items()})
        assert samples.differs(told, wanted, spec.sample.within) == ""


@pytest.mark.parametrize("name", SHIPPED)
def test_the_table_on_the_card_is_the_newest_versions_quality(name: str) -> None:
    quality = read(name).versions[max(read(name).versions, key=int)].quality
    assert quality
    assert shelf.tabled(card(name)) == {what: str(value) for what, value in quality.items()}


@pytest.mark.parametrize("name", SHIPPED + FIXTURES)
def test_a_card_says_what_one_must_know(name: str) -> None:
    text = card(name)
    assert text.startswith(f"# {name}\n")
    assert all(word in text for word in ("Data", "Licence", "Must not be used for"))
    assert (MODELS / name / "train.py").is_file()


@pytest.mark.parametrize("name", SHIPPED + FIXTURES)
def test_the_list_of_models_has_it(name: str) -> None:
    assert f"| [{name}]({name}/README.md) |" in (MODELS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FIXTURES)
def test_a_latency_fixture_says_that_it_is_one_and_ships_no_file(name: str) -> None:
    outline = yaml.safe_load((MODELS / name / shelf.OUTLINE).read_text(encoding="utf-8"))
    one = {"sha256": "0" * 64, "sample": {"seed": 1, "outputs": {}}}
    assert Manifest.model_validate(outline | {"versions": {"1": one}}).data == "none"
    assert "at random" in outline["about"]
    assert not list((MODELS / name).rglob("*.onnx"))


# What they answer.


def labelled(name: str, text: str) -> str:
    model = read(name)
    numbers = feature(str(model.inputs[0].features)).vector(text)
    answer = session(name).run({model.inputs[0].name: numbers[None]})
    return model.outputs[0].labels[int(answer[model.outputs[0].name].argmax())]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Would you tell me when the next train to the coast leaves?"),
        ("de", "Könnten Sie mir sagen, wann der nächste Zug ans Meer fährt?"),
        ("fr", "Pourriez-vous me dire quand part le prochain train pour la mer ?"),
        ("es", "¿Me podría decir a qué hora sale el próximo tren hacia la costa?"),
        ("it", "Mi potrebbe dire quando parte il prossimo treno per il mare?"),
        ("pl", "Czy może mi pan powiedzieć, kiedy odjeżdża następny pociąg nad morze?"),
        ("fi", "Voisitteko kertoa, milloin seuraava juna rannikolle lähtee?"),
        ("ru", "Вы не скажете, когда уходит следующий поезд к морю?"),
        ("uk", "Скажіть, будь ласка, коли відходить наступний потяг до моря?"),
        ("el", "Μπορείτε να μου πείτε πότε φεύγει το επόμενο τρένο για τη θάλασσα;"),
        ("ja", "次の海行きの電車はいつ出発しますか教えてください。"),
        ("zh", "请问下一班去海边的火车什么时候出发？"),
        ("ko", "바다로 가는 다음 기차가 언제 출발하는지 알려 주시겠어요?"),
    ],
)
def test_a_sentence_is_in_its_language(language: str, text: str) -> None:
    assert labelled("language-id", text) == language


@pytest.mark.parametrize(
    ("is_spam", "text"),
    [
        (True, "You have won $1,000,000 in our lottery! Send your bank details now to claim your prize."),
        (True, "Make money from home, guaranteed income every week, no risk, order now and get it free!"),
        (False, "Thanks for the article. I had the same trouble with my router, and a restart helped."),
        (False, "Is the shop open on Sundays? My mother would like to come by with the children."),
    ],
)
def test_what_reads_like_spam_scores_high(is_spam: bool, text: str) -> None:
    numbers = feature("text/1").vector(text)
    score = float(session("spam").run({"features": numbers[None]})["spam"][0, 0])
    assert (score > 0.5) == is_spam


@pytest.mark.parametrize(
    ("digit", "lines"),
    [
        (0, ["55,10 25,30 20,70 50,95 80,70 75,25 55,10"]),
        (1, ["38,25 55,5 55,95"]),
        (2, ["20,25 45,5 75,20 65,50 20,95 80,95"]),
        (3, ["25,10 70,12 45,45 72,65 55,92 22,90"]),
        (4, ["55,5 20,60 80,60", "62,35 62,95"]),
        (7, ["20,8 78,8 45,95"]),
    ],
)
def test_a_digit_drawn_on_a_canvas_is_recognised(digit: int, lines: list[str]) -> None:
    assert int(session("digits").run({"pixels": drawn(lines)})["logits"].argmax()) == digit


def drawn(lines: list[str]) -> Array:
    """Drawn with a mouse, and made pixels as the manifest says."""
    shape = read("digits").inputs[0].pixels
    assert isinstance(shape, Pixels)
    canvas = Image.new("L", (200, 200), 255)
    for line in lines:
        points = [tuple(30 + 1.4 * int(number) for number in point.split(",")) for point in line.split()]
        ImageDraw.Draw(canvas).line(points, fill=0, width=18, joint="curve")
    small = np.asarray(canvas.resize((shape.width, shape.height), Image.Resampling.BOX), np.float32) / 255
    return (1 - small if shape.invert else small)[None, None]


def recommended(*pages: str) -> tuple[list[str], list[float]]:
    asked = np.array([[*pages, *[""] * (4 - len(pages))]], object)
    answer = session("recommender").run({"pages": asked})
    return answer["next"][0].tolist(), answer["share"][0].tolist()


def test_from_the_home_page_one_goes_to_sections_the_liked_ones_first() -> None:
    pages, shares = recommended("/")
    assert pages[0] == "/section-0/"
    assert all(page.startswith("/section-") for page in pages)
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1


def test_the_newest_page_counts_most() -> None:
    after, _ = recommended("/section-3/article-0", "/section-0/")
    assert after[0] == "/section-3/article-3"


def test_of_pages_nobody_knows_nothing_is_told() -> None:
    assert recommended("/never/seen")[1] == [0.0] * 8


# Trained anew.


@pytest.fixture(scope="module")
def python() -> str:
    environment = ROOT / ".venv-models"
    subprocess.run([ROOT / "scripts/setup-models", environment], check=True)
    return str(environment / "bin/python")


def trained(python: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [python, ROOT / "scripts/models", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_training_anew_gives_the_figures_of_the_card(python: str, name: str) -> None:
    done = trained(python, name)
    assert done.returncode == 0, done.stderr
    assert f"{name}: trained in" in done.stdout


@pytest.mark.slow
def test_a_node_fits_the_recommender_to_its_own_log(python: str, tmp_path: Path) -> None:
    """Pages alone count: no style sheets, queries, POSTs and errors; and no visit longer ago than half an hour."""
    folder = shutil.copytree(MODELS / "recommender", tmp_path / "recommender")
    visit = [
        *("GET /a?token=1 200", "GET /style.css 200", "GET /b 304", "POST /b 200", "GET /gone 404"),
        *("GET /c/ 200", "GET /a 200"),
    ]
    lines = [
        f"192.0.2.{number % 250} - - [{1 + number // 100:02}/Sep/2026:{number % 24:02}:{pause:02}:{second:02} +0000] "
        f'"{request.rpartition(" ")[0]} HTTP/1.1" {request.rpartition(" ")[2]} 10 "-" "visitor {number}"'
        for number in range(200)
        for second, request in enumerate(visit)
        for pause in [40 if second == len(visit) - 1 else 0]
    ]
    log = tmp_path / "access.log"
    log.write_text("\n".join(sorted(lines, key=lambda line: line.split("[")[1][:20])))
    command = [Path(python).with_name("edgeproxy"), "models", "fit", "recommender", "--models", tmp_path, "--log", log]
    done = subprocess.run([*command, "--force"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = Session((folder / "2/model.onnx").read_bytes())
    answer = loaded.run({"pages": np.array([[page, "", "", ""] for page in ("/a", "/b", "/c/")], object)})
    told = [dict(zip(*rows, strict=True)) for rows in zip(answer["next"], answer["share"], strict=True)]
    likely = [{page: share for page, share in row.items() if share > 0} for row in told]
    assert [list(row) for row in likely] == [["/b", "/c/"], ["/c/"], []]


@pytest.mark.slow
def test_a_card_that_promises_more_than_is_measured_is_told(python: str, tmp_path: Path) -> None:
    folder = shutil.copytree(MODELS / "recommender", tmp_path / "recommender")
    said = (folder / manifest.FILE).read_text(encoding="utf-8")
    measure = "the next page is the first told"
    real = read("recommender").versions["1"].quality[measure]
    (folder / manifest.FILE).write_text(said.replace(f"{measure}: {real}", f"{measure}: 0.9"), encoding="utf-8")
    done = trained(python, "--models", tmp_path)
    assert (done.returncode, done.stderr) == (1, f"recommender: {measure}: 0.9 shipped, {real} now\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", FIXTURES)
def test_a_latency_fixture_is_made_and_answers(python: str, name: str, tmp_path: Path) -> None:
    done = trained(python, "--into", tmp_path, name)
    assert done.returncode == 0, done.stderr
    model = manifest.load(tmp_path / name)
    spec = model.versions["1"]
    loaded = Session((tmp_path / name / "1/model.onnx").read_bytes())
    asked = samples.question([each.spec for each in model.inputs], {}, spec.sample.seed)
    wanted = {output: list(values) for output, values in spec.sample.outputs.items()}
    told = samples.answer(loaded.run(asked), {output: len(values) for output, values in wanted.items()})
    assert samples.differs(json.loads(json.dumps(told)), wanted, spec.sample.within) == ""
