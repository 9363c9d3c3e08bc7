"""What a file holds, read again when it changes; while it cannot be read, what was read last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

MAX_BYTES: Final = 16 * 1024 * 1024

logger = logging.getLogger("edgeproxy")

T = TypeVar("T")
Changed = Callable[[], Awaitable[None]]


class KeptBytes(Generic[T]):
    """``use`` is given what ``parse`` makes of the file's bytes, at once and after each change; ``watch`` runs until it
    is cancelled and calls what it is given after each change. ``most`` is the file's largest size. Raises ValueError
    if the file cannot be used at first."""

    def __init__(
        self,
        path: str,
        parse: Callable[[bytes], T],
        use: Callable[[T], None],
        watch: Callable[[Changed], Coroutine[Any, Any, None]],
        most: int = MAX_BYTES,
    ) -> None:
        self._path = path
        self._parse = parse
        self._use = use
        self._watch = watch
        self._most = most
        self._task: asyncio.Task[None] | None = None
        try:
            use(self._read())
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be used: {error}") from None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch(self._changed))

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _changed(self) -> None:
        try:
            self._use(await asyncio.to_thread(self._read))
        except (OSError, ValueError) as error:
            logger.warning("%s cannot be used: %s; going on with what it held before", self._path, error)
        else:
            logger.info("%s read again", self._path)

    def _read(self) -> T:
        with Path(self._path).open("rb") as file:
            content = file.read(self._most + 1)
        if len(content) > self._most:
            raise ValueError(f"it has more than {self._most} bytes")
        return self._parse(content)

    def __repr__(self) -> str:
        return f"<Kept {self._path}>"


class Kept(KeptBytes[T]):
    """The same for a file of text, UTF-8."""

    def __init__(
        self,
        path: str,
        parse: Callable[[str], T],
        use: Callable[[T], None],
        watch: Callable[[Changed], Coroutine[Any, Any, None]],
        most: int = MAX_BYTES,
    ) -> None:
        super().__init__(path, lambda content: parse(_text(content)), use, watch, most)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:  # whose text would show some of the content
        raise ValueError("it is not UTF-8") from None
