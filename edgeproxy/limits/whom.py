"""Whom a limit is about."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

from edgeproxy.http.addresses import AddressSet
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo


class Whom:
    """Everyone, or only the ``treated`` (whom a check above wants limited), and only while the alarm is ``alarm`` or
    higher (0 normal, 1 elevated, 2 attack); but for the ``exempt``: networks, ``identity:NAME`` and ``agent:NAME``."""

    __slots__ = ("_agents", "_alarm", "_identities", "_known", "_networks", "_treated", "all")

    def __init__(self, *, treated: bool, alarm: int, exempt: Iterable[IPv4Network | IPv6Network | str]) -> None:
        words = [one.partition(":") for one in exempt if isinstance(one, str)]
        self._treated = treated
        self._alarm = alarm
        self._identities = frozenset(name for kind, _, name in words if kind == "identity")
        self._agents = frozenset(name for kind, _, name in words if kind == "agent")
        self._networks = AddressSet(one for one in exempt if not isinstance(one, str))
        self._known: Memo[str, bool] = Memo(self._networks.__contains__, 16_384)
        self.all = not (treated or alarm or words or self._networks)

    def concerns(self, x: Exchange) -> bool:
        if self.all:
            return True
        if x.alarm < self._alarm or (self._treated and x.treatment != "limit"):
            return False
        if x.identity in self._identities or x.agent in self._agents:
            return False
        return not (self._networks and self._known[x.client])
