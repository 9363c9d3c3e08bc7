"""Which arm of each split an exchange is in, and what that changes for it: its pool, its fields, its part of the cache.

An arm is drawn from a hash of the exchange's key with the names of the split and of the arm, so every node draws the
same. Each arm but the first draws for itself, in their order, and the first has what is left: one whose share grows
keeps all it had.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from xxhash import xxh3_64_intdigest

from edgeproxy.config.snapshot import Route
from edgeproxy.errors import Kind
from edgeproxy.http.addresses import AddressSet
from edgeproxy.http.cookies import cookie
from edgeproxy.http.message import Response
from edgeproxy.http.negotiate import vary_on
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.routing.pools import Pools

Fields = tuple[tuple[bytes, bytes], ...]

NUMBERS: Final = 1_000_000  # that visitors draw; few enough that many share each
ROUTES: Final = 1_024  # whose arms are remembered
_WHOLE: Final = 1 << 64
_GONE: Final = Kind.CLIENT_GONE.value


class When(NamedTuple):
    """Who is in an arm without a draw: all that is given must hold. A field's value is True for any, False for none."""

    fields: tuple[tuple[bytes, bytes | bool], ...]
    cookies: tuple[tuple[bytes, bytes], ...]
    clients: AddressSet | None

    def holds(self, x: Exchange) -> bool:
        headers = x.request.headers
        for name, wanted in self.fields:
            value = headers.get(name)
            if (value is not None) is not wanted and (value is None or value.strip() != wanted):
                return False
        for name, value in self.cookies:
            if cookie(headers.get(b"cookie", b""), name) != value:
                return False
        return self.clients is None or x.client in self.clients


class Arm(NamedTuple):
    """One arm as it is configured. ``share`` of all, 0 to 1; ``pool`` "" for the route's; fields of the request and of
    the answer."""

    name: str
    share: float
    when: When | None
    pool: str
    request: Fields
    response: Fields


class Tally:
    """What became of an arm's exchanges: live numbers of the metrics."""

    __slots__ = ("_bounds", "_errors", "_fine", "_seconds")

    def __init__(self, fine: list[float], errors: list[float], seconds: list[float], bounds: tuple[float, ...]) -> None:
        self._fine = fine
        self._errors = errors
        self._seconds = seconds
        self._bounds = bounds

    def count(self, taken: float, *, failed: bool) -> None:
        """One more, which took so many seconds."""
        if failed:
            self._errors[0] += 1
        else:
            self._fine[0] += 1
        self._seconds[bisect_left(self._bounds, taken)] += 1
        self._seconds[-1] += taken


class Split:
    """One split. ``key``: what is drawn by, None where each visitor draws a number and keeps it in ``cookie``, which is
    set with ``attributes``."""

    __slots__ = ("arms", "attributes", "cookie", "draws", "key", "name", "whens")

    def __init__(
        self,
        name: str,
        arms: Sequence[Arm],
        key: Callable[[Exchange], bytes] | None,
        cookie: bytes = b"",
        attributes: bytes = b"",
    ) -> None:
        self.name = name
        self.arms = tuple(arms)
        self.key = key
        self.cookie = cookie
        self.attributes = attributes
        self.whens: tuple[tuple[int, When], ...] = tuple(
            [(place, arm.when) for place, arm in enumerate(arms) if arm.when is not None]
        )
        draws: list[tuple[int, int, int]] = []
        left = 1.0
        for place, arm in enumerate(arms):
            if place and arm.share:
                seed = xxh3_64_intdigest(b"%b\0%b" % (name.encode(), arm.name.encode()))
                draws.append((place, seed, min(_WHOLE, round(arm.share / left * _WHOLE)) if left > 0 else 0))
                left -= arm.share
        self.draws: tuple[tuple[int, int, int], ...] = tuple(draws)

    def matched(self, x: Exchange) -> int:
        """The place of the first arm that says the exchange is in it, -1 if none does."""
        for place, when in self.whens:
            if when.holds(x):
                return place
        return -1

    def drawn(self, key: bytes) -> int:
        """The place of the arm for a key; that of the first for none."""
        if key.strip(b"\0"):  # what joins the parts of a key is no key
            for place, seed, below in self.draws:
                if xxh3_64_intdigest(key, seed) < below:
                    return place
        return 0

    def number(self, x: Exchange) -> bytes:
        """The number that a visitor keeps, b"" for none that could have been drawn."""
        told = cookie(x.request.headers.get(b"cookie", b""), self.cookie)
        return told if told is not None and told.isdigit() and len(told) < 7 else b""

    def __repr__(self) -> str:
        return f"<Split {self.name}: {', '.join([arm.name for arm in self.arms])}>"


class Arms:
    """One arm of each split, and what that makes together.

    ``whose`` decided so. ``mark`` names them in the cache's key, ``names`` in the log. ``cookies``: Set-Cookie lines
    for who has drawn just now.
    """

    __slots__ = ("cookies", "mark", "names", "number", "pool", "request", "response", "tallies", "whose")

    def __init__(self, whose: object, number: int, arms: Sequence[tuple[str, Arm]], tallies: Sequence[Tally]) -> None:
        self.whose = whose
        self.number = number
        self.names: tuple[str, ...] = tuple([f"{split}={arm.name}" for split, arm in arms])
        self.mark = ",".join(self.names).encode()
        self.pool = "".join([arm.pool for _, arm in arms])  # one split alone may name pools
        self.request: Fields = tuple([field for _, arm in arms for field in arm.request])
        self.response: Fields = tuple([field for _, arm in arms for field in arm.response])
        self.tallies: tuple[Tally, ...] = tuple(tallies)
        self.cookies: tuple[bytes, ...] = ()

    def with_cookies(self, cookies: Sequence[bytes]) -> Arms:
        """The same for who has drawn just now."""
        own = Arms(self.whose, self.number, (), self.tallies)
        own.names, own.mark, own.pool = self.names, self.mark, self.pool
        own.request, own.response, own.cookies = self.request, self.response, tuple(cookies)
        return own

    def __repr__(self) -> str:
        return f"<Arms {', '.join(self.names)}>"


class Splits:
    """The splits of one stage. ``tallies`` gives the numbers of an arm by the split's name and its own; ``vary`` are
    the request fields that are gone by; ``enforced``: what is decided is done, not only counted."""

    def __init__(
        self,
        splits: Sequence[Split],
        tallies: Callable[[str, str], Tally],
        vary: Sequence[bytes] = (),
        *,
        enforced: bool = True,
    ) -> None:
        self._splits = tuple(splits)
        self._enforced = enforced
        combined: list[list[tuple[str, Arm]]] = [[]]
        for split in splits:
            combined = [[*some, (split.name, arm)] for some in combined for arm in split.arms]
        counts = {(split.name, arm.name): tallies(split.name, arm.name) for split in splits for arm in split.arms}
        self._all = [
            Arms(self, number, arms, [counts[split, arm.name] for split, arm in arms])
            for number, arms in enumerate(combined)
        ]
        # What an arm tells the origin is what no client may say.
        self._owned: frozenset[bytes] = frozenset([name for arms in self._all for name, _ in arms.request])
        self._vary = tuple(vary)
        self._routes: dict[Route, list[Route]] = {}

    def place(self, x: Exchange) -> Arms:
        """The arms an exchange is in. One that no client makes is in the first ones."""
        if x.aside:
            return self._all[0]
        number = 0
        cookies: list[bytes] = []
        for split in self._splits:
            arm = split.matched(x)
            if arm < 0:
                key = split.number(x) if split.key is None else split.key(x)
                if split.key is None and not key:
                    key = b"%d" % random.randrange(NUMBERS)
                    secure = b"; Secure" if x.request.scheme == b"https" else b""
                    cookies.append(b"%b=%b%b%b" % (split.cookie, key, split.attributes, secure))
                arm = split.drawn(key)
            number = number * len(split.arms) + arm
        arms = self._all[number]
        return arms.with_cookies(cookies) if cookies else arms

    def request(self, x: Exchange) -> None:
        """Have the exchange go its arms' way. What is asked for on behalf of another exchange goes that one's."""
        arms = x.arms
        if arms is None or arms.whose is not self:
            arms = x.arms = self.place(x)
            x.tags += arms.names
        if not self._enforced:
            return
        headers = x.request.headers
        for name in self._owned:
            headers.pop(name, None)
        for name, value in arms.request:
            headers[name] = value
        routes = self._routes.get(x.route)
        if routes is None:
            routes = self._remember(x.route)
        x.route = routes[arms.number]

    def response(self, x: Exchange, response: Response) -> None:
        """Tell the client what its arms say, and caches on the way what they went by."""
        arms = x.arms
        if arms is None or arms.whose is not self:
            return
        for name, value in arms.response:
            response.set(name, value)
        for name in self._vary:
            vary_on(response, name)
        if arms.cookies:
            for line in arms.cookies:
                response.add(b"set-cookie", line)
            response.add(b"cache-control", b"private")  # or a shared cache would have many visitors share one number

    def log(self, x: Exchange) -> None:
        """Count by arm."""
        arms = x.arms
        if arms is None or arms.whose is not self:
            return
        if x.ended:  # else nothing was answered
            failed = x.status >= 500 or x.error not in ("", _GONE)
            for tally in arms.tallies:
                tally.count(x.ended - x.started, failed=failed)

    def _remember(self, base: Route) -> list[Route]:
        """The routes that stand for one in each of the arms: with a pool and a part of the cache of their own."""
        if len(self._routes) >= ROUTES:
            self._routes.clear()
        routes = []
        for arms in self._all:
            origin = base.origin
            if arms.pool and isinstance(origin, Pools):
                origin = origin.instead(arms.pool)
            routes.append(Route(base.name, base.chain, origin, b"%b@%b" % (base.partition, arms.mark)))
        self._routes[base] = routes
        return routes

    def __repr__(self) -> str:
        return f"<Splits {self._splits!r}>"
