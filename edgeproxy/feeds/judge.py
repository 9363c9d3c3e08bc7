"""What the feeds say of a client, and what is to be done with it: what every request passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeproxy.http.addresses import AddressSet, to_int
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

# What can be done, from the mildest to the strongest; "refuse" is an answer, what is before it a treatment.
ACTIONS = ("tag", "limit", "challenge", "refuse")
TREATMENTS = ("", "limit", "challenge")


class Listed:
    """A feed as the judge sees it: its name, the addresses in it, and which action (of ACTIONS) it calls for."""

    __slots__ = ("action", "addresses", "name")

    def __init__(self, name: str, action: int) -> None:
        self.name = name
        self.action = action
        self.addresses = AddressSet()


class Standing:
    """The feeds an address is in, and the strongest action they call for."""

    __slots__ = ("action", "feeds")

    def __init__(self, feeds: tuple[str, ...], action: int) -> None:
        self.feeds = feeds
        self.action = action


CLEAR = Standing((), 0)


class Judge:
    """``spared``: networks no feed counts for. ``matched`` is told the names of the feeds a request is in; ``refuse``
    gives the answer to it. ``treats``: whether a treatment is left on the exchange."""

    def __init__(
        self,
        feeds: Sequence[Listed],
        spared: AddressSet,
        matched: Callable[[tuple[str, ...]], None],
        refuse: Callable[[], Response],
        *,
        treats: bool,
    ) -> None:
        self._feeds: list[Listed] = list(feeds)
        self._spared = spared
        self._matched: Callable[[tuple[str, ...]], None] = matched
        self._refuse: Callable[[], Response] = refuse
        self._treats = treats
        self._standing: Memo[str, Standing] = Memo(self._look_up, 16_384, longest=64)

    def check(self, x: Exchange) -> Response | None:
        """Mark the exchange with the feeds its client is in, and do what they call for."""
        standing = self._standing[x.client]
        if standing is CLEAR:
            return None
        x.feeds = standing.feeds
        self._matched(standing.feeds)
        action = standing.action
        if action == 3:
            return self._refuse()
        if self._treats and action > TREATMENTS.index(x.treatment):
            x.treatment = TREATMENTS[action]
        return None

    def forget(self) -> None:
        """A feed has changed."""
        self._standing.forget()

    def _look_up(self, client: str) -> Standing:
        number = to_int(client)
        if number is None or self._spared.holds(number):
            return CLEAR
        found = [feed for feed in self._feeds if feed.addresses.holds(number)]
        if not found:
            return CLEAR
        return Standing(tuple([feed.name for feed in found]), max([feed.action for feed in found]))
