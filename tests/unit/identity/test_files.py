"""A file that is read again when it changes."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from edgeproxy.identity.files import MAX_BYTES, Changed, Kept


class Hand:
    """A watch that is told by hand that the file has changed."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.changed: Changed

    async def run(self, changed: Changed) -> None:
        self.changed = changed
        self.ready.set()
        await asyncio.Event().wait()


def lines(text: str) -> list[str]:
    if "broken" in text:
        raise ValueError("line 1: it is broken")
    return text.split()


async def test_changes_are_taken_and_a_broken_file_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, used, hand = tmp_path / "keys", list[list[str]](), Hand()
    file.write_text("a")
    kept = Kept(str(file), lines, used.append, hand.run)
    assert used == [["a"]]
    await kept.start()
    await hand.ready.wait()
    file.write_text("a b")
    await hand.changed()
    for damage in (b"broken", b"\xff secret", b"x" * (MAX_BYTES + 1)):
        file.write_bytes(damage)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            await hand.changed()
        assert len(caplog.records) == 1
        assert "going on with what it held before" in caplog.text
        assert "secret" not in caplog.text
    file.unlink()
    await hand.changed()
    assert used == [["a"], ["a", "b"]]
    file.write_text("c")
    await hand.changed()
    assert used[-1] == ["c"]
    await kept.stop()


@pytest.mark.parametrize("content", [None, b"broken", b"\xff"])
def test_a_file_that_cannot_be_used_at_first_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="keys cannot be used"):
        Kept(str(file), lines, lambda _: None, Hand.run)  # type: ignore[arg-type]
