"""What commands ask a running node, over its admin listener."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgeproxy.config.units import AddressValue

TIMEOUT = 10.0
TOKEN = "EDGEPROXY_ADMIN_TOKEN"  # noqa: S105 -- the variable's name

admin_option = click.option(
    "--admin",
    default="127.0.0.1:9900",
    envvar="EDGEPROXY_ADMIN",
    show_default=True,
    show_envvar=True,
    metavar="ADDR",
    help="Address of the admin listener.",
)
token_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help=f"File with the admin listener's token. [default: what {TOKEN} says, else none]",
)


def post(admin: str, path: str, content: Any, token_file: Path | None) -> Any:
    """What the admin listener at an address answers to an order, as plain values.

    Raises click's errors where it is not there or refuses, in words for whoever typed the command.
    """
    return _ask(admin, "POST", path, json.dumps(content), token_file)


def get(admin: str, path: str, token_file: Path | None) -> Any:
    """What it answers to a question; raises like :func:`post`."""
    return _ask(admin, "GET", path, None, token_file)


def _ask(admin: str, method: str, path: str, content: str | None, token_file: Path | None) -> Any:
    from edgeproxy.config.units import parse_address

    try:
        address = parse_address(admin)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--admin") from None
    status, text = _exchange(address, method, path, content, read_token(token_file))
    try:
        answer = json.loads(text)
    except ValueError:
        answer = {}
    if status == 401:
        raise click.ClickException(f"the admin listener wants its token: set {TOKEN}, or give --token-file FILE")
    if status != 200:
        said = answer.get("error") or "; ".join(answer.get("errors", ())) if isinstance(answer, dict) else ""
        raise click.ClickException(said or f"the admin listener answered with status {status}")
    return answer


def read_token(file: Path | None) -> str | None:
    """The admin listener's token: the file's, else the environment's, else none."""
    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise click.BadParameter(f"{file} cannot be read: {error}", param_hint="--token-file") from None


def _exchange(address: AddressValue, method: str, path: str, content: str | None, token: str | None) -> tuple[int, str]:
    import http.client

    connection = http.client.HTTPConnection(address.host or "localhost", address.port or 80, timeout=TIMEOUT)
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    try:
        if address.path:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(TIMEOUT)
            connection.sock.connect(address.path)
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise click.ClickException(
            f"no answer from the admin listener at {address}: {error}; is edgeproxy running?"
        ) from None
    except ValueError:
        raise click.ClickException("the token holds what no header field can") from None
    finally:
        connection.close()
