"""``edgeproxy certificates renew``, ``revoke`` and ``new-account-key``: what is asked of an authority (ACME)."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from edgeproxy.commands.config_file import config_option, default_config

if TYPE_CHECKING:
    from edgeproxy.acme.storage import Storage
    from edgeproxy.config.acme import AcmeConfig
    from edgeproxy.config.schema import Config

SOME_FAILED = 1


@click.command(
    epilog="""\b
Examples:
  edgeproxy certificates renew
  edgeproxy certificates renew -c /etc/edgeproxy/edgeproxy.yaml www.example.com

\b
A running node does this by itself, whenever something is due; its workers see what is new
within a second. Without names, what is due is ordered, and what failed lately is left
alone; with names, their certificates are ordered now. The challenge is answered by the
running node (http-01, tls-alpn-01) or the hook (dns-01).

Exit status: 0 if nothing is left to be done now, 1 if an order failed."""
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@config_option
@click.option("--given", metavar="PATH", hidden=True, help="Read the configuration, of the file PATH, from stdin.")
def renew(names: tuple[str, ...], file: Path | None, given: str | None) -> None:
    """Order the certificates that are due."""
    from edgeproxy.acme.names import listed
    from edgeproxy.acme.renewal import Renewal
    from edgeproxy.clock import Clock

    config = _config(file, given)
    acme = _acme(config)
    signal.signal(signal.SIGTERM, _end)
    there = listed(config)
    if unknown := set(names) - set(there):
        raise click.ClickException(f"{min(unknown)}: no listener's tls.acme names it")
    try:
        outcome = Renewal(acme, there, _storage(config, acme), Clock()).run(names)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if outcome.busy:
        click.echo(f"nothing is done: {outcome.busy}")
    elif not outcome.renewed and not outcome.failed:
        click.echo("nothing is due")
    if outcome.failed or (outcome.busy and names):
        raise SystemExit(SOME_FAILED)


@click.command(
    epilog="""\b
Examples:
  edgeproxy certificates revoke www.example.com

\b
For a key that got into the wrong hands. The certificate is removed as well; the next run
orders another one, with a new key, for what is still configured."""
)
@click.argument("name")
@config_option
def revoke(name: str, file: Path | None) -> None:
    """Have the certificate of NAME revoked."""
    from edgeproxy.acme.failure import AcmeError
    from edgeproxy.acme.names import listed
    from edgeproxy.acme.renewal import Renewal
    from edgeproxy.clock import Clock

    config = _config(file, None)
    acme = _acme(config)
    try:
        Renewal(acme, listed(config), _storage(config, acme), Clock()).revoke(name)
    except (AcmeError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"revoked: {name}")


@click.command(
    name="new-account-key",
    epilog="""\b
Examples:
  edgeproxy certificates new-account-key

\b
For an account key that got into the wrong hands. Certificates are not touched.""",
)
@config_option
def new_account_key(file: Path | None) -> None:
    """Give the account at the authority a new key."""
    from edgeproxy.acme.failure import AcmeError
    from edgeproxy.acme.renewal import Renewal
    from edgeproxy.clock import Clock

    config = _config(file, None)
    acme = _acme(config)
    try:
        Renewal(acme, (), _storage(config, acme), Clock()).change_account_key()
    except (AcmeError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo("the account has a new key")


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave as if it had failed, so that what was put up for an authority is taken away."""
    raise SystemExit(128 + number)


def _config(file: Path | None, given: str | None) -> Config:
    from edgeproxy.config.load import load_text, read_file
    from edgeproxy.observe import error_log

    path = given or str(file or default_config())
    config = load_text(sys.stdin.read() if given is not None else read_file(path), path)
    error_log.configure(config.log.level, "certificates")
    return config


def _acme(config: Config) -> AcmeConfig:
    if config.acme is None:
        raise click.ClickException("the configuration has no acme: certificates are files, and yours to renew")
    return config.acme


def _storage(config: Config, acme: AcmeConfig) -> Storage:
    from edgeproxy.acme.files import Files
    from edgeproxy.acme.region import Region
    from edgeproxy.acme.storage import SharedStorage, Storage

    files = Files(Path(acme.folder))
    if acme.storage == "folder" or config.cache.redis is None:
        return Storage(files)
    settings, secret = config.cache.redis.settings(), acme.sealing()
    return SharedStorage(files, lambda: Region(settings, secret, files))
