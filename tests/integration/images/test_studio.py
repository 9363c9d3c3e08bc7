"""Processes that make pictures: one job each, bounded in number, time and memory, ended whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from edgeproxy.images.plan import Bounds, ImageError, Plan
from edgeproxy.images.studio import Studio
from edgeproxy.observe.metrics import Metrics
from tests.support import pictures

SMALL = pictures.encode(pictures.photo(160, 120))
PLAN = Plan(width=40, format="webp")
# Large enough to keep a process busy for seconds: nobody waits for it to the end.
LONG = pictures.encode(pictures.photo(2400, 1800))
LONG_PLAN = Plan(width=2400, format="avif")

Opened = Callable[..., Studio]


@pytest.fixture
async def studios() -> AsyncIterator[Opened]:
    opened: list[Studio] = []

    def build(processes: int = 1, queue: int = 4, bounds: Bounds | None = None, **options: Any) -> Studio:
        studio = Studio(processes, queue, bounds or Bounds(), Metrics(), **options)
        opened.append(studio)
        return studio

    yield build
    for studio in opened:
        await studio.stop()


def children() -> set[int]:
    """Those of this process that make pictures, and are not waited for already."""
    found = set()
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError):  # a thread, or a child, that has just ended
            for pid in listed.read_text().split():
                if b"edgeproxy.images.process" in Path("/proc", pid, "cmdline").read_bytes():
                    found.add(int(pid))
    return found


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- nobody tells when a process is gone
            await asyncio.sleep(0.005)


async def reason(making: Any) -> str:
    try:
        await making
    except ImageError as error:
        return error.reason
    return ""


async def test_a_picture_is_made_in_a_process_that_is_started_for_it_and_stays(studios: Opened) -> None:
    studio = studios()
    await studio.start()
    assert not children()
    first = await studio.make(SMALL, PLAN)
    assert (first.content_type, first.width, first.height) == (b"image/webp", 40, 30)
    assert pictures.decode(first.body).size == (40, 30)
    (pid,) = children()
    assert await studio.make(SMALL, PLAN) == first
    assert children() == {pid}
    await studio.stop()
    assert not children()


async def test_every_kind_of_picture_is_made_where_no_file_can_be_opened(studios: Opened) -> None:
    """What is loaded late would fail there and nowhere else."""
    studio = studios()
    await studio.start()
    for name, source in pictures.kinds(60, 40).items():
        for form in ("jpeg", "png", "webp", "avif", "gif", "json"):
            plan = Plan(
                width=30, height=30, fit="pad", format=form, hurry=True, metadata="keep", gravity="auto", blur=1.0
            )
            assert (await studio.make(source, plan)).width == 30, name
    assert await reason(studio.make(b"<svg/>", PLAN)) == "format"
    assert await reason(studio.make(SMALL[:900], PLAN)) == "damaged"


async def test_plans_arrive_as_they_were_sent(studios: Opened) -> None:
    studio = studios()
    await studio.start()
    source = pictures.encode(pictures.corners(80, 60), "PNG")
    plan = Plan(20, 20, "pad", (0.0, 1.0), "png", background=(9, 8, 7, 255), trim=(30, 0, 0, 0))
    seen = pictures.decode((await studio.make(source, plan)).body)
    assert seen.getpixel((2, 2)) == (9, 8, 7)
    assert pictures.corner_of(seen, 0.1, 0.95) == "bottom left"


async def test_it_is_ended_after_a_while_without_work_and_another_one_started_for_more(studios: Opened) -> None:
    studio = studios(idle=0.05)
    await studio.start()
    await studio.make(SMALL, PLAN)
    await until(lambda: not children())
    await studio.make(SMALL, PLAN)


async def test_after_many_jobs_a_fresh_one_takes_over(studios: Opened) -> None:
    studio = studios(jobs=2)
    await studio.start()
    seen = []
    for _ in range(5):
        await studio.make(SMALL, PLAN)
        seen += children()
    assert [seen.index(pid) for pid in seen] == [0, 0, 2, 2, 4]


async def test_several_work_at_a_time_and_no_more_than_allowed(studios: Opened) -> None:
    studio = studios(processes=2, queue=8)
    await studio.start()
    await asyncio.gather(*(studio.make(SMALL, PLAN) for _ in range(8)))
    assert len(children()) == 2


async def test_a_full_line_is_said_at_once(studios: Opened) -> None:
    studio = studios(queue=1)
    await studio.start()
    held = [asyncio.create_task(reason(studio.make(LONG, LONG_PLAN))) for _ in range(2)]
    await until(lambda: studio._foreground.running == 1)
    assert await reason(studio.make(SMALL, PLAN)) == "queue"
    assert not any(task.done() for task in held)
    assert "[1 of 1 processes, 1 waiting]" in repr(studio).replace("<_Crew ", "[").replace(">", "]", 1)
    await studio.stop()
    assert await asyncio.gather(*held) == ["failed", "failed"]


async def test_what_takes_too_long_is_ended_and_the_next_one_is_made(studios: Opened) -> None:
    studio = studios(bounds=Bounds(seconds=0.3))
    await studio.start()
    before = time.monotonic()
    assert await reason(studio.make(LONG, LONG_PLAN)) == "time"
    assert time.monotonic() - before < 3
    await until(lambda: not children())
    assert (await studio.make(SMALL, PLAN)).width == 40


async def test_who_has_waited_too_long_is_told_instead_of_served(studios: Opened) -> None:
    studio = studios(bounds=Bounds(seconds=0.3))
    await studio.start()
    told = await asyncio.gather(reason(studio.make(LONG, LONG_PLAN)), reason(studio.make(SMALL, PLAN)))
    assert told == ["time", "queue"]


async def test_a_process_that_dies_at_work_fails_its_job_alone(studios: Opened) -> None:
    studio = studios()
    await studio.start()
    await studio.make(SMALL, PLAN)
    making = asyncio.create_task(reason(studio.make(LONG, LONG_PLAN)))
    waiting = asyncio.create_task(studio.make(SMALL, PLAN))
    await until(lambda: studio._foreground.running)
    (pid,) = children()
    os.kill(pid, signal.SIGSEGV)
    assert await making == "failed"
    assert (await waiting).width == 40
    assert children() != {pid}


async def test_a_process_that_died_at_rest_is_replaced(studios: Opened) -> None:
    studio = studios()
    await studio.start()
    await studio.make(SMALL, PLAN)
    (pid,) = children()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not children())
    await asyncio.sleep(0)
    assert await reason(studio.make(SMALL, PLAN)) in {"", "failed"}
    assert (await studio.make(SMALL, PLAN)).width == 40


async def test_memory_has_a_bound(studios: Opened) -> None:
    studio = studios(bounds=Bounds(memory=75_000_000))
    await studio.start()
    vast = pictures.png(8000, 6000, zlib.compress(bytes(8001 * 6000), 1), colour=0)
    assert await reason(studio.make(vast, Plan(width=100, format="webp"))) == "memory"
    assert (await studio.make(SMALL, PLAN)).width == 40


async def test_what_is_made_in_the_background_stands_before_nobody(studios: Opened) -> None:
    studio = studios(queue=1)
    await studio.start()
    background = [asyncio.create_task(reason(studio.make(LONG, LONG_PLAN, background=True))) for _ in range(2)]
    await until(lambda: studio._background.running and children())
    assert (await studio.make(SMALL, PLAN)).width == 40
    assert await reason(studio.make(SMALL, PLAN, background=True)) == "queue"
    assert sorted(os.getpriority(os.PRIO_PROCESS, pid) - os.getpriority(os.PRIO_PROCESS, 0) for pid in children()) == [
        0,
        19,
    ]
    await studio.stop()
    assert await asyncio.gather(*background) == ["failed", "failed"]


async def test_who_stops_waiting_leaves_the_line_and_disturbs_nobody(studios: Opened) -> None:
    studio = studios(queue=1)
    await studio.start()
    first = asyncio.create_task(studio.make(SMALL, PLAN))
    second = asyncio.create_task(studio.make(SMALL, PLAN))
    await until(lambda: studio._foreground.running)
    second.cancel()
    await asyncio.wait((second,))
    third = asyncio.create_task(studio.make(SMALL, PLAN))
    await asyncio.sleep(0)
    first.cancel()
    assert (await third).width == 40
    assert studio._foreground.outstanding == 0


async def test_before_its_start_and_after_its_stop_nothing_is_made(studios: Opened) -> None:
    studio = studios()
    assert await reason(studio.make(SMALL, PLAN)) == "failed"
    await studio.start()
    await studio.stop()
    assert await reason(studio.make(SMALL, PLAN)) == "failed"


async def test_its_stop_waits_for_no_picture(studios: Opened) -> None:
    studio = studios()
    await studio.start()
    making = asyncio.create_task(reason(studio.make(LONG, LONG_PLAN)))
    await until(lambda: children() and studio._foreground.running)
    before = time.monotonic()
    await studio.stop()
    assert time.monotonic() - before < 1
    assert await making == "failed"
    assert not children()


async def test_figures(studios: Opened) -> None:
    metrics = Metrics()
    studio = Studio(1, 4, Bounds(), metrics)
    await studio.start()
    await studio.make(LONG, PLAN)
    dumped = {family["name"]: family for family in metrics.dump()}
    ((labels, cells),) = dumped["edgeproxy_image_seconds"]["series"]
    assert labels == ["webp"]
    assert 0 < cells[-1] < 5
    assert dumped["edgeproxy_image_jobs"]["series"] == [(["making"], [0]), (["waiting"], [0])]
    await studio.stop()


async def test_where_no_process_can_be_started_nobody_waits(studios: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = studios()
    await studio.start()
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert await reason(studio.make(SMALL, PLAN)) == "failed"
    monkeypatch.undo()
    assert await reason(studio.make(SMALL, PLAN)) == "failed"  # for a few seconds it is not tried again
    studio._foreground._broken_until = 0.0
    assert (await studio.make(SMALL, PLAN)).width == 40


def test_all_of_it_runs_under_uvloop() -> None:
    async def main() -> None:
        studio = Studio(1, 4, Bounds(seconds=0.5), Metrics(), idle=0.05)
        await studio.start()
        assert (await studio.make(SMALL, PLAN)).width == 40
        assert await reason(studio.make(LONG, LONG_PLAN)) == "time"
        assert (await studio.make(SMALL, PLAN)).width == 40
        await until(lambda: not children())
        making = asyncio.create_task(reason(studio.make(LONG, LONG_PLAN)))
        await until(children)
        await studio.stop()
        assert await making == "failed"
        assert not children()

    uvloop.run(main())


async def test_who_comes_while_a_process_is_being_ended_gets_another_one(studios: Opened) -> None:
    studio = studios(idle=0.0)
    await studio.start()
    for _ in range(5):
        await studio.make(SMALL, PLAN)
        await asyncio.sleep(0)


def test_processes_end_with_the_one_that_started_them() -> None:
    code = """
        import asyncio, os, signal, sys
        from pathlib import Path
        from edgeproxy.images.plan import Bounds, Plan
        from edgeproxy.images.studio import Studio
        from edgeproxy.observe.metrics import Metrics
        from tests.support import pictures

        async def main():
            studio = Studio(1, 4, Bounds(), Metrics())
            await studio.start()
            await studio.make(pictures.encode(pictures.photo(40, 30)), Plan(width=20))
            print(Path("/proc/self/task", str(os.getpid()), "children").read_text(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (pid,) = done.stdout.split()
    until_gone = time.monotonic() + 5
    while Path("/proc", pid).exists() and "Z" not in Path("/proc", pid, "stat").read_text():
        assert time.monotonic() < until_gone
