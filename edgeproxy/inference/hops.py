"""Endpoints further in, asked by the Open Inference Protocol v2 over HTTP; one that fails is left alone for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from edgeproxy.breaker import Breaker
from edgeproxy.inference.manifest import Manifest
from edgeproxy.oip import request, response
from edgeproxy.oip.envelope import Fields
from edgeproxy.tensors import TensorError, Tensors, check

if TYPE_CHECKING:
    import aiohttp

    from edgeproxy.clock import Clock
    from edgeproxy.config.models import HopConfig

# In a question that comes from another node: it is answered there or not at all, so that none goes round in circles.
FIELD: Final = b"edgeproxy-inference-hop"
LARGEST: Final = 64_000_000  # bytes of an answer
_CHUNK: Final = 65_536
_LONGEST_PAUSE: Final = 8  # times the configured one


class HopError(Exception):
    """No answer from there: ``open`` or ``busy`` (it was not asked), ``late``, ``away``, ``refused`` or ``wrong``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Hop:
    """``by`` is what its answers are called; ``session`` gives the session for outbound calls."""

    def __init__(self, by: str, config: HopConfig, session: Callable[[], aiohttp.ClientSession], clock: Clock) -> None:
        self.by = by
        self._config = config
        self._session = session
        self._breaker = Breaker(
            clock.monotonic, config.failures, config.pause, _LONGEST_PAUSE * config.pause, state="closed"
        )
        self._asking = 0

    @property
    def open(self) -> bool:
        """Whether it is left alone."""
        return not self._breaker.closed

    async def ask(self, manifest: Manifest, number: str, tensors: Tensors, within: float) -> tuple[str, Tensors]:
        """The version that answered, and its outputs, within so many seconds. Raises HopError."""
        version = f"/versions/{number}" if number else ""
        url = f"{self._config.url}/v2/models/{quote(manifest.name, safe='')}{version}/infer"
        try:
            fields, body = request.encode(tensors)
        except TensorError:
            raise HopError("wrong") from None
        with self._place():
            status, told, content = await self._call(url, fields, body, min(within, self._config.timeout))
            if 400 <= status < 500 and status not in {408, 429}:
                raise HopError("refused")  # it is well, and does not answer this
            if status != 200:
                raise self._failed("away")
            try:
                answered, outputs = response.decode(told, content)
                check([each.spec for each in manifest.outputs], outputs, "output")
            except TensorError:
                raise self._failed("wrong") from None
            self._breaker.succeeded()
            return answered, outputs

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places there are, if it may be asked now."""
        if self._asking >= self._config.concurrency:
            raise HopError("busy")
        if not self._breaker.closed and not self._breaker.trial():
            raise HopError("open")
        self._asking += 1
        try:
            yield
        except HopError as error:
            if error.reason == "refused":
                self._breaker.succeeded()
            raise
        except BaseException:  # whoever asked is gone, which says nothing of the endpoint; a trial must not stay open
            if self._breaker.state == "half-open":
                self._breaker.failed()
            raise
        finally:
            self._asking -= 1

    async def _call(
        self, url: str, fields: Fields, body: bytes, within: float
    ) -> tuple[int, Mapping[bytes, bytes], bytes]:
        import aiohttp

        headers = {name.decode(): value.decode() for name, value in fields.items()} | {FIELD.decode(): "1"}
        if self._config.token is not None:
            headers["authorization"] = f"Bearer {self._config.token.get_secret_value()}"
        try:
            async with (
                asyncio.timeout(within),
                self._session().post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                content = bytearray()
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    content += chunk
                    if len(content) > LARGEST:
                        raise self._failed("wrong")
                told = {name.lower(): value for name, value in answer.raw_headers}
                return answer.status, told, bytes(content)
        except TimeoutError:
            raise self._failed("late") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise self._failed("away") from None

    def _failed(self, reason: str) -> HopError:
        self._breaker.failed()
        return HopError(reason)

    def __repr__(self) -> str:
        return f"<Hop {self.by} {self._breaker.state}, {self._asking} asking>"
