"""``edgeproxy models``: the models of a node looked at, tried, measured, and fitted to its own logs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeproxy.commands.model_fit import export, fit
from edgeproxy.commands.model_options import (
    duration,
    json_option,
    model_files,
    plain,
    size,
    table,
    tried,
    where_options,
    who,
)

if TYPE_CHECKING:
    from edgeproxy.commands.measuring import Measured
    from edgeproxy.commands.model_files import Found, ModelFiles


@click.group(
    epilog="""\b
Examples:
  edgeproxy models list
  edgeproxy models check --models ./new-models
  edgeproxy models bench bot-score digits
  edgeproxy models fit recommender --log /var/log/edgeproxy/access.log
  edgeproxy models export recommender --weights recommender.safetensors

\b
A model is a folder: NAME/{manifest.yaml, 1/model.onnx, 2/model.onnx, README.md, train.py}.
Without --models, those of the configuration's models.folder, or that came with edgeproxy."""
)
def models() -> None:
    """Look at the models on this node, try and measure them, fit them to its logs."""


@models.command(
    "list",
    epilog="""\b
Examples:
  edgeproxy models list
  edgeproxy models list -c /etc/edgeproxy/edgeproxy.yaml
  edgeproxy models list --json | jq '.[] | select(.state == "refused")'

\b
States:
  serves   the manifest puts it into service
  rests    it could serve, and the manifest wants others
  refused  its file is not what it must be, or the manifest cannot be read

Files are read here and never run; what running shows is for edgeproxy models check.""",
)
@where_options
@json_option
def list_models(file: Path | None, folder: Path | None, as_json: bool) -> None:
    """Say which models there are, with their versions."""
    from edgeproxy.commands.model_files import serves

    found = list(model_files(file, folder).vetted())
    states = ["refused" if each.reason else "serves" if serves(each, found) else "rests" for each in found]
    if as_json:
        rows = [_facts(each) | {"state": state} for each, state in zip(found, states, strict=True)]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    shown = [
        (each.name, each.number, _of(each, "task"), size(each.size), state, _of(each, "licence"))
        for each, state in zip(found, states, strict=True)
    ]
    click.echo(table(("model", "version", "task", "size", "state", "licence"), shown, ("version", "size")))
    _complain(found)


@models.command(
    epilog="""\b
Examples:
  edgeproxy models check
  edgeproxy models check recommender --models ./new-models
  edgeproxy models check --json | jq '.[].quality'

\b
Each version's file is read without running it, then loaded in a confined process and asked its
manifest's sample, within the memory and time of the configuration's section models: as before it
may serve. The quality told is what was measured when the version was made.

Exit status: 0 if all may serve, 1 with the reason of each that may not."""
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@where_options
@json_option
def check(names: tuple[str, ...], file: Path | None, folder: Path | None, as_json: bool) -> None:
    """Say whether the models NAME, or all there are, may serve, and why not."""
    files = model_files(file, folder)
    found = _vetted(files, names)
    judged = tried(files, found, (lambda _: None) if as_json else (lambda each: _say(files, each)))
    if as_json:
        click.echo(json.dumps([_verdict(files, each) for each in judged], indent=2, ensure_ascii=False))
    elif len(judged) > 1:
        click.echo(f"{len(judged)} versions, {sum(bool(each.reason) for each in judged)} refused")
    raise SystemExit(1 if any(each.reason for each in judged) else 0)


@models.command(
    epilog="""\b
Examples:
  edgeproxy models bench
  edgeproxy models bench bot-score --seconds 5
  edgeproxy models bench --json > bench.json

\b
The newest version of each model is asked its sample again and again, warm, on one core, the way
it would be served: inline, or on a thread with the way there and back. "cpu" is the processor
time of one run, "budget" how long the manifest lets a question take, waiting included.

\b
Times belong to the machine and to what else it does: compare those of one run.
Exit status: 0 if all could be measured, 1 if not."""
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--seconds", default=1.0, show_default=True, type=click.FloatRange(0.05, 60), help="How long each is asked."
)
@where_options
@json_option
def bench(names: tuple[str, ...], seconds: float, file: Path | None, folder: Path | None, as_json: bool) -> None:
    """Measure how long the models NAME, or all there are, take on this machine."""
    from edgeproxy.commands.measuring import on_one_core

    files = model_files(file, folder)
    judged = tried(files, _vetted(files, names, newest=True), lambda _: None)
    on_one_core()
    passed = [each for each in judged if not each.reason]
    with click.progressbar(passed, label="measuring", file=sys.stderr) as bar:
        taken = [(each, _measure(each, seconds, inline=files.runs_inline(each))) for each in bar]
    if as_json:
        rows = [_facts(each) | measured._asdict() | {"budget": _budget(each)} for each, measured in taken]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        head = ("model", "version", "where", "runs", "p50", "p95", "p99", "cpu", "budget", "")
        shown = [
            (
                *(each.name, each.number, "inline" if measured.inline else "thread", str(measured.runs)),
                *map(duration, (measured.p50, measured.p95, measured.p99, measured.cpu, _budget(each))),
                "" if measured.p99 <= _budget(each) else "over budget",
            )
            for each, measured in taken
        ]
        click.echo(table(head, shown, head[3:-1]))
        click.echo("\nTimes belong to this machine and to what else it does: compare those of one run.")
    _complain(judged)
    raise SystemExit(1 if any(each.reason for each in judged) else 0)


models.add_command(fit)
models.add_command(export)


def _vetted(files: ModelFiles, names: tuple[str, ...], *, newest: bool = False) -> list[Found]:
    try:
        return list(files.vetted(names, newest=newest))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _measure(found: Found, seconds: float, *, inline: bool) -> Measured:
    from edgeproxy.commands.measuring import measure
    from edgeproxy.inference.samples import question
    from edgeproxy.inference.session import Session

    if found.manifest is None or found.spec is None:
        raise ValueError("it has not been tried")
    sample = found.spec.sample
    asked = question([each.spec for each in found.manifest.inputs], sample.inputs, sample.seed)
    return measure(Session(found.content), asked, seconds, inline=inline)


def _say(files: ModelFiles, found: Found) -> None:
    """What became of a version, and what it is worth."""
    if found.report is None or found.spec is None:
        click.echo(f"{who(found)}: refused: {plain(found.reason)}")
        return
    where = "inline" if files.runs_inline(found) else "on a thread"
    click.echo(f"{who(found)}: ok: {size(found.size)}, {duration(found.report.seconds)} of CPU a run, {where}")
    for measure, value in found.spec.quality.items():
        click.echo(plain(f"    {measure}: {value}"))


def _complain(found: list[Found]) -> None:
    for each in found:
        if each.reason:
            click.echo(f"{who(each)}: refused: {plain(each.reason)}", err=True)


def _facts(found: Found) -> dict[str, Any]:
    return {
        "model": found.name,
        "version": found.number,
        "task": _of(found, "task"),
        "licence": _of(found, "licence"),
        "size": found.size,
        "reason": found.reason,
    }


def _verdict(files: ModelFiles, found: Found) -> dict[str, Any]:
    told = _facts(found) | {"ok": not found.reason, "quality": {} if found.spec is None else found.spec.quality}
    if found.report is not None:
        told |= {"cpu": found.report.seconds, "inline": files.runs_inline(found)}
    return told


def _of(found: Found, what: str) -> str:
    return "" if found.manifest is None else str(getattr(found.manifest, what))


def _budget(found: Found) -> float:
    return 0.0 if found.manifest is None else found.manifest.budget
