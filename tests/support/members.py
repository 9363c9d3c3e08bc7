"""Members of no pool, for balancers to choose among."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgeproxy.balance.pace import Pace


@dataclass(eq=False)
class Member:
    """One that a balancer chooses."""

    name: str
    weight: int = 1
    in_flight: int = 0
    share: float = 1.0
    pace: Pace = field(default_factory=Pace)

    @property
    def key(self) -> bytes:
        return self.name.encode()
