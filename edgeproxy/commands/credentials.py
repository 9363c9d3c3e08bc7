"""``edgeproxy key`` and ``edgeproxy password``: make what the api_key and basic_auth stages go by. Nothing is sent, and
nothing secret is taken from the command line, where every user of the machine could read it."""

from __future__ import annotations

import sys
from math import inf

import click


@click.group(
    epilog="""\b
Examples:
  edgeproxy key new shop --scope orders:read --expires 90d
  edgeproxy key line shop < key.txt"""
)
def key() -> None:
    """Make API keys for the api_key stage."""


@key.command(
    name="new",
    epilog="""\b
Examples:
  edgeproxy key new shop
  edgeproxy key new reports --scope orders:read --scope orders:list --expires 90d

\b
The first line printed is the key, for whoever is to use it: it is stored nowhere and cannot
be printed again. The second is for keys or keys_file of the api_key stage; it holds the
key's SHA-256 alone.""",
)
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="What the key allows; repeatable.")
@click.option("--expires", metavar="TIME", help="When it ends: 90d, 2027-01-31 or 2027-01-31T12:00:00Z.")
def new(name: str, scopes: tuple[str, ...], expires: str | None) -> None:
    """Print a new key for NAME, and the line that stores it."""
    from edgeproxy.identity.api_keys import new_key

    made = new_key()
    line = _line(name, made, scopes, expires)
    click.echo(made)
    click.echo(line)


@key.command(
    name="line",
    epilog="""\b
Examples:
  edgeproxy key line shop
  edgeproxy key line shop --expires 2027-01-31 < key.txt""",
)
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="What the key allows; repeatable.")
@click.option("--expires", metavar="TIME", help="When it ends: 90d, 2027-01-31 or 2027-01-31T12:00:00Z.")
def line(name: str, scopes: tuple[str, ...], expires: str | None) -> None:
    """Print the line that stores a key made elsewhere, which is asked for or read from standard input."""
    click.echo(_line(name, _secret("Key", confirm=False), scopes, expires))


@click.group(
    epilog="""\b
Examples:
  edgeproxy password hash alice >> users.txt"""
)
def password() -> None:
    """Hash passwords for the basic_auth stage."""


@password.command(
    name="hash",
    epilog="""\b
Examples:
  edgeproxy password hash alice >> users.txt
  edgeproxy password hash < password.txt""",
)
@click.argument("name", required=False)
def hash_(name: str | None) -> None:
    """Print the hash of a password, which is asked for or read from standard input; with NAME, a line of users_file."""
    from edgeproxy.identity.passwords import hash_password, parse_name

    try:
        user = None if name is None else parse_name(name)
        hashed = hash_password(_secret("Password", confirm=True))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(hashed if user is None else f"{user}:{hashed}")


def _secret(what: str, *, confirm: bool) -> str:
    """Asked for on a terminal without showing it, else the first line of standard input. Raises ClickException."""
    if sys.stdin.isatty():
        asked: str = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
        return asked
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.ClickException("standard input is not UTF-8") from None


def _line(name: str, made: str, scopes: tuple[str, ...], expires: str | None) -> str:
    from edgeproxy.identity.api_keys import line_of

    try:
        return line_of(name, made, scopes, inf if expires is None else _moment(expires))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _moment(text: str) -> float:
    import time

    from edgeproxy.config.units import parse_duration
    from edgeproxy.identity.api_keys import parse_time

    try:
        return time.time() + parse_duration(text)
    except ValueError:
        try:
            return parse_time(text)
        except ValueError:
            raise ValueError(f"{text!r} is no time; write it like 90d, 2027-01-31 or 2027-01-31T12:00:00Z") from None
