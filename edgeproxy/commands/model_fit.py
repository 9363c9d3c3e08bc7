"""``edgeproxy models fit`` and ``export``: a model made anew from a node's logs, and what it learnt, alone."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from edgeproxy.commands.model_options import model_files, table, tried, where_options

if TYPE_CHECKING:
    from edgeproxy.commands.fitting import Judged
    from edgeproxy.commands.model_files import Found, ModelFiles
    from edgeproxy.features.log import Record
    from edgeproxy.inference.manifest import Manifest

_STEP = 1_000  # records between looks at how far it is


@click.command(
    epilog="""\b
Examples:
  edgeproxy models fit recommender --log /var/log/edgeproxy/access.log
  edgeproxy models fit request-anomaly --models /srv/models --log access.log.2.gz --log access.log.1

\b
Logs are ours, as JSON or in the combined format, packed with gzip or not. Of a long one, visits
are drawn at random, up to --records, and no client counts for more than a thousand requests an
hour. The model is made from the older four fifths; the newest fifth, which it has not seen, says
whether it is better than the newest version there. If it is worse, nothing is written without
--force. Then it is tried as any version is, and written beside the others: a node that looks at
the folder takes it into service.

\b
Training takes more than serving: pip install 'edgeproxy[models]'.
It runs NAME/train.py, with your rights: fit models only whose train.py you trust.

Exit status: 0 if a version was written, 1 if not."""
)
@click.argument("name")
@click.option(
    "--log",
    "logs",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    multiple=True,
    required=True,
    help="Access log; repeatable.",
)
@click.option(
    "--records",
    default=200_000,
    show_default=True,
    type=click.IntRange(1_000, 5_000_000),
    help="Most requests to keep in memory, half a kilobyte each, twice that where a model was asked for an endpoint.",
)
@click.option(
    "--seed", default=1, show_default=True, type=click.IntRange(0, 2**31 - 1), help="What chance begins with."
)
@click.option("--force", is_flag=True, help="Write it though it is worse.")
@where_options
def fit(
    name: str, logs: tuple[Path, ...], records: int, seed: int, force: bool, file: Path | None, folder: Path | None
) -> None:
    """Make a new version of the model NAME from this node's access logs."""
    import zlib

    from edgeproxy.commands import fitting, versions
    from edgeproxy.inference.manifest import Latest

    files = model_files(file, folder)
    try:
        manifest = files.manifest(name)
        trainer = fitting.trainer(files.place(name).folder)
        older, newer = _parted(_read(logs, records, seed))
        trained = trainer.fit(older, seed, lambda told: click.echo(told, err=True))
        entry = {"sample": trained.sample, "histograms": trained.histograms}
        before = _there(files, manifest)
        _try(files, manifest, trained.model, entry)
        judged = fitting.judged(trainer, None if before is None else before.content, trained.model, newer)
        click.echo(_compared(judged, before))
        if judged.is_worse and not force:
            raise ValueError(f"by {judged.measure!r} it is worse than what is there: nothing was written")
        entry["quality"] = trained.quality | judged.after | fitting.described(older, newer)
        spec = versions.specified(trained.model, entry)
        number = versions.add(files.place(name).folder, trained.model, spec)
    except ImportError as error:
        raise click.ClickException(str(fitting.missing(error))) from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} {number}: written to {files.place(name).folder / number}")
    if not isinstance(manifest.serve, Latest):
        click.echo(f"the manifest's `serve` names versions: put {number} there for it to answer", err=True)


@click.command(
    epilog="""\b
Examples:
  edgeproxy models export recommender --weights recommender.safetensors
  edgeproxy models export bot-score --version 1 --weights - | sha256sum

\b
What is written is a safetensors file of the graph's initialisers, with the model's name, its
version and its SHA-256: to be averaged with what other nodes learnt, where the graphs are the
same. The knowledge of trees is their graph; they have nothing to export."""
)
@click.argument("name")
@click.option("--weights", "out", type=click.File("wb", lazy=True), metavar="FILE", required=True, help="Where to.")
@click.option("--version", "number", metavar="N", help="Which version. [default: the newest]")
@where_options
def export(name: str, out: BinaryIO, number: str | None, file: Path | None, folder: Path | None) -> None:
    """Write the weights of the model NAME, without its graph."""
    from edgeproxy.commands import versions, weights

    files = model_files(file, folder)
    try:
        manifest = files.manifest(name)
        number = number or versions.newest(manifest)
        if number not in manifest.versions:
            raise ValueError(f"{name} has no version {number!r}; it has {', '.join(manifest.versions)}")
        found = files.read(manifest, number)
        if found.reason:
            raise ValueError(found.reason)
        learnt = weights.initializers(found.content)
        if not learnt:
            raise ValueError(f"{name} {number} has no weights beside its graph")
        about = {"model": name, "version": number, "sha256": manifest.versions[number].sha256}
        out.writelines(weights.safetensors(learnt, about))
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} {number}: {len(learnt)} tensors, {sum(each.size for each in learnt.values())} values", err=True)


def _read(logs: tuple[Path, ...], most: int, seed: int) -> list[Record]:
    """What the logs hold, drawn. Raises OSError, EOFError, zlib.error."""
    from edgeproxy.features.log import LogReader
    from edgeproxy.features.visits import Draw

    draw, skipped = Draw(most, seed), 0
    length = sum(log.stat().st_size for log in logs)
    with click.progressbar(length=length, label="reading", file=sys.stderr) as bar:
        for log in logs:
            with log.open("rb", buffering=0) as file:
                reader, at = LogReader(io.BufferedReader(file)), 0
                for record in reader:
                    draw.add(record)
                    if draw.seen % _STEP == 0:
                        bar.update(file.tell() - at)
                        at = file.tell()
                bar.update(file.tell() - at)
                skipped += reader.skipped
    kept = draw.records()
    told = f"{draw.seen} requests, {len(kept)} of them drawn"
    click.echo(f"{told}, {skipped} lines that are none" if skipped else told, err=True)
    return kept


def _parted(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """The older ones, to learn from, and the newest, to judge by. Raises ValueError where they are too few."""
    from edgeproxy.commands.fitting import FEWEST, NEWEST
    from edgeproxy.features.visits import parted

    if len(records) < FEWEST:
        raise ValueError(f"{len(records)} requests are too few; {FEWEST} are needed")
    older, newer = parted(records, NEWEST)
    if len(older) < len(newer):
        raise ValueError("most requests ended at one moment: there is no older part to learn from")
    return older, newer


def _there(files: ModelFiles, manifest: Manifest) -> Found | None:
    """The newest version that may serve."""
    found = [files.read(manifest, number) for number in sorted(manifest.versions, key=int, reverse=True)]
    return next((each for each in tried(files, found, lambda _: None) if not each.reason), None)


def _try(files: ModelFiles, manifest: Manifest, model: bytes, entry: dict[str, Any]) -> None:
    """What any version has to pass before it may serve. Raises ValueError."""
    from edgeproxy.commands import versions
    from edgeproxy.commands.model_files import Found

    made = Found(manifest.name, "", manifest, versions.specified(model, entry), model, len(model))
    for each in tried(files, [files.vet(made)], lambda _: None):
        if each.reason:
            raise ValueError(f"what was made may not serve: {each.reason}")


def _compared(judged: Judged, before: Found | None) -> str:
    """What both are worth, in a table, the deciding measure first."""
    measures = sorted(judged.after, key=lambda measure: measure != judged.measure)
    there = judged.before or {}
    rows = [(measure, str(there.get(measure, "-")), str(judged.after[measure])) for measure in measures]
    name = "nothing there" if before is None else f"version {before.number}"
    return table(("on the newest requests", name, "the new one"), rows, (name, "the new one"))
