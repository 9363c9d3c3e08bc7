"""The process texts are made smaller in: started when needed, ended when a text takes too long, gone at last."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from edgeproxy.compression.minifier import REASONS, Minifier, MinifyError
from tests.support.ports import wait_until

CSS, SMALL = b"a { b : c }", b"a{b:c}"
ENDLESS = ("function f(){" + "".join(f"var a{n}={n};" for n in range(100_000)) + "}").encode()  # takes half a minute


@pytest.fixture
async def minifier() -> AsyncIterator[Minifier]:
    minifier = Minifier(5.0, 4)
    yield minifier
    await minifier.stop()


async def reason(minifier: Minifier, kind: str, text: bytes) -> str:
    with pytest.raises(MinifyError) as caught:
        await minifier.minify(kind, text)
    assert caught.value.reason in REASONS
    return caught.value.reason


def pid_of(minifier: Minifier) -> int:
    assert minifier._starting is not None
    return minifier._starting.result()._process.pid


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_one_process_does_one_text_after_the_other(minifier: Minifier) -> None:
    assert minifier._starting is None
    assert await minifier.minify("css", CSS) == SMALL
    pid = pid_of(minifier)
    texts = [minifier.minify("css", CSS) for _ in range(4)]
    assert await asyncio.gather(*texts) == [SMALL] * 4
    assert pid_of(minifier) == pid
    assert minifier.in_hand == 0


async def test_a_text_that_takes_too_long_ends_the_process_and_nothing_else() -> None:
    minifier = Minifier(0.5, 4)
    await minifier._ask(0, b"<p>")
    pid = pid_of(minifier)
    assert await reason(minifier, "js", ENDLESS) == "time"
    minifier._seconds = 5.0
    assert await minifier.minify("css", CSS) == SMALL
    assert pid_of(minifier) != pid
    await asyncio.to_thread(wait_until, lambda: is_gone(pid), "the process is gone")
    await minifier.stop()


async def test_what_cannot_be_read_is_said_so_and_the_process_goes_on(minifier: Minifier) -> None:
    await minifier.minify("css", CSS)
    pid = pid_of(minifier)
    assert await reason(minifier, "js", b"a = <b/>") == "syntax"
    assert await reason(minifier, "js", b"\xff") == "syntax"
    assert await minifier.minify("css", CSS) == SMALL
    assert pid_of(minifier) == pid


async def test_a_process_that_was_killed_is_replaced(minifier: Minifier) -> None:
    await minifier.minify("css", CSS)
    pid = pid_of(minifier)
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(wait_until, lambda: is_gone(pid), "the process is gone")
    if not await _works(minifier):  # nobody had noticed yet
        assert await _works(minifier)


async def _works(minifier: Minifier) -> bool:
    try:
        return await minifier.minify("css", CSS) == SMALL
    except MinifyError as error:
        return error.reason != "process"


async def test_more_than_may_be_in_hand_are_refused_at_once() -> None:
    minifier = Minifier(5.0, 2)
    got = await asyncio.gather(*(minifier.minify("css", CSS) for _ in range(3)), return_exceptions=True)
    assert got[:2] == [SMALL, SMALL]
    assert isinstance(got[2], MinifyError)
    assert got[2].reason == "queue"
    await minifier.stop()


async def test_who_waits_for_others_waits_no_longer_than_for_a_text() -> None:
    minifier = Minifier(0.5, 4)
    await minifier._ask(0, b"<p>")
    first = asyncio.create_task(reason(minifier, "js", ENDLESS))
    await asyncio.sleep(0)
    assert await reason(minifier, "css", CSS) == "time"
    assert await first == "time"
    await minifier.stop()


async def test_a_text_nobody_waits_for_any_more_does_not_come_out_as_the_next(minifier: Minifier) -> None:
    await minifier.minify("css", CSS)
    gone = asyncio.create_task(minifier.minify("js", ENDLESS))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert await minifier.minify("css", CSS) == SMALL


async def test_it_is_gone_when_stopped() -> None:
    minifier = Minifier(5.0, 4)
    await minifier.stop()
    await minifier.minify("css", CSS)
    pid = pid_of(minifier)
    await minifier.stop()
    assert is_gone(pid)


async def test_a_process_that_cannot_be_started_fails_and_is_tried_again(
    minifier: Minifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("sys.executable", "/nonexistent")
        assert await reason(minifier, "css", CSS) == "process"
    assert await minifier.minify("css", CSS) == SMALL
