"""The servers of models: this one, and MLServer, each with the same files, one process that runs them, one thread."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import ClassVar

from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.servers import EDGEPROXY, START_SECONDS, Server, free_port

MLSERVER = "1.7.1"
_ONNXRUNTIME = "1.31.1"
_UVLOOP = "0.21.0"  # of its time; later ones do not start its process for models
_RUNTIME = Path(__file__).with_name("runtime.py")
_PATIENCE = 900.0  # seconds for one installation


# Servers and trainers inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


class Models(Server):
    """A server of models, asked by the Open Inference Protocol v2. ``folder`` has them, laid out as they are here."""

    label: ClassVar[str]

    def __init__(self, work: Path, folder: Path) -> None:
        super().__init__(work)
        self.folder = folder


class EdgeproxyModels(Models):
    """This project: a supervisor and a worker."""

    name = label = "edgeproxy"
    config = "models-edgeproxy.yaml"

    def commands(self, config: Path) -> dict[str, list[str]]:
        return {self.name: [EDGEPROXY, "run", "-c", str(config)]}

    def values(self) -> dict[str, object]:
        return super().values() | {"admin_port": free_port(), "folder": self.folder}


class MlServer(Models):
    """MLServer as it comes: a process that answers, and one beside it that runs models."""

    name = "mlserver"
    label = f"MLServer {MLSERVER}"
    config = "models-mlserver.json"
    suffix = ""  # of its rows' keys
    parallel = 1

    def commands(self, config: Path) -> dict[str, list[str]]:
        served = self.work / f"{self.name}-models"
        shutil.rmtree(served, ignore_errors=True)
        for file in self.folder.glob("*/1/model.onnx"):
            folder = served / file.parents[1].name
            folder.mkdir(parents=True)
            shutil.copy(_RUNTIME, folder)
            told = {"name": folder.name, "implementation": "runtime.Onnx", "parameters": {"uri": str(file)}}
            (folder / "model-settings.json").write_text(json.dumps(told))
        shutil.copy(config, served / "settings.json")
        return {self.name: [str(self.work / "mlserver/bin/mlserver"), "start", str(served)]}

    def values(self) -> dict[str, object]:
        return super().values() | {"grpc_port": free_port(), "metrics_port": free_port(), "parallel": self.parallel}


class MlServerAlone(MlServer):
    """MLServer that runs models in the process that answers, which costs it least."""

    name = "mlserver-alone"
    label = f"MLServer {MLSERVER}, one process"
    suffix = "-alone"
    parallel = 0


def await_ready(server: Server, name: str) -> None:
    """Raises BenchmarkError if a model does not serve after a while."""
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(server, name):
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{server.name} has not loaded {name}")
        time.sleep(0.1)


def _is_ready(server: Server, name: str) -> bool:
    try:
        return server.get(f"/v2/models/{name}/ready").status == 200
    except OSError:
        return False


def ensure(work: Path) -> None:
    """Install MLServer in the work folder, unless it is there. Raises BenchmarkError."""
    if (work / "mlserver/bin/mlserver").exists():
        return
    venv.create(work / "mlserver", with_pip=True)
    packages = [f"mlserver=={MLSERVER}", f"onnxruntime=={_ONNXRUNTIME}", f"uvloop=={_UVLOOP}"]
    _run([str(work / "mlserver/bin/pip"), "install", "-q", *packages])


def make(folder: Path, names: tuple[str, ...], python: str) -> None:
    """Have the models made by their own scripts, in the environment of ``python``. Raises BenchmarkError."""
    missing = [name for name in names if not (folder / name / "1/model.onnx").exists()]
    if missing:
        script = Path(__file__).parents[3] / "scripts/models"
        _run([python, str(script), "--into", str(folder), *missing])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout)[-2000:]}")


PYTHON = str(Path(sys.executable).parents[2] / ".venv-models/bin/python")
