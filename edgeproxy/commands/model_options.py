"""What the commands about models share: which models are meant, and how they are told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from edgeproxy.commands.config_file import default_config

if TYPE_CHECKING:
    from edgeproxy.commands.model_files import Found, ModelFiles

P = ParamSpec("P")
R = TypeVar("R")

_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")


def where_options(command: Callable[P, R]) -> Callable[P, R]:
    """The options that say where the models are: ``file`` and ``folder``, for :func:`model_files`."""
    config = click.option(
        "-c",
        "--config",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Configuration file, for its section models. [default: ./config/edgeproxy.yaml, else the packaged one]",
    )
    folder = click.option(
        "--models",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Folder with one folder a model in it, in place of the configuration's.",
    )
    return config(folder(command))


def model_files(file: Path | None, folder: Path | None) -> ModelFiles:
    """The models that the options name. Raises ConfigErrors and ClickException."""
    from edgeproxy.commands.model_files import ModelFiles
    from edgeproxy.config.load import load_file

    try:
        return ModelFiles(load_file(file or default_config()).models, folder)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def tried(files: ModelFiles, found: Sequence[Found], told: Callable[[Found], None]) -> list[Found]:
    """The same versions, each after its trial; ``told`` is called with each as it ends."""
    import asyncio

    judged: list[Found] = []

    async def look() -> None:
        async for each in files.tried(found):
            judged.append(each)
            told(each)

    asyncio.run(look())
    return judged


def who(found: Found) -> str:
    """A version's name for people."""
    return f"{found.name} {found.number}".rstrip()


def plain(text: str) -> str:
    """Without what no terminal should get: manifests and files may come from elsewhere."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> str:
    """Columns as wide as what is in them, those named in ``right`` to the right."""
    whole = [[plain(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    sides = [str.rjust if name in right else str.ljust for name in head]
    return "\n".join(
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)).rstrip()
        for row in whole
    )


def size(number: int) -> str:
    """Bytes, for people."""
    return next((f"{number / unit:.1f} {name}" for unit, name in _SIZES if number >= unit), f"{number} B")


def duration(seconds: float) -> str:
    """A time, for people."""
    unit, name = next(((unit, name) for unit, name in _TIMES if seconds >= unit), _TIMES[-1])
    return f"{seconds / unit:.3g} {name}"
