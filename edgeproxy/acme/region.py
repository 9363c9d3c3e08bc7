"""Files that nodes share through Redis: accounts, certificates, challenges. Each node has all of them in its folder.

Redis may forget them at any time: whoever still has one gives it again. One node at a time holds the lease, and renews.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edgeproxy.acme.files import CHALLENGES, LARGEST, Files, Stamp, compare, digest_of, is_path
from edgeproxy.redis.link import Settings, UnavailableError, connect, disconnect

LEASE = 600.0  # seconds a node that is gone is waited for
WITHIN = 5.0  # seconds for one call
MOST = 200_000  # files
AT_ONCE = 50  # files of one call
HEARD = 15.0  # seconds after which a node that was not heard is not waited for
FORGOTTEN = 86_400.0  # seconds after which it is forgotten

_PLAIN, _SEALED = b"\x00", b"\x01"
_NONCE = 12
_OVERHEAD = 1 + _NONCE + 16  # bytes: what a sealed file has beside its content
_REMOVED = "-"  # in place of a digest

T = TypeVar("T")

# A file's stamp is written with it, unless a newer one is there. Versions grow with the time, so that none comes again
# when Redis has forgotten the last.
_GIVE: Final = """
local there = redis.call('HGET', KEYS[2], ARGV[1])
if there and tonumber(string.match(there, '^%d+') or '0') > tonumber(ARGV[2]) then return 0 end
if ARGV[4] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[4]) end
if ARGV[3] == '' then redis.call('HDEL', KEYS[2], ARGV[1])
else redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ':' .. ARGV[3]) end
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[3]) or '0') or 0
local now = time[1] * 1000000 + time[2]
return redis.call('SET', KEYS[3], string.format('%.0f', math.max(last + 1, now)))
"""
_HOLD: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
# Times are Redis's own: nodes' clocks may differ.
_HERE: Final = "return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ':' .. redis.call('TIME')[1])"
_LET_GO: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Seal:
    """Encrypts files with a secret (AES-256-GCM), or leaves them as they are. A file opens under its own path and time
    alone, and with a secret none opens that was not encrypted with it."""

    def __init__(self, secret: bytes | None) -> None:
        derived = HKDF(SHA256(), 32, None, b"edgeproxy acme storage")
        self._cipher = None if secret is None else AESGCM(derived.derive(secret))

    def close(self, path: str, at: int, content: bytes) -> bytes:
        if self._cipher is None:
            return _PLAIN + content
        nonce = os.urandom(_NONCE)
        return _SEALED + nonce + self._cipher.encrypt(nonce, content, _about(path, at))

    def open(self, path: str, at: int, stored: bytes) -> bytes | None:
        """None for what is not ours to read."""
        if self._cipher is None:
            return stored[1:] if stored[:1] == _PLAIN else None
        if stored[:1] != _SEALED:
            return None
        nonce, sealed = stored[1 : 1 + _NONCE], stored[1 + _NONCE :]
        try:
            return self._cipher.decrypt(nonce, sealed, _about(path, at))
        except (InvalidTag, ValueError):
            return None


class Region:
    """One process's part in it; ``node`` is whose folder it keeps, "" for a process that only does something there.
    Every method raises UnavailableError if Redis does not answer, and OSError of the folder. Used from one loop."""

    def __init__(self, settings: Settings, secret: bytes | None, files: Files, node: str = "") -> None:
        self._client = connect(settings, within=WITHIN)
        base = f"{settings.prefix}{{acme}}:"
        self._contents, self._stamps, self._version, self._lease, self._nodes = (
            base + name for name in ("files", "stamps", "version", "lease", "nodes")
        )
        self._seal = Seal(secret)
        self._files = files
        self._node = node
        self._holder = os.urandom(16).hex()
        self._seen = -1  # the version that this folder is as new as
        self.unread = 0  # files that could not be opened: another secret, or somebody else's

    async def same(self) -> bool:
        """Make this folder and Redis the same, if anything has changed there since the last time; whether it had."""
        seen, self._seen = self._seen, -1  # what fails is done anew, as a whole
        version = await self._newest()
        changed = not version or version != seen
        if changed:
            await self._exchange()
        self._seen = version
        if self._node:
            await self._call(lambda redis: redis.eval(_HERE, 1, self._nodes, self._node, self._seen))
        return changed

    async def give(self, path: str, content: bytes, at: int) -> None:
        """Have other nodes take a file as of ``at`` (nanoseconds since 1970); b"" for one that was removed."""
        over = not content and path.startswith(CHALLENGES)  # of those nothing stays
        stored = b"" if over else self._seal.close(path, at, content)
        digest = "" if over else digest_of(content) if content else _REMOVED
        keys = (self._contents, self._stamps, self._version)
        await self._call(lambda redis: redis.eval(_GIVE, 3, *keys, path, str(at), digest, stored))

    async def taken(self) -> bool:
        """Whether all nodes that are there have what is in Redis now."""
        version = await self._newest()
        told = await self._call(lambda redis: redis.hgetall(self._nodes))
        now, _ = await self._call(lambda redis: redis.time())
        waits = False
        for node, said in told.items():
            seen, at = _numbers(said)
            silent = now - at
            if silent >= FORGOTTEN:
                await self._call(partial(_forget, self._nodes, node))
            elif silent < HEARD and seen < version:
                waits = True
        return not waits

    async def hold(self) -> bool:
        """Whether this node is the one that renews, from now on for LEASE seconds."""
        arguments = (self._holder, int(LEASE * 1000))
        return bool(await self._call(lambda redis: redis.eval(_HOLD, 1, self._lease, *arguments)))

    async def let_go(self) -> None:
        await self._call(lambda redis: redis.eval(_LET_GO, 1, self._lease, self._holder))

    async def close(self) -> None:
        await disconnect(self._client)

    async def _newest(self) -> int:
        return _numbers(await self._call(lambda redis: redis.get(self._version)) or b"")[0]

    async def _exchange(self) -> None:
        there = await self._listed()
        work = compare(await asyncio.to_thread(self._files.stamps), there)
        wanted = work.fetch + [path for path in work.drop if path in there]
        self.unread = 0
        for first in range(0, len(wanted), AT_ONCE):
            some = wanted[first : first + AT_ONCE]
            contents = await self._call(partial(_many, self._contents, some))
            for path, stored in zip(some, contents, strict=True):
                self._take(path, stored, there[path])
        for path in work.drop:
            if path not in there:
                self._files.drop(path)
        for path in work.give:
            content = self._files.read(path)
            if content is not None:
                await self.give(path, content, (self._files.folder / path).stat().st_mtime_ns)

    def _take(self, path: str, stored: bytes | None, stamp: Stamp) -> None:
        """Write what is there, or remove what was removed there, if it is ours."""
        small = stored is not None and len(stored) <= LARGEST + _OVERHEAD
        content = self._seal.open(path, stamp.at, stored) if stored is not None and small else None
        if content is None or stamp.digest != (digest_of(content) if content else ""):
            self.unread += 1
        elif content:
            self._files.copy(path, content, stamp.at)
        else:
            self._files.drop(path)

    async def _listed(self) -> dict[str, Stamp]:
        if await self._call(lambda redis: redis.hlen(self._stamps)) > MOST:
            raise UnavailableError(f"more than {MOST} files are shared")
        found = {}
        for key, said in (await self._call(lambda redis: redis.hgetall(self._stamps))).items():
            path, digest = key.decode("ascii", "replace"), said.rpartition(b":")[2].decode("ascii", "replace")
            if is_path(path):
                found[path] = Stamp(_numbers(said)[0], "" if digest == _REMOVED else digest)
        return found

    async def _call(self, work: Callable[[Any], Awaitable[T]]) -> T:
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(WITHIN):
                return await work(self._client)
        except (RedisError, OSError, TimeoutError) as error:
            raise UnavailableError(str(error) or f"no answer within {WITHIN:g}s") from None

    def __repr__(self) -> str:
        return f"<Region {self._node} at {self._seen}>"


def _about(path: str, at: int) -> bytes:
    return f"{at}:{path}".encode()


def _numbers(said: bytes) -> tuple[int, int]:
    """The one before a colon and the one behind it; 0 for what is none."""
    parts = said.partition(b":")
    first, second = (int(part) if part.isdigit() and len(part) < 20 else 0 for part in parts[::2])
    return first, second


async def _many(key: str, fields: list[str], redis: Any) -> list[bytes | None]:
    found: list[bytes | None] = await redis.hmget(key, fields)
    return found


async def _forget(key: str, field: bytes, redis: Any) -> None:
    await redis.hdel(key, field)
