"""Which configuration file a command reads: the one it is given, else the one that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

LOCAL: Final = Path("config/edgeproxy.yaml")
PACKAGED: Final = Path(__file__).parents[1] / "config" / "edgeproxy.yaml"
CHECKOUT: Final = Path(__file__).parents[2] / "config" / "edgeproxy.yaml"

config_option = click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="Configuration file. [default: ./config/edgeproxy.yaml, else the packaged one]",
)


def default_config() -> Path:
    """``./config/edgeproxy.yaml`` if there is one, else the one that came with the package."""
    return next((path for path in (LOCAL, PACKAGED, CHECKOUT) if path.is_file()), LOCAL)
