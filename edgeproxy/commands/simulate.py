"""``edgeproxy simulate``: play a described attack against a node on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeproxy.commands.admin import read_token, token_option

if TYPE_CHECKING:
    from edgeproxy.simulate.node import Admin

# The names in edgeproxy/simulate/scenario.py, which takes too long to import for --help.
NAMES = ("get", "post", "misses", "one-address", "slow-head", "slow-body", "slow-read", "idle", "handshake")


@click.group(
    epilog="""\b
Examples:
  edgeproxy simulate flood
  edgeproxy simulate flood --attack slow-body"""
)
def simulate() -> None:
    """Play attacks against a node on this machine, and say what came of them."""


@simulate.command(
    epilog="""\b
Examples:
  edgeproxy simulate flood
  edgeproxy simulate flood -c config/edgeproxy.yaml --attack misses
  edgeproxy simulate flood --target 127.0.0.1:8080 --requests 5000 --clients 500 --duration 5s
  edgeproxy simulate flood --describe attack.yaml --json

\b
Good clients behave like browsers: alone at first, then during the attack, then until the
node says that all is normal. The attackers come from 127.16.0.1 and on, the good ones from
127.1.0.1 and on; no other machine can be attacked. When the attack was recognised, and when
it was over, is what edgeproxy_flood_state on the admin listener says.

\b
A description is a YAML map of what the options say, and more:
  kind: get                 # post, slow-head, slow-body, slow-read, idle, handshake
  requests: 20000           # with slow kinds: connections
  clients: 2000
  paths: ["/", "/?{n}"]     # {n} is another number each time
  agent: python-requests/2.32
  good: 50
  good_paths: ["/", "/style.css"]
  think: 1s
  host: www.example.com
  quiet: 20s
  duration: 10s
  after: 2m

Exit status: 0 if it was played, whatever came of it; 1 if not."""
)
@click.option(
    "-c",
    "--config",
    "config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration of the node: where it listens.",
)
@click.option("--target", metavar="ADDR", help="Where it listens, in place of -c. [default: 127.0.0.1:8080]")
@click.option("--admin", metavar="ADDR", help="Its admin listener. [default: what -c says, else 127.0.0.1:9900]")
@token_option
@click.option(
    "--attack", "name", default="get", show_default=True, type=click.Choice(NAMES), help="A described attack."
)
@click.option("--describe", "file", type=click.Path(path_type=Path), metavar="FILE", help="Your own description.")
@click.option("--requests", type=int, help="Requests in all, or connections of a slow attack.")
@click.option("--clients", type=int, help="Addresses they come from.")
@click.option("--good", type=int, help="Good clients.")
@click.option("--path", "paths", multiple=True, metavar="PATH", help="What the attack asks for; repeatable.")
@click.option("--host", metavar="NAME", help="The Host everybody asks for.")
@click.option("--quiet", metavar="TIME", help="How long the good clients are alone at first.")
@click.option("--duration", metavar="TIME", help="How long the attack lasts.")
@click.option("--after", metavar="TIME", help="How long to wait for normal at most.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, and nothing else.")
def flood(
    config: Path | None,
    target: str | None,
    admin: str | None,
    token_file: Path | None,
    name: str,
    file: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Play a flood against a local node: what was let through, refused, and felt by good clients."""
    import uvloop

    from edgeproxy.simulate.node import configured, loopback
    from edgeproxy.simulate.run import play
    from edgeproxy.simulate.scenario import describe

    try:
        scenario = describe(name, file, {option: value for option, value in given.items() if value not in (None, ())})
        if config is not None:
            address, found = configured(config, tls=scenario.kind == "handshake")
            admin = admin or found
        else:
            address, admin = loopback(target or "127.0.0.1:8080"), admin or "127.0.0.1:9900"
        if target is not None:
            address = loopback(target)
        asked = None if admin is None else _admin(admin, read_token(token_file))
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    try:
        report = uvloop.run(play(scenario, address, asked, _quiet if as_json else click.echo))
    except TimeoutError:
        raise click.ClickException("this machine is too slow for it; ask for less") from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else str(report))


def _quiet(_: str) -> None:
    """Say nothing of how it goes."""


def _admin(address: str, token: str | None) -> Admin:
    from edgeproxy.config.units import parse_address
    from edgeproxy.simulate.node import Admin, loopback

    if not address.startswith("unix:"):
        host, port = loopback(address)
        address = f"{host}:{port}"
    return Admin(parse_address(address), token)
