"""``python -m tests.benchmarks.inference``: measure, print, put the rows into docs/benchmarks.json.

Beside MLServer; with ``--budgets`` in its place on one core at the pace of budgets, written with ``--write`` only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from tests.benchmarks import load, report
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.inference import budgets
from tests.benchmarks.inference.scored import copy
from tests.benchmarks.inference.servers import (
    PYTHON,
    EdgeproxyModels,
    MlServer,
    MlServerAlone,
    Models,
    await_ready,
    ensure,
    make,
)
from tests.benchmarks.report import INFERENCE
from tests.benchmarks.stats import Ratio, Target

DOCS = Path(__file__).parents[3] / "docs"
TARGET = Target(0.5, 0.25)
QUESTIONS = 32  # different ones


class Work(NamedTuple):
    """What is asked: which model, the name and shape of its input, and over how many connections."""

    model: str
    name: str
    input: str
    shape: tuple[int, ...]
    connections: int


WORKS = (
    Work("digits", "one row of the digits model, JSON", "pixels", (1, 1, 16, 16), 4),
    Work("image-classifier", "MobileNetV2 1.0 224 in INT8, JSON", "pixels", (1, 3, 224, 224), 1),
)


class Taken(NamedTuple):
    """One measurement: CPU seconds a request, and KiB resident of all processes at its end."""

    cpu: float
    memory: int
    rate: float


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 measured, 1 a figure could not be had."""
    options = _options(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="edgeproxy-inference-"))
    try:
        if os.cpu_count() == 1:
            raise BenchmarkError("two cores are needed: one for the server, one for the load")
        if options.budgets:
            _budgets(folder, options)
        else:
            _beside(folder, options)
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _beside(folder: Path, options: argparse.Namespace) -> None:
    print("MLServer and the models are set up", flush=True)
    ensure(folder)
    make(folder / "models", tuple(work.model for work in WORKS), PYTHON)
    os.sched_setaffinity(0, {int(load.LOAD_CORE)})
    rows = [row for work in WORKS for row in _measured(folder, work, options.pairs, options.seconds)]
    for row in rows:
        print(f"{row['name']}: {row['ours']} against {row['peer_value']} {row['unit']}, ratio {row['ratio']}")
    report.put(options.output, INFERENCE, rows)


def _budgets(folder: Path, options: argparse.Namespace) -> None:
    rows = budgets.run(folder, options.pairs, options.seconds)
    print(report.budgets(rows))
    if options.write:
        report.put(options.output, report.BUDGETS, rows)


def _measured(folder: Path, work: Work, pairs: int, seconds: float) -> list[dict[str, object]]:
    questions = _questions(folder, work)
    models = folder / f"{work.model}-alone"
    if not models.exists():
        copy((work.model,), models, folder / "models")
    with (
        EdgeproxyModels(folder, models) as ours,
        MlServer(folder, models) as peer,
        MlServerAlone(folder, models) as alone,
    ):
        servers = (ours, peer, alone)
        for server in servers:
            await_ready(server, work.model)
            _take(server, work, questions, 1)
        rounds = [[_take(server, work, questions, seconds) for server in servers] for _ in range(pairs)]
    rows = []
    for place, server in enumerate(servers[1:], 1):
        taken = [(each[0], each[place]) for each in rounds]
        rows += _rows(work, server, taken)
    return rows


def _rows(work: Work, peer: MlServer, taken: Sequence[tuple[Taken, Taken]]) -> list[dict[str, object]]:
    for one, other in taken:
        print(f"  {work.model}: {one.cpu * 1e3:.3f} against {other.cpu * 1e3:.3f} ms ({peer.label})", flush=True)
    key = f"{INFERENCE}{work.model}{peer.suffix}"
    cpu = Ratio.of([one.cpu * 1e3 for one, _ in taken], [other.cpu * 1e3 for _, other in taken])
    memory = Ratio.of([one.memory / 1024 for one, _ in taken], [other.memory / 1024 for _, other in taken])
    rates = {
        "ours_rps": round(median(one.rate for one, _ in taken), 1),
        "peer_rps": round(median(other.rate for _, other in taken), 1),
    }
    return [
        _row(key, work.name, "CPU ms a request", peer, cpu, len(taken)) | rates,
        _row(f"{key}-memory", f"{work.name}: memory", "MiB resident", peer, memory, len(taken)),
    ]


def _take(server: Models, work: Work, questions: Path, seconds: float) -> Taken:
    before = sum(server.cpu_seconds().values())
    result = load.Load(questions, work.connections).run(server, seconds)
    cpu = sum(server.cpu_seconds().values()) - before
    return Taken(cpu / result.requests, server.memory_kib("VmRSS"), result.requests / result.seconds)


def _questions(folder: Path, work: Work) -> Path:
    """Requests as the Open Inference Protocol has them, as they go over the wire."""
    rng = np.random.default_rng(1)
    file = folder / f"{work.model}.requests"
    with file.open("wb") as out:
        for number in range(QUESTIONS):
            values = [round(float(value), 3) for value in rng.random(int(np.prod(work.shape)))]
            tensor = {"name": work.input, "shape": list(work.shape), "datatype": "FP32", "data": values}
            body = json.dumps({"id": str(number), "inputs": [tensor]}).encode()
            head = (
                f"POST /v2/models/{work.model}/infer HTTP/1.1\r\nHost: models.example\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            out.write(head.encode() + body + b"\0")
    return file


def _row(key: str, name: str, unit: str, peer: MlServer, ratio: Ratio, pairs: int) -> dict[str, object]:
    return {
        "key": key,
        "name": name,
        "unit": unit,
        "peer": peer.label,
        "ours": round(ratio.ours, 3),
        "peer_value": round(ratio.peer, 3),
        "ratio": round(ratio.median, 3),
        "ratio_min": round(ratio.low, 3),
        "ratio_max": round(ratio.high, 3),
        "must": TARGET.must,
        "aim": TARGET.aim,
        "reached": TARGET.reached(ratio.median),
        "pairs": pairs,
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.inference", description=__doc__)
    parser.add_argument("--budgets", action="store_true", help="measure on one core at the pace of budgets instead")
    parser.add_argument("--write", action="store_true", help="put budgets into the report, for the earlier ones")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs of each work (default 5)")
    parser.add_argument("--seconds", type=float, default=3, help="of load each (default 3)")
    parser.add_argument("--folder", type=Path, help="for MLServer and the models, kept (default a temporary one)")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the report (default docs/)")
    options = parser.parse_args(arguments)
    if options.folder is not None:
        options.folder = options.folder.resolve()
        options.folder.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    sys.exit(main())
