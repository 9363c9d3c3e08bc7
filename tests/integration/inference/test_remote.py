"""Models are fetched from a real server, checked before they are unpacked, and kept while it is away."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from edgeproxy.config.models import ModelsConfig, RemoteModelConfig
from edgeproxy.inference import remote as remotes
from edgeproxy.inference.registry import Registry
from edgeproxy.inference.remote import Remotes
from tests.support.models import SCORE, write
from tests.support.stages import services
from tests.support.waiting import eventually


class Source:
    """A server of one archive, and who fetches from it."""

    def __init__(self, session: aiohttp.ClientSession, folder: Path) -> None:
        self.status = 200
        self.content = archived(folder / "source", "score")
        self.asked = 0
        self.hold: asyncio.Event | None = None
        self.url = ""
        self.cache = folder / "cache"
        self._session = session

    async def handle(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        return web.Response(status=self.status, body=self.content, headers={"location": "/elsewhere"})

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {"url": self.url, "sha256": hashlib.sha256(self.content).hexdigest()} | changes

    def remotes(self, **changes: Any) -> Remotes:
        config = RemoteModelConfig.model_validate(self.settings(**changes))
        return Remotes({"score": config}, str(self.cache), services(http=lambda: self._session))

    def registry(self, folder: Path, **settings: Any) -> Registry:
        given = {"folder": str(folder), "remote": {"score": self.settings()}, **settings}
        return Registry(ModelsConfig.model_validate(given), services(http=lambda: self._session))


def archived(folder: Path, name: str, **changes: Any) -> bytes:
    write(folder, name, {"1": SCORE}, **changes)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder / name, name)
    return packed.getvalue()


@pytest.fixture
async def source(aiohttp_server: AiohttpServer, tmp_path: Path) -> AsyncIterator[Source]:
    async with aiohttp.ClientSession() as session:
        source = Source(session, tmp_path)
        app = web.Application()
        app.router.add_get("/score.tgz", source.handle)
        source.url = str((await aiohttp_server(app)).make_url("/score.tgz")) + "?token=hunter2"
        yield source


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(remotes, "AGAIN", 0.01)
    monkeypatch.setattr(remotes, "TURN", 0.01)
    caplog.set_level(logging.INFO, "edgeproxy")


def left(folder: Path) -> set[str]:
    return {path.relative_to(folder).parts[0] for path in folder.rglob("*")}


async def test_a_model_is_fetched_once_and_kept(source: Source) -> None:
    fetched = source.remotes()
    assert fetched.places() == {}
    await fetched.start()
    place = fetched.places()["score"]
    assert (place.folder / "1/model.onnx").read_bytes() == SCORE.content
    await fetched.stop()
    again = source.remotes()
    assert again.places() == {"score": place}  # before anything is asked
    await again.start()
    await again.stop()
    assert source.asked == 1
    assert left(source.cache / "score") == {".lock", place.root.name}


async def test_it_serves(source: Source, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    registry = source.registry(tmp_path / "models", cache_folder=str(source.cache))
    await registry.start()
    version = registry.get("score")
    assert version is not None
    assert version.number == "1"
    await registry.stop()


async def test_without_a_folder_it_is_kept_until_the_end(source: Source, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    registry = source.registry(tmp_path / "models")
    await registry.start()
    assert registry.get("score") is not None
    root = registry._remotes.places()["score"].root
    await registry.stop()
    assert not root.exists()


async def refusal(source: Source, caplog: pytest.LogCaptureFixture, **changes: Any) -> str:
    fetched = source.remotes(**changes)
    await fetched.start()
    await fetched.stop()
    assert fetched.places() == {}
    assert left(source.cache / "score") == {".lock"}
    (said,) = [record.getMessage() for record in caplog.records if "cannot be fetched" in record.getMessage()]
    assert "hunter2" not in caplog.text
    caplog.clear()
    return said


async def test_what_is_not_as_it_should_be_is_not_taken(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    whole = source.content
    source.content = whole + b"x"
    said = await refusal(source, caplog, sha256=hashlib.sha256(whole).hexdigest())
    assert "what its source sent has the SHA-256" in said
    source.content = whole + bytes(1_000)
    assert "its source sent more than 1000 bytes" in await refusal(source, caplog, size=1_000)
    source.content = b"\x1f\x8b" + whole[5:]
    assert "not a tar.gz, or a damaged one" in await refusal(source, caplog)
    for status in (301, 404, 500):
        source.status = status
        assert f"its source answered {status}; there is none yet" in await refusal(source, caplog)
    source.url = "http://127.0.0.1:1/score.tgz?token=hunter2"
    assert "cannot be fetched: Client" in await refusal(source, caplog)


async def test_nothing_is_unpacked_before_it_is_checked(
    source: Source, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(*_: object) -> None:
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(remotes, "unpack", unpack)
    assert "has the SHA-256" in await refusal(source, caplog, sha256="ab" * 32)


async def test_a_source_that_comes_back_is_asked_again(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    source.status = 503
    fetched = source.remotes()
    await fetched.start()
    await eventually(lambda: source.asked > 3)
    assert caplog.text.count("cannot be fetched") == 1
    source.status = 200
    await eventually(lambda: bool(fetched.places()))
    await fetched.stop()


async def test_what_was_fetched_before_serves_until_there_is_what_is_wanted(source: Source, tmp_path: Path) -> None:
    first = source.remotes()
    await first.start()
    await first.stop()
    before = first.places()["score"]
    source.status = 503
    source.content = archived(tmp_path / "source", "score", about="A newer one.")
    second = source.remotes()
    await second.start()
    assert second.places() == {"score": before}
    source.status = 200
    await eventually(lambda: second.places()["score"] != before)
    assert "A newer one." in (second.places()["score"].folder / "manifest.yaml").read_text()
    await eventually(lambda: not before.root.exists())
    await second.stop()


async def test_workers_that_share_a_folder_fetch_once(source: Source) -> None:
    source.hold = asyncio.Event()
    workers = [source.remotes() for _ in range(3)]
    starting = [asyncio.create_task(worker.start()) for worker in workers]
    await eventually(lambda: source.asked == 1)
    source.hold.set()
    await asyncio.gather(*starting)
    await eventually(lambda: all(worker.places() for worker in workers))
    assert source.asked == 1
    for worker in workers:
        await worker.stop()


async def test_a_start_does_not_wait_for_ever(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotes, "PATIENCE", 0.05)
    source.hold = asyncio.Event()
    fetched = source.remotes()
    await fetched.start()
    assert fetched.places() == {}
    source.hold.set()
    await eventually(lambda: bool(fetched.places()))
    await fetched.stop()


async def test_who_stops_leaves_nothing_half_done(source: Source) -> None:
    source.hold = asyncio.Event()
    fetched = source.remotes()
    starting = asyncio.create_task(fetched.start())
    await eventually(lambda: source.asked == 1)
    await fetched.stop()
    await starting
    assert left(source.cache / "score") == {".lock"}


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"models\.cache_folder: .*file is no folder that may be written"):
        Remotes({}, str(tmp_path / "file/below"), services())
