"""The command line. Each command imports what it needs when it runs, so that ``edgeproxy --help`` is there at once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from edgeproxy import __version__
from edgeproxy.commands.cache import cache
from edgeproxy.commands.certificates import certificates
from edgeproxy.commands.config_file import config_option, default_config
from edgeproxy.commands.credentials import key, password
from edgeproxy.commands.drain import drain
from edgeproxy.commands.models import models
from edgeproxy.commands.purge import purge
from edgeproxy.commands.sign import sign
from edgeproxy.commands.simulate import simulate
from edgeproxy.commands.warm import warm


class Commands(click.Group):
    """Prints what is wrong with a configuration as a compiler would, one line each, and exits with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from edgeproxy.config.errors import ConfigErrors

            if not isinstance(error, ConfigErrors):
                raise
            click.echo(str(error), err=True)
            count = len(error.errors)
            click.echo(f"{count} error{'s' * (count != 1)}", err=True)
            ctx.exit(1)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Begin with:
  edgeproxy check config/edgeproxy.yaml
  edgeproxy run
  curl -i http://127.0.0.1:8080/

Each command has its own --help with examples.""",
)
@click.version_option(__version__, prog_name="edgeproxy", message="%(prog)s %(version)s")
def main() -> None:
    """A reverse proxy and shared HTTP cache for the edge."""


@main.command(
    epilog="""\b
Examples:
  edgeproxy run
  edgeproxy run -c /etc/edgeproxy/edgeproxy.yaml
  EDGEPROXY_LISTEN=0.0.0.0:80 EDGEPROXY_ORIGIN=http://10.0.0.5:8000 edgeproxy run

\b
Signals:
  SIGHUP            read the configuration again; a broken one changes nothing
  SIGUSR1           open the log files anew
  SIGTERM, SIGINT   stop accepting, let exchanges end, exit"""
)
@config_option
def run(file: Path | None) -> None:
    """Serve, until told to stop."""
    from edgeproxy.supervisor import run as serve

    raise SystemExit(serve(str(file or default_config())))


@main.command(
    epilog="""\b
Examples:
  edgeproxy demo
  edgeproxy demo -c config/edgeproxy.yaml --port 8001"""
)
@config_option
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port for the site itself."
)
def demo(file: Path | None, port: int) -> None:
    """Serve the demo site, and the proxy in front of it, until told to stop."""
    from edgeproxy.demo.run import run_demo

    raise SystemExit(run_demo(port, file or default_config()))


@main.command(
    epilog="""\b
Examples:
  edgeproxy check config/edgeproxy.yaml
  edgeproxy check new.yaml && mv new.yaml /etc/edgeproxy/edgeproxy.yaml

Exit status: 0 if it can be served, 1 with every mistake on stderr if not."""
)
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Say whether FILE can be served, and what is wrong with it.

    Everything is built as for serving (stages, pools, routes), nothing is started and no connection made.
    """
    from edgeproxy.config.trial import load_and_build, warnings

    config, snapshot = load_and_build(file)
    for warning in warnings(config, time.time()):
        click.echo(f"{file}: warning: {warning}", err=True)
    listeners = ", ".join(listener.address + (" (TLS)" if listener.tls else "") for listener in config.listeners)
    click.echo(
        f"{file}: ok: listens on {listeners}; {_count(config.routes, 'route')}, {_count(config.pools, 'pool')}, "
        f"{_count({stage.name for stage in snapshot.stages.values()}, 'stage')}"
    )


@main.command(
    epilog="""\b
Examples:
  edgeproxy schema > config/schema.json
\b
In a YAML file, for editors with a YAML language server:
  # yaml-language-server: $schema=./schema.json"""
)
def schema() -> None:
    """Print the JSON Schema of this build, with all installed stages."""
    from edgeproxy.config.reference import json_schema
    from edgeproxy.config.stages import discover

    click.echo(json.dumps(json_schema(discover()), indent=2, ensure_ascii=False))


@main.command(
    epilog="""\b
Examples:
  edgeproxy explain http://www.example.com/api/users
  edgeproxy explain --from DE https://www.example.com/
  edgeproxy explain -c new.yaml -X POST -H 'x-beta: 1' https://www.example.com/checkout"""
)
@click.argument("url")
@config_option
@click.option("-X", "--method", default="GET", show_default=True, help="Request method.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header field; repeatable.")
@click.option("--from", "country", default="", metavar="COUNTRY", help="Where the client is: DE, US (ISO 3166-1).")
def explain(url: str, file: Path | None, method: str, headers: tuple[str, ...], country: str) -> None:
    """Say where a request for URL would go, and why.

    Prints the route and why it won over the others, its stages in order, the cache key, the pool and its endpoints.
    Works on the file; nothing is sent.
    """
    from edgeproxy.config.trial import explain_request, load_and_build, make_request
    from edgeproxy.geo.coordinates import middle

    try:
        request = make_request(url, method, headers)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    country = country.upper()
    if country and middle(country) is None:
        raise click.BadParameter(f"{country!r} is no country; write its two letters, like DE or US")
    _, snapshot = load_and_build(file or default_config())
    click.echo("\n".join(explain_request(snapshot, request, country)))


main.add_command(cache)
main.add_command(certificates)
main.add_command(drain)
main.add_command(key)
main.add_command(models)
main.add_command(password)
main.add_command(purge)
main.add_command(sign)
main.add_command(simulate)
main.add_command(warm)


def _count(things: Any, name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"
