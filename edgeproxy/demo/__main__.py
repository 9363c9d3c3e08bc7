"""``python -m edgeproxy.demo --port 8000`` serves the demo site alone, without the proxy."""

from __future__ import annotations

import socket

import click
from aiohttp import web

from edgeproxy.demo.origin import make_app


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--fd", type=click.IntRange(3), help="Serve this inherited, listening socket instead.")
def main(host: str, port: int, fd: int | None) -> None:
    """Serve the demo site."""
    listening = socket.create_server((host, port)) if fd is None else socket.socket(fileno=fd)
    if fd is None:
        click.echo(f"The demo site is at http://{host}:{listening.getsockname()[1]}/")
    web.run_app(make_app(), sock=listening, print=None, access_log=None, handle_signals=True)


if __name__ == "__main__":
    main()
