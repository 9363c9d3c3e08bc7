"""Asking for things as they are on the wire: nothing decoded unless a test does it."""

from __future__ import annotations

import gzip
from typing import NamedTuple

import aiohttp
import brotli
import zstandard
from multidict import CIMultiDictProxy
from yarl import URL

from edgeproxy.http import headers

CODINGS = ("identity", "gzip", "br", "zstd")


class Fetched(NamedTuple):
    """An answer whole: its status, its fields, its bytes as sent."""

    status: int
    fields: CIMultiDictProxy[str]
    body: bytes

    @property
    def content(self) -> bytes:
        """The body with its content coding taken off."""
        return decoded(self.body, self.fields.get("content-encoding", "identity"))

    @property
    def hit(self) -> bool:
        """Whether the nearest cache says it answered from its store (RFC 9211 §2.1)."""
        members = headers.members(self.fields.get("cache-status", "").encode())
        return bool(members) and b"hit" in {part.strip() for part in members[-1].split(b";")[1:]}


def wire_session() -> aiohttp.ClientSession:
    """A client that adds and decodes nothing of its own."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        skip_auto_headers=["accept-encoding"],
        timeout=aiohttp.ClientTimeout(total=30),
        headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
    )


async def fetch(session: aiohttp.ClientSession, url: str, **fields: str) -> Fetched:
    """GET ``url``, sent as it is written; ``accept_encoding="br"`` and the like are fields of the request."""
    sent = {name.replace("_", "-"): value for name, value in fields.items()}
    async with session.get(URL(url, encoded=True), headers=sent, allow_redirects=False) as answer:
        return Fetched(answer.status, answer.headers, await answer.read())


def decoded(body: bytes, coding: str) -> bytes:
    """Raises KeyError for a coding that is none of CODINGS."""
    return {
        "identity": bytes,
        "gzip": gzip.decompress,
        "br": brotli.decompress,
        "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    }[coding](body)
