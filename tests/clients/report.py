"""The table of clients, as docs/clients.md has it."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.clients.cases import GROUPS
from tests.clients.run import Outcome

MARKDOWN_FILE = Path(__file__).parents[2] / "docs" / "clients.md"
_SPOKEN = {"h1": "HTTP/1.1", "h2": "HTTP/2", "h3": "HTTP/3"}
# How a client tells its version: a command, or a package.
_COMMANDS = {
    "curl": "curl --version",
    "nghttp": "nghttp --version",
    "h2load": "h2load --version",
    "Node fetch": "node --version",
    "Node http2": "node --version",
    "Chromium": "chromium --version",
}
_TEXT = """# Clients

What was asked of the demo site (`edgeproxy demo`) by clients as people have them, in every protocol each speaks, and
how much of it was answered right: status, fields and every byte. HTTP/2 and HTTP/3 with TLS, HTTP/1.1 without. A number
alone is all that was tried; `-` is what a client cannot do, or was not asked to.

{table}

{legend}
{notes}
`python -m tests.clients` makes this table. Of {system}, {date}.
"""


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a table in Markdown."""
    rows = [["client", "protocol", *GROUPS], ["---", "---", *["--:"] * len(GROUPS)]]
    for outcome in outcomes:
        cells = [_cell(outcome.counts.get(group)) for group in GROUPS]
        rows.append([f"{outcome.client} {version(outcome.client)}".strip(), _SPOKEN[outcome.protocol], *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def page(outcomes: Sequence[Outcome], notes: Sequence[str], date: str) -> str:
    """The whole page; ``notes`` are sentences, ``date`` is the day of the run."""
    legend = "\n".join(f"- **{group}**: {meaning}" for group, meaning in GROUPS.items())
    told = "".join(f"\n{note}\n" for note in notes)
    system = f"{platform.system()} {platform.machine()}, CPython {platform.python_version()}"
    return _TEXT.format(table=table(outcomes), legend=legend, notes=told, system=system, date=date)


def version(client: str) -> str:
    """The client's version, "" if it does not tell."""
    command = _COMMANDS.get(client)
    if command is None:
        return importlib.metadata.version(client)
    told = subprocess.run(command.split(), capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+(?:\.\d+)+", told)
    return "" if found is None else found[0]


def _cell(count: tuple[int, int] | None) -> str:
    if count is None:
        return "-"
    passed, tried = count
    return str(tried) if passed == tried else f"**{passed} of {tried}**"
