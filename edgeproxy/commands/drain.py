"""``edgeproxy drain``: have a running node give an endpoint no new requests."""

from __future__ import annotations

from pathlib import Path

import click

from edgeproxy.commands.admin import admin_option, post, token_option


@click.command(
    epilog="""\b
Examples:
  edgeproxy drain site 10.0.0.5:8000
  edgeproxy drain --undo site 10.0.0.5:8000

\b
The endpoint is named as /pools of the admin listener shows it. Requests it has go on to their
end; idle connections are kept until they are too old. It lasts until --undo, over reloads
and restarts of workers, and ends with the node; what is to last longer is drain: true in the
configuration."""
)
@click.argument("pool")
@click.argument("endpoint")
@click.option("--undo", is_flag=True, help="Give it requests again, few at first.")
@admin_option
@token_option
def drain(pool: str, endpoint: str, undo: bool, admin: str, token_file: Path | None) -> None:
    """Have a running node give an endpoint of a pool no new requests."""
    post(admin, f"/pools/{'undrain' if undo else 'drain'}", {"pool": pool, "endpoint": endpoint}, token_file)
    click.echo(f"{'used again' if undo else 'drained'}: {endpoint} of {pool}")
