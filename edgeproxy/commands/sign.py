"""``edgeproxy sign``: make a URL that the signed_url stage lets in."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from edgeproxy.http.message import Request
    from edgeproxy.identity.urls import Names

SECRET = "EDGEPROXY_URL_SECRET"  # noqa: S105 -- the variable's name


class Signer(NamedTuple):
    """What a URL is signed with: ``prefixes`` are the bits of a client's network, by IPv4 and IPv6."""

    key_id: str
    secret: bytes
    names: Names
    unsigned: tuple[str, ...]
    client: bool
    prefixes: tuple[int, int]


@click.command(
    epilog="""\b
Examples:
  edgeproxy sign -c edgeproxy.yaml https://www.example.com/film.mp4 --expires 1h
  edgeproxy sign -c edgeproxy.yaml https://www.example.com/film/ --folder --expires 4h
  edgeproxy sign https://www.example.com/film.mp4 --key-id 2027a --secret-file url.key

\b
The secret comes from the signed_url stage of the route that the configuration has for the
URL; without -c from --secret-file or the variable EDGEPROXY_URL_SECRET, with the parameters'
usual names. The URL is printed as it is to be asked for; nothing is sent."""
)
@click.argument("url")
@click.option(
    "--expires", default="1h", show_default=True, metavar="TIME", help="For how long it is good: 30m, 2h, 7d."
)
@click.option("--folder", is_flag=True, help="For the folder that URL is, and all below it.")
@click.option("--cookie", is_flag=True, help="Print the value for a cookie in place of the URL.")
@click.option("--client", metavar="ADDR", help="For a client at this address.")
@click.option("-c", "--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Configuration file.")
@click.option("--key-id", metavar="ID", help="Which key signs. [default: the configuration's first]")
@click.option("--secret-file", type=click.Path(path_type=Path), metavar="FILE", help="File with the secret.")
def sign(
    url: str,
    expires: str,
    folder: bool,
    cookie: bool,
    client: str | None,
    file: Path | None,
    key_id: str | None,
    secret_file: Path | None,
) -> None:
    """Print URL with a signature, with which it may be asked for until it expires."""
    from edgeproxy.config.trial import make_request
    from edgeproxy.config.units import parse_duration
    from edgeproxy.http.addresses import canonical, network
    from edgeproxy.identity.parameters import Parameters
    from edgeproxy.identity.urls import grant

    try:
        request = make_request(url, "GET", ())
        lifetime = parse_duration(expires)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    signer = _from_values(key_id, secret_file) if file is None else _from_config(file, request, key_id)
    path = request.target.partition(b"?")[0]
    if folder and (not path.endswith(b"/") or request.query):
        raise click.ClickException("a folder's URL ends with a slash and has no query")
    if Parameters(signer.names.all).split(request.query)[0]:
        raise click.ClickException("the URL has one of the signature's parameters already")
    if client is not None and canonical(client) is None:
        raise click.ClickException(f"{client!r} is not an address")
    if file is not None and signer.client != (client is not None):
        wants = "is for one client: give --client" if signer.client else "is for any client: leave --client out"
        raise click.ClickException(f"by the configuration such a URL {wants}")
    made = grant(
        signer.secret,
        signer.names,
        signer.key_id,
        path,
        Parameters(signer.unsigned).split(request.query)[1],
        int(time.time() + lifetime),
        b"" if client is None else network(client, *signer.prefixes).encode(),
        folder=folder,
    )
    site = f"{request.scheme.decode()}://{request.authority.decode()}"
    click.echo(made if cookie else f"{site}{request.target.decode()}{'&' if request.query else '?'}{made}")


def _from_config(file: Path, request: Request, key_id: str | None) -> Signer:
    """From the signed_url stage of the request's route. Raises ConfigErrors and ClickException."""
    from edgeproxy.config.trial import load_and_build

    _, snapshot = load_and_build(file)
    route = snapshot.route(request)
    stage = next((stage for stage in route.chain.stages if stage.name == "signed_url"), None)
    if stage is None:
        raise click.ClickException(f"the route for this URL, {route.name}, has no signed_url")
    config: Any = stage.config
    chosen = next(iter(config.secrets)) if key_id is None else key_id
    if chosen not in config.secrets:
        raise click.ClickException(f"there is no key {chosen!r}; there is {', '.join(config.secrets)}")
    secret = config.secrets[chosen].get_secret_value().encode()
    prefixes = (config.ipv4_prefix, config.ipv6_prefix)
    return Signer(chosen, secret, config.names(), config.unsigned, config.client, prefixes)


def _from_values(key_id: str | None, secret_file: Path | None) -> Signer:
    """With the parameters' usual names. Raises ClickException."""
    from edgeproxy.identity.urls import SHORTEST, Names

    if key_id is None:
        raise click.UsageError("say with --key-id which key this is, or give the configuration with -c")
    try:
        secret = os.environ.get(SECRET, "") if secret_file is None else secret_file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise click.ClickException(f"{secret_file} cannot be read: {error}") from None
    secret = secret.strip()
    if len(secret.encode()) < SHORTEST:
        raise click.ClickException(
            f"a secret of {SHORTEST} bytes or more is needed: in --secret-file, in the variable {SECRET}, or with -c"
        )
    return Signer(
        key_id, secret.encode(), Names("expires", "keyid", "signature", "folder"), (), client=False, prefixes=(32, 64)
    )
