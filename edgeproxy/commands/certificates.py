"""``edgeproxy certificates``: those that are there, and those that renew themselves."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from edgeproxy.commands.config_file import config_option, default_config
from edgeproxy.commands.renewal import new_account_key, renew, revoke

if TYPE_CHECKING:
    from edgeproxy.config.schema import Config

NAMES_SHOWN = 3
NOT_IN_ORDER = 1


class Row(NamedTuple):
    """One line of the list; ``wrong``: what has to be seen to."""

    names: str
    issuer: str
    until: str
    source: str
    wrong: str


@click.group(
    epilog="""\b
Examples:
  edgeproxy certificates list
  edgeproxy certificates renew
  edgeproxy certificates revoke www.example.com"""
)
def certificates() -> None:
    """Look after certificates."""


@certificates.command(
    name="list",
    epilog="""\b
Examples:
  edgeproxy certificates list
  edgeproxy certificates list -c /etc/edgeproxy/edgeproxy.yaml

\b
Reads the files that the configuration names, and the folder of certificates that renew
themselves; no node need run.

Exit status: 0 if all are there and valid, 1 if one is not, or should have been renewed.""",
)
@config_option
def show(file: Path | None) -> None:
    """Show names, issuer, end and source of all certificates."""
    from edgeproxy.config.load import load_text, read_file

    path = str(file or default_config())
    found = list(rows(load_text(read_file(path), path), time.time()))
    heading = Row("NAMES", "ISSUER", "UNTIL", "SOURCE", "")
    widths = [max(len(row[column]) for row in (heading, *found)) for column in range(3)]
    for row in (heading, *found):
        fields = [f"{text:<{width}}" for text, width in zip(row, widths, strict=False)]
        click.echo("  ".join((*fields, row.source, row.wrong)).rstrip())
    if any(row.wrong for row in found):
        raise SystemExit(NOT_IN_ORDER)


def rows(config: Config, now: float) -> Iterator[Row]:
    """One for each file and each name that an authority is asked for, then those got on demand."""
    from edgeproxy.certificates.store import CertificateStore

    sections = [listener.tls for listener in config.listeners if listener.tls is not None]
    for path in dict.fromkeys(pair.certificate for tls in sections for pair in tls.certificates):
        yield _row(path, "", path, now)
    if config.acme is None:
        return
    store = CertificateStore(Path(config.acme.folder))
    shown: set[Path] = set()
    for name in dict.fromkeys(name for tls in sections for name in tls.acme):
        places = [store.certificate(one) for one in (name, *config.acme.group_of(name))]
        there = next((place for place in places if place.is_file()), None)
        if there is None:
            yield Row(name, "", "", "acme", "not there yet")
        elif there not in shown:
            yield _row(str(there), name, "acme", now)
        shown.update(places)
    for name in store.names():
        if store.certificate(name) not in shown:
            yield _row(str(store.certificate(name)), name, "acme, on demand", now)


def _row(path: str, name: str, source: str, now: float) -> Row:
    from edgeproxy.certificates.leaf import read

    try:
        leaf = read(path)
    except (OSError, ValueError) as error:
        return Row(name, "", "", source, str(error))
    more = len(leaf.names) - NAMES_SHOWN
    names = " ".join(leaf.names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    until = dt.datetime.fromtimestamp(leaf.expires, dt.UTC).strftime("%Y-%m-%d %H:%M")
    return Row(names or name, leaf.issuer, until, source, leaf.complaint(now))


certificates.add_command(new_account_key)
certificates.add_command(renew)
certificates.add_command(revoke)
