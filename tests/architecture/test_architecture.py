"""The shape of the code: who imports whom, how long a file may be, what stands in none, and how fast it starts."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.relative_to(ROOT) for part in ("edgeproxy", "middleware") for path in (ROOT / part).rglob("*.py"))
ROOMS = {path.parts[1].removesuffix(".py") for path in MODULES if path.parts[0] == "edgeproxy"}

# What a room may import at run time beside itself, or a room in it, or one module. Names for annotations alone do not
# count.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "clock": set(),
    "http": {"errors"},
    "http2": {"errors", "http"},
    "http3": {"errors", "http", "http2"},
    "quic": set(),
    "config.errors": set(),
    "config.fields": {"config", "http"},
    "config.units": {"http", "errors"},
    "config.values": {"http", "errors"},
    "jose": {"clock", "errors", "http", "observe", "pipeline"},
    "bots.settings": {"config"},
    "jose.settings": {"config", "pipeline"},
    "compression.settings": {"config"},
    "images.settings": {"config"},
    "compression.dictionary_settings": {"config"},
    "floods.settings": {"config", "pipeline"},
    "cache.settings": {"config", "http", "pipeline"},
    "observe": {"clock", "errors", "http", "pipeline"},
    "pipeline": {"clock", "errors", "http"},
    "routing": {"config", "errors", "http", "pipeline"},
    "routing.split_settings": {"config", "limits"},
    "listener": {"certificates", "clock", "config", "errors", "http", "http2", "observe", "pipeline", "tls"},
    "listener.http1": {"errors", "http", "pipeline"},
    "listener.http2": {"errors", "http", "http2", "pipeline"},
    "listener.http3": {"errors", "http", "http2", "http3", "pipeline"},
    "listener.http3.datagrams": {"certificates", "http3", "quic", "tls"},
    "certificates": {"config", "tls"},
    "certificates.quic": {"quic"},
    "certificates.store": set(),
    "tls": {"config"},
    "tls.handshake": {"pipeline"},
    "cache": {"clock", "errors", "http", "observe", "pipeline", "redis"},
    "breaker": set(),
    "redis": {"breaker", "clock", "observe"},
    "limits": {"breaker", "clock", "errors", "http", "observe", "pipeline", "redis"},
    "limits.settings": {"config", "pipeline"},
    **{
        room: {"clock", "errors", "http", "observe", "pipeline"}
        for room in ("bots", "challenge", "feeds", "floods", "geo", "hints", "identity")
    },
    "confined": set(),
    "tensors": set(),
    "oip": {"tensors"},
    "features": {"http", "observe", "pipeline", "tensors"},
    "inference": {
        *("balance", "breaker", "clock", "confined", "errors", "features", "http", "observe", "oip", "pipeline"),
        "tensors",
    },
    "inference.manifest": {"config", "tensors"},
    "training": {"balance", "features", "http", "inference", "tensors"},
    "inference.rule_settings": {"config", "http"},
    **{room: {"clock", "confined", "errors", "http", "observe", "pipeline"} for room in ("compression", "images")},
    "balance": set(),
    "acme": {"certificates", "clock", "config", "errors", "http", "observe", "pipeline", "redis"},
    "origin": {"balance", "clock", "config", "errors", "geo", "http", "http2", "limits", "observe", "pipeline"},
}

ENGINE_LINES, STAGE_LINES, MOST_LINES = 400, 200, 600
LONGER: dict[str, str] = {}  # file: the reason why it may be longer; never beyond MOST_LINES

# Files without a test file of their own: the one that covers them.
TESTED_ELSEWHERE: dict[str, str] = {
    "edgeproxy/__main__.py": "tests/unit/test_cli.py",
    "edgeproxy/balance/ask.py": "tests/unit/balance/test_table.py",
    "edgeproxy/balance/member.py": "tests/unit/balance/test_table.py",
    "edgeproxy/bots/agents.py": "tests/unit/middleware/test_bot_check.py",
    "edgeproxy/bots/verification.py": "tests/integration/middleware/test_crawlers.py",
    "edgeproxy/cache/region.py": "tests/integration/supervisor/test_purging.py",
    "edgeproxy/cache/source.py": "tests/unit/cache/test_disk.py",
    "edgeproxy/commands/measuring.py": "tests/integration/commands/test_models.py",
    "edgeproxy/commands/model_files.py": "tests/integration/commands/test_models.py",
    "edgeproxy/config/connections.py": "tests/unit/config/test_golden.py",
    "edgeproxy/config/reference.py": "tests/unit/config/test_files.py",
    "edgeproxy/config/regions.py": "tests/unit/config/test_golden.py",
    "edgeproxy/config/pools.py": "tests/unit/config/test_golden.py",
    "edgeproxy/config/schema.py": "tests/unit/config/test_golden.py",
    "edgeproxy/config/section.py": "tests/unit/config/test_golden.py",
    "edgeproxy/config/snapshot.py": "tests/unit/config/test_compile.py",
    "edgeproxy/config/tls.py": "tests/unit/config/test_golden.py",
    "edgeproxy/config/trial.py": "tests/unit/test_cli.py",
    "edgeproxy/demo/__main__.py": "tests/integration/demo/test_site.py",
    "edgeproxy/inference/fallback.py": "tests/integration/inference/test_service.py",
    "edgeproxy/inference/version.py": "tests/integration/inference/test_service.py",
    "edgeproxy/limits/concurrency.py": "tests/unit/middleware/test_concurrency_limit.py",
    "edgeproxy/limits/gate.py": "tests/unit/middleware/test_rate_limit.py",
    "edgeproxy/limits/limiter.py": "tests/unit/limits/test_build.py",
    "edgeproxy/limits/settings.py": "tests/unit/middleware/test_rate_limit.py",
    "edgeproxy/http2/errors.py": "tests/unit/http2/test_receiver.py",
    "edgeproxy/http2/events.py": "tests/unit/http2/test_receiver.py",
    "edgeproxy/http2/settings.py": "tests/unit/http2/test_receiver.py",
    "edgeproxy/http2/state.py": "tests/unit/http2/test_connection.py",
    "edgeproxy/http2/streams.py": "tests/unit/http2/test_connection.py",
    "edgeproxy/config/http3.py": "tests/unit/config/test_golden.py",
    "edgeproxy/config/protocols.py": "tests/unit/config/test_golden.py",
    "edgeproxy/http3/codes.py": "tests/unit/http3/test_control.py",
    "edgeproxy/http3/events.py": "tests/unit/http3/test_connection.py",
    "edgeproxy/http3/static_table.py": "tests/unit/http3/test_qpack.py",
    "edgeproxy/listener/http3/connection.py": "tests/integration/wire/test_http3.py",
    "edgeproxy/listener/http3/heads.py": "tests/integration/wire/test_http3.py",
    "edgeproxy/listener/http3/stream.py": "tests/integration/wire/test_http3.py",
    "edgeproxy/listener/http3/datagrams.py": "tests/integration/wire/test_quic.py",
    "edgeproxy/certificates/quic.py": "tests/integration/wire/test_quic.py",
    "edgeproxy/listener/http3/client.py": "tests/integration/wire/test_quic.py",
    "edgeproxy/listener/alpn.py": "tests/integration/wire/test_http2.py",
    "edgeproxy/listener/client.py": "tests/integration/wire/test_limits.py",
    "edgeproxy/listener/http2/connection.py": "tests/integration/wire/test_http2.py",
    "edgeproxy/listener/http2/stream.py": "tests/integration/wire/test_http2.py",
    "edgeproxy/listener/sink.py": "tests/integration/wire/test_http2.py",
    "edgeproxy/listener/answer_body.py": "tests/integration/wire/test_http1.py",
    "edgeproxy/listener/client_body.py": "tests/integration/wire/test_http1.py",
    "edgeproxy/listener/flow.py": "tests/integration/wire/test_streams.py",
    "edgeproxy/listener/http1/connection.py": "tests/integration/wire/test_http1.py",
    "edgeproxy/listener/opening.py": "tests/integration/wire/test_ja4.py",
    "edgeproxy/listener/http1/requests.py": "tests/integration/wire/test_http1.py",
    "edgeproxy/listener/server.py": "tests/integration/wire/test_limits.py",
    "edgeproxy/listener/entrance.py": "tests/integration/wire/test_ja4.py",
    "edgeproxy/tls/context.py": "tests/integration/wire/test_tls.py",
    "edgeproxy/listener/tunnel.py": "tests/integration/wire/test_streams.py",
    "edgeproxy/origin/figures.py": "tests/integration/origin/test_pool.py",
    "edgeproxy/origin/http2_shared.py": "tests/integration/origin/test_http2.py",
    "edgeproxy/origin/http2_stream.py": "tests/integration/origin/test_http2.py",
    "edgeproxy/origin/idle.py": "tests/integration/origin/test_endpoint.py",
    "edgeproxy/origin/tries.py": "tests/integration/origin/test_pool.py",
    "edgeproxy/origin/way.py": "tests/integration/origin/test_client.py",
    "edgeproxy/pipeline/callers.py": "tests/unit/middleware/test_client_address.py",
    "edgeproxy/pipeline/improvement.py": "tests/unit/cache/test_improve.py",
    "edgeproxy/pipeline/middleware.py": "tests/unit/pipeline/test_chain.py",
    "edgeproxy/pipeline/seal.py": "tests/unit/middleware/test_security_headers.py",
    "edgeproxy/routing/split_settings.py": "tests/unit/middleware/test_split.py",
    "edgeproxy/simulate/connection.py": "tests/integration/simulate/test_run.py",
    **{
        f"edgeproxy/training/{module}.py": "tests/unit/models/test_shipped.py"
        for module in ("graph", "heads", "mobilenet", "sources", "texts")
    },
}

OBVIOUS_LINES = 12  # a public function no longer than this may speak for itself


def name(path: Path) -> str:
    return path.as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), name(path))


def imports(path: Path) -> Iterator[str]:
    """Modules imported at run time, late imports too, as dotted names."""
    skipped = {
        inner
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree(path)):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 30
    assert {room.partition(".")[0] for room in MAY_IMPORT} <= ROOMS


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_point_one_way(path: Path) -> None:
    found = {dotted for dotted in imports(path) if dotted.partition(".")[0] in {"edgeproxy", "middleware", "tests"}}
    assert not [dotted for dotted in found if dotted.startswith("tests.")]
    if path.parts[0] == "middleware":
        return
    assert not [dotted for dotted in found if dotted.startswith("middleware")], "the engine never imports middleware"
    parts = path.with_suffix("").parts[1:]
    room = parts[0]
    allowed = next((MAY_IMPORT[at] for at in upwards(parts) if at in MAY_IMPORT), None)
    if allowed is not None:
        rooms = {dotted.split(".")[1] for dotted in found} & ROOMS
        assert rooms - {room} <= allowed, f"{name(path)} may import {sorted(allowed)}"


def upwards(parts: tuple[str, ...]) -> Iterator[str]:
    """A module's dotted name, and those of the rooms it lies in, the innermost first."""
    return (".".join(parts[:end]) for end in range(len(parts), 0, -1))


@pytest.mark.parametrize("path", [path for path in MODULES if len(path.parts) > 3], ids=name)
def test_rooms_within_a_room_do_not_know_each_other(path: Path) -> None:
    inner = {".".join(other.parts[:-1]) for other in MODULES if other.parts[:-2] == path.parts[:-2]}
    neighbours = inner - {".".join(path.parts[:-1])}
    assert not [found for found in imports(path) if f"{found}.".startswith(tuple(f"{one}." for one in neighbours))]


def test_no_module_imports_itself_by_a_way_round() -> None:
    """Late imports too. A module of which only names for annotations are wanted is not imported."""
    known = {module_name(path): path for path in MODULES}
    imported = {
        module: {found if found in known else found.rpartition(".")[0] for found in imports(path)} & known.keys()
        for module, path in known.items()
    }
    while ends := [module for module, wanted in imported.items() if not wanted & imported.keys() - {module}]:
        for module in ends:
            del imported[module]
    assert not imported


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_file_fits_on_a_few_screens(path: Path) -> None:
    limit = STAGE_LINES if path.parts[0] == "middleware" else ENGINE_LINES
    limit = MOST_LINES if name(path) in LONGER else limit
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= limit


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_file_has_its_tests(path: Path) -> None:
    if path.name == "__init__.py" or name(path) in TESTED_ELSEWHERE:
        return
    assert any(own.is_file() for own in own_tests(path)), f"none of {list(map(str, own_tests(path)))}"


def own_tests(path: Path) -> list[Path]:
    """Where a module's tests stand: the trees below unit and integration mirror the packages."""
    folder = path.parent.relative_to("edgeproxy") if path.parts[0] == "edgeproxy" else path.parent
    return [ROOT / "tests" / kind / folder / f"test_{path.stem}.py" for kind in ("unit", "integration")]


@pytest.mark.parametrize(("path", "test"), TESTED_ELSEWHERE.items())
def test_what_is_tested_elsewhere_is_tested_and_has_no_tests_of_its_own(path: str, test: str) -> None:
    assert (ROOT / path).is_file()
    assert (ROOT / test).is_file()
    assert not any(own.is_file() for own in own_tests(Path(path)))


@pytest.mark.parametrize("path", LONGER)
def test_exceptions_are_of_files_that_exist(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_is_left_undone_and_nothing_is_asserted(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not re.search(r"\b(?:TODO|FIXME|XXX)\b", text)
    # Operator input is answered with errors, and python -O would take the check away.
    assert not [node.lineno for node in ast.walk(tree(path)) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_what_is_public_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree(path)) or not tree(path).body, "a module has a docstring"
    silent = [f"{name(path)}:{node.lineno} {node.name}" for node in public(tree(path)) if not speaks(node)]
    assert not silent


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(scope: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Methods of a class that inherits, and a parser's callbacks, are described where they are asked for."""
    for node in scope.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            told = isinstance(scope, ast.ClassDef) and (bool(scope.bases) or node.name.startswith("on_"))
            if not told or isinstance(node, ast.ClassDef):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


def speaks(node: Definition) -> bool:
    if ast.get_docstring(node):
        return True
    if isinstance(node, ast.ClassDef):
        return node.name == "Config"
    return (node.end_lineno or node.lineno) - node.body[0].lineno < OBVIOUS_LINES


def test_the_command_starts_fast() -> None:
    """CPU time, which other work on the machine does not count for; the median of three, the first one warms up."""
    code = "import time; start = time.process_time(); import edgeproxy.cli; print(time.process_time() - start)"
    taken = [float(run(code)) for _ in range(4)][1:]
    assert statistics.median(taken) < 0.5


def test_heavy_libraries_wait_until_they_are_needed() -> None:
    code = (
        "import sys, edgeproxy.cli; print(*{'onnxruntime', 'numpy', 'PIL', 'redis', 'cryptography'} & set(sys.modules))"
    )
    assert run(code).split() == []


def test_what_runs_models_is_loaded_by_none_who_only_reads_their_settings() -> None:
    """The supervisor, which knows every stage's settings."""
    stages = "import sys, middleware.inference, middleware.predict"
    code = f"{stages}; print(*{{'onnxruntime', 'numpy', 'simdjson'}} & set(sys.modules))"
    assert run(code).split() == []


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
