"""Endpoints further in, asked by the Open Inference Protocol v2 over HTTP.

One that fails is left alone for a while; one that says it has no time for a model is not asked for that model for as
long as it said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from edgeproxy.breaker import Breaker
from edgeproxy.http.dates import parse_date
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
_BUSY: Final = frozenset({429, 503})  # it is well, and has no time for this model: no reason to spare it all others
_BROKEN: Final = frozenset({"late", "away", "wrong"})

_Key = tuple[str, str]  # model and version, "" for the one in service


class HopError(Exception):
    """No answer from there: ``full`` (it has as many questions as it may), ``open`` (left alone), ``busy`` (no time for
    this model, now or a moment ago), ``late``, ``away``, ``refused`` or ``wrong``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Hop:
    """``by`` is what its answers are called; ``session`` gives the session for outbound calls."""

    def __init__(self, by: str, config: HopConfig, session: Callable[[], aiohttp.ClientSession], clock: Clock) -> None:
        self.by = by
        self._config = config
        self._session = session
        self._clock = clock
        self._longest = _LONGEST_PAUSE * config.pause
        self._breaker = Breaker(clock.monotonic, config.failures, config.pause, self._longest, state="closed")
        self._asking = 0
        self._resting: dict[_Key, float] = {}  # until when; no more than there are models and versions

    @property
    def open(self) -> bool:
        """Whether it is left alone."""
        return not self._breaker.closed

    async def ask(self, manifest: Manifest, number: str, tensors: Tensors, within: float) -> tuple[str, Tensors]:
        """The version that answered, and its outputs, within so many seconds. Raises HopError."""
        key = manifest.name, number
        version = f"/versions/{number}" if number else ""
        url = f"{self._config.url}/v2/models/{quote(manifest.name, safe='')}{version}/infer"
        try:
            with self._place(key):
                fields, body = request.encode(tensors)
                status, told, content = await self._call(url, fields, body, min(within, self._config.timeout))
                if status in _BUSY:
                    self._rest(key, told.get(b"retry-after"))
                    raise HopError("busy")
                if status != 200:
                    raise HopError("refused" if 400 <= status < 500 and status != 408 else "away")
                return _read(manifest, told, content)
        except TensorError:
            raise HopError("wrong") from None

    @contextmanager
    def _place(self, key: _Key) -> Iterator[None]:
        """One of the places there are, if it may be asked that now. What becomes of it is noted."""
        if self._asking >= self._config.concurrency:
            raise HopError("full")
        if self._resting.get(key, 0.0) > self._clock.monotonic():
            raise HopError("busy")
        if not self._breaker.closed and not self._breaker.trial():
            raise HopError("open")
        self._asking += 1
        try:
            yield
        except HopError as error:
            if error.reason in _BROKEN:
                self._breaker.failed()
            else:  # it is well, and does not answer this
                self._breaker.succeeded()
            raise
        except BaseException:  # whoever asked is gone, which says nothing of the endpoint; a trial must not stay open
            if self._breaker.state == "half-open":
                self._breaker.failed()
            raise
        else:
            self._breaker.succeeded()
        finally:
            self._asking -= 1

    def _rest(self, key: _Key, retry_after: bytes | None) -> None:
        """Ask it for that model, or that version of it, no earlier than it said."""
        now = self._clock.monotonic()
        seconds = min(_seconds(retry_after, self._clock.wall(), self._config.pause), self._longest)
        self._resting = {each: until for each, until in self._resting.items() if until > now}
        self._resting[key] = now + seconds

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
                        raise HopError("wrong")
                told = {name.lower(): value for name, value in answer.raw_headers}
                return answer.status, told, bytes(content)
        except TimeoutError:
            raise HopError("late") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise HopError("away") from None

    def __repr__(self) -> str:
        return f"<Hop {self.by} {self._breaker.state}, {self._asking} asking>"


def _read(manifest: Manifest, fields: Mapping[bytes, bytes], body: bytes) -> tuple[str, Tensors]:
    """Version and outputs of what has to be the model's answer. Raises HopError."""
    try:
        answered, outputs = response.decode(fields, body)
        check([each.spec for each in manifest.outputs], outputs, "output")
    except TensorError:
        raise HopError("wrong") from None
    return answered, outputs


def _seconds(retry_after: bytes | None, now: float, otherwise: float) -> float:
    """How long a Retry-After (RFC 9110 §10.2.3) asks to wait; ``otherwise`` where it says nothing."""
    if retry_after is None:
        return otherwise
    if retry_after.isdigit():
        return float(retry_after)
    date = parse_date(retry_after, now)
    return otherwise if date is None else date - now
