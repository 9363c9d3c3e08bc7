"""Lists fetched from a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from pytest_aiohttp.plugin import AiohttpServer

from edgeproxy.feeds import fetch as fetching
from edgeproxy.feeds.fetch import Fetched, UnavailableError, fetch
from edgeproxy.feeds.parse import FeedError
from edgeproxy.feeds.store import NOTHING, Kept, digest_of
from tests.support.publisher import Publisher


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Asked:
    """A publisher, and asking it."""

    def __init__(self, publisher: Publisher, url: str, session: aiohttp.ClientSession) -> None:
        self.publisher = publisher
        self._url = url
        self._session = session

    async def fetch(self, kept: Kept = NOTHING) -> Fetched | None:
        return await fetch(self._url, lambda: self._session, kept)


@pytest.fixture
async def asked(session: aiohttp.ClientSession, aiohttp_server: AiohttpServer) -> Asked:
    publisher = Publisher()
    server = await aiohttp_server(publisher.app())
    return Asked(publisher, str(server.make_url("/list")), session)


async def test_a_list_comes_with_its_validators(asked: Asked) -> None:
    content = asked.publisher.content
    assert await asked.fetch() == Fetched(content, f'"{digest_of(content)}"', "Mon, 01 Jan 2024 00:00:00 GMT")


async def test_what_has_not_changed_is_not_sent_again(asked: Asked) -> None:
    fetched = await asked.fetch()
    assert fetched is not None
    assert await asked.fetch(Kept("digest", fetched.etag, fetched.modified)) is None
    assert asked.publisher.answered == [200, 304]


async def test_unchanged_is_no_answer_where_there_is_nothing(asked: Asked) -> None:
    asked.publisher.status = 304
    with pytest.raises(UnavailableError, match="answered 304"):
        await asked.fetch()


@pytest.mark.parametrize("status", [204, 301, 403, 404, 500, 503])
async def test_other_answers_are_errors_and_no_redirect_is_followed(asked: Asked, status: int) -> None:
    asked.publisher.status = status
    with pytest.raises(UnavailableError, match=f"answered {status}"):
        await asked.fetch()
    assert asked.publisher.answered == [status]


async def test_an_endless_list_is_cut_off(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "LARGEST", 1_000_000)
    asked.publisher.content = b"#" * 1_000_001
    with pytest.raises(FeedError, match="more than"):
        await asked.fetch()
