"""Basic authentication (RFC 7617): remembered where it passed, else verified on threads, a bounded number at once."""

from __future__ import annotations

import asyncio
import re
from binascii import Error, a2b_base64
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from edgeproxy.http.headers import disown
from edgeproxy.http.message import Response
from edgeproxy.identity.passwords import LONGEST, Hash, verify
from edgeproxy.identity.refusals import Failures, Limiter, Refusals
from edgeproxy.identity.remembered import Remembered
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.later import Later

WAITING: Final = 8  # that wait for each that is verified
REMEMBERED: Final = 16_384

_FIELD: Final = b"authorization"
_NAME_LONGEST: Final = 128  # bytes
_LONGEST: Final = (LONGEST + 1 + _NAME_LONGEST) * 4 // 3 + 16  # bytes of the field's value
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")

Verdict = Response | None


class BasicCheck:
    """Lets in who gives a known name and its password.

    ``places``: verifications at once; ``remember``: seconds for which what passed is not verified again; ``failures``
    and ``user_failures`` count what did not, by network and by name; ``now`` gives monotonic seconds. ``field``: where
    the origin is told the name, b"" for nowhere; ``hide`` takes the credentials out; ``optional`` lets requests without
    any pass, as nobody.
    """

    def __init__(
        self,
        places: int,
        remember: float,
        field: bytes,
        refusals: Refusals,
        failures: Failures,
        user_failures: Limiter,
        now: Callable[[], float],
        *,
        hide: bool,
        optional: bool,
    ) -> None:
        self._users: dict[bytes, Hash] = {}
        self._stand_ins: list[Hash] = []
        self._most = places * (1 + WAITING)
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(places, thread_name_prefix="password")
        self._under_way: dict[bytes, asyncio.Task[bool]] = {}
        self._remember = remember
        self._remembered: Remembered[bytes] = Remembered(REMEMBERED)
        self._generation = 0
        self._field = field
        self._owned = frozenset((field,))
        self._refusals = refusals
        self._failures = failures
        self._user_failures = user_failures
        self._now = now
        self._hide = hide
        self._optional = optional

    def use(self, users: dict[bytes, Hash]) -> None:
        """Let in these from now on; what was remembered of others is forgotten."""
        self._users = users
        self._stand_ins = [users[name] for name in sorted(users)]
        self._remembered.forget()
        self._generation += 1

    def stop(self) -> None:
        """Begin no more verifications; those under way come to their end."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    def check(self, x: Exchange) -> Response | Awaitable[Verdict] | None:
        """Let the exchange pass as its user, or refuse it; at once where that is known."""
        headers = x.request.headers
        if self._field:
            disown(headers, self._owned)
        value = headers.get(_FIELD)
        if value is None or value[:6].lower() != b"basic ":  # RFC 9110 §11.1: schemes are case-insensitive
            return None if self._optional else self._refusals.refuse(401, "A name and a password are needed.")
        digest = self._remembered.digest(value)
        user = self._remembered.get(digest, x.started)
        if user is not None:
            self._admit(x, user)
            return None
        credentials = parse(value)
        if credentials is None:
            return self._refusals.refuse(401, "These are no Basic credentials.")
        name, password = credentials
        wait = max(self._failures.wait(x), self._user_failures.wait(name, x.started))
        if wait:
            return self._refusals.later(429, "Too many wrong passwords.", wait)
        task = self._under_way.get(digest)  # a browser's first requests come together, with the same credentials
        if task is None:
            pool = self._pool
            if pool is None or len(self._under_way) >= self._most:
                return self._refusals.later(503, "Too many passwords are being verified.", 1.0)
            task = asyncio.get_running_loop().create_task(self._verify(pool, x, digest, name, password))
            self._under_way[digest] = task
        return Later(partial(self._verdict, x, task, name))

    async def _verdict(self, x: Exchange, task: asyncio.Task[bool], name: bytes) -> Verdict:
        if await asyncio.shield(task):  # who leaves does not take the verdict from the others
            self._admit(x, name)
            return None
        return self._refusals.refuse(401, "The name or the password is wrong.")

    async def _verify(self, pool: ThreadPoolExecutor, x: Exchange, digest: bytes, name: bytes, password: bytes) -> bool:
        """Whether they are right. What is wrong is counted here, where nobody gets away from it by leaving early."""
        try:
            generation = self._generation
            stored = self._users.get(name)
            right = await self._compare(pool, stored or self._stand_in(name), password)
            if stored is None or not right:
                self._failures.count(x)
                self._user_failures.take(name, x.started)
                return False
            if generation == self._generation:
                self._remembered.put(digest, name, self._now() + self._remember)
            return True
        finally:
            del self._under_way[digest]

    async def _compare(self, pool: ThreadPoolExecutor, stored: Hash | None, password: bytes) -> bool:
        if stored is None:
            return False
        return await asyncio.get_running_loop().run_in_executor(pool, verify, stored, password)

    def _stand_in(self, name: bytes) -> Hash | None:
        """Whose hash is verified where there is no such user: always the same one's for a name, so that it takes as
        long as some user's does, and times tell no names. None if there are no users at all."""
        if not self._stand_ins:
            return None
        return self._stand_ins[int.from_bytes(self._remembered.digest(name)[:4], "big") % len(self._stand_ins)]

    def _admit(self, x: Exchange, user: bytes) -> None:
        headers = x.request.headers
        x.identity = user.decode()
        if self._hide:
            headers.pop(_FIELD, None)
        if self._field:
            headers[self._field] = user

    def __repr__(self) -> str:
        return f"<BasicCheck {len(self._users)} users, {len(self._under_way)} under way, {self._remembered!r}>"


def parse(value: bytes) -> tuple[bytes, bytes] | None:
    """Name and password of an Authorization field that begins with ``Basic``; None if they are none."""
    if len(value) > _LONGEST:
        return None
    try:
        credentials = a2b_base64(value[6:].strip(b" "), strict_mode=True)
    except (Error, ValueError):
        return None
    name, colon, password = credentials.partition(b":")
    if not colon or not name or len(name) > _NAME_LONGEST or len(password) > LONGEST:
        return None
    if _CONTROL.search(credentials) is not None:  # RFC 7617 §2
        return None
    return name, password
