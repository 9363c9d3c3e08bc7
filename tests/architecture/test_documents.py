"""What the documents say is so: their configurations pass, their example runs, their tables are complete."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeproxy.cli import main
from edgeproxy.config.compile import compile_config
from edgeproxy.config.load import load_text
from edgeproxy.config.stages import Discovered, arrange, discover
from edgeproxy.http.message import Response
from edgeproxy.pipeline.middleware import Middleware
from middleware import ORDER
from tests.support.stages import exchange, services

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", read(name), re.MULTILINE | re.DOTALL)


def test_configurations_in_the_readme_pass_the_check(tmp_path: Path) -> None:
    found = blocks("README.md", "yaml")
    assert found
    for text in found:
        file = tmp_path / "site.yaml"
        file.write_text(text)
        outcome = CliRunner().invoke(main, ["check", str(file)])
        assert outcome.exit_code == 0, outcome.output


def test_the_commands_of_the_readme_are_all_there_are() -> None:
    assert set(re.findall(r"^\| `edgeproxy (\w+)", read("README.md"), re.MULTILINE)) == set(main.commands)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_that_are_named_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", read(name))) - {"sure"} <= targets


def test_targets_are_told_to_those_who_contribute() -> None:
    told = set(re.findall(r"^\| `make ([a-z-]+)`", read("CONTRIBUTING.md"), re.MULTILINE))
    assert told == set(re.findall(r"^([a-z-]+):.*## ", read("Makefile"), re.MULTILINE)) - {"help"}


def test_rooms_are_told_to_those_who_contribute() -> None:
    rooms = {file.parent.name for file in (ROOT / "edgeproxy").glob("*/*.py")}
    assert set(re.findall(r"`edgeproxy/(\w+)/`", read("CONTRIBUTING.md"))) == rooms


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_links_and_test_files_lead_somewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (file.parent / link).exists(), link
    for path in re.findall(r"`((?:tests|edgeproxy|middleware|docs|config|scripts)/[\w/.-]+\.(?:py|md|yaml))`", text):
        assert (ROOT / path).exists() or path == "docs/benchmarks.md", path


def test_generated_references_are_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/docs", "--check"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_dependency_has_its_reason_and_version() -> None:
    project = PYPROJECT["project"]
    wanted = [
        *project["dependencies"],
        *PYPROJECT["dependency-groups"]["dev"],
        *project["optional-dependencies"]["models"],
    ]
    # One that ends its support of an interpreter we support is locked in two versions.
    locks = read("requirements/dev.lock") + read("requirements/models.lock")
    locked = set(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", locks, re.MULTILINE))
    names = [re.split(r"[^A-Za-z0-9-]", requirement)[0] for requirement in wanted]
    rows = re.findall(r"^\| ([a-z0-9-]+) \| (\S+) \| (.+) \|$", read("docs/dependencies.md"), re.MULTILINE)
    rows = [row for row in rows if row[0] != "package"]
    assert [name for name, *_ in rows] == names
    assert locked.issuperset((name, version) for name, version, _ in rows)
    assert all(reason.endswith(".") for *_, reason in rows)


def test_the_stage_of_the_contributors_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed.py").write_text(blocks("CONTRIBUTING.md", "python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    group = tomllib.loads(blocks("CONTRIBUTING.md", "toml")[0])["project"]["entry-points"]["edgeproxy.middleware"]
    kind: type[Middleware] = EntryPoint("closed", group["closed"], "edgeproxy.middleware").load()
    known = {**discover().stages, kind.name: kind}
    order = arrange(known, [name for name, _ in ORDER])
    assert order.index("closed") == order.index("rate_limit") - 1
    installed = Discovered(known, order, discover().on)
    config = load_text(
        "listeners: [{address: ':1'}]\nmiddleware: {closed: {retry_after: 10m}, cache: off}\n"
        "pools: {site: {endpoints: ['http://127.0.0.1:1']}}\nroutes: [{name: all, pool: site}]\n",
        stages=installed,
    )
    x = exchange(b"/")
    chain = compile_config(config, services(), stages=installed).route(x.request).chain
    answer = next(stage for stage in chain.stages if stage.name == "closed").request(x)
    assert isinstance(answer, Response)
    assert (answer.status, answer.get(b"retry-after")) == (503, b"600")
