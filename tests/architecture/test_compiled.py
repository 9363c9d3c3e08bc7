"""The modules that are compiled in the deployed build: that they exist, and that no interpreted class inherits from one
of theirs, which mypyc refuses only when such an object is made."""

from __future__ import annotations

import ast
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEVER_THERE = {"edgeproxy.training.queueing"}  # models are trained where nothing is compiled


def compiled() -> frozenset[str]:
    loader = SourceFileLoader("compile_script", str(ROOT / "scripts/compile"))
    spec = spec_from_loader("compile_script", loader)
    assert spec is not None
    script = module_from_spec(spec)
    loader.exec_module(script)
    return frozenset("edgeproxy." + module.replace("/", ".") for module in script.MODULES)


COMPILED = compiled()
INTERPRETED = {
    name: path
    for part in ("edgeproxy", "middleware")
    for path in sorted((ROOT / part).rglob("*.py"))
    if (name := ".".join(path.relative_to(ROOT).with_suffix("").parts)) not in COMPILED | NEVER_THERE
}


def test_they_exist() -> None:
    assert [name for name in COMPILED if not (ROOT / f"{name.replace('.', '/')}.py").is_file()] == []


@pytest.mark.parametrize("path", INTERPRETED.values(), ids=INTERPRETED)
def test_no_interpreted_class_inherits_from_theirs(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    theirs = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in COMPILED
        for alias in node.names
    }
    bases = [
        ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    ]
    assert theirs.isdisjoint(bases)
