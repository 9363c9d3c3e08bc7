"""What a member is wanted for."""

from __future__ import annotations


class Choice:
    """What a model had to do with the choice of a member.

    ``key``: the member's. ``row``: what is known of it, by balance.rows. ``predicted``: the log of the seconds that the
    model says it takes, None if it said nothing. ``by``: who chose, a word of learned.
    """

    __slots__ = ("by", "key", "predicted", "row")

    def __init__(self, key: bytes, row: list[float], predicted: float | None, by: str) -> None:
        self.key = key
        self.row = row
        self.predicted = predicted
        self.by = by

    def __repr__(self) -> str:
        return f"<Choice of {self.key!r} by {self.by}>"


class Ask:
    """``kind``: what such requests usually take, 0 to 7 (see kinds). ``key``: what requests for the same member have in
    common, b"" for nothing. ``now``: monotonic seconds. ``regions``: those to ask, in order; () for all alike.
    ``wanted``: the key of the member to take if it is fit, b"" for any. ``choice``: the latest one, where a model is
    asked."""

    __slots__ = ("choice", "key", "kind", "now", "regions", "wanted")

    def __init__(
        self, now: float, kind: int = 0, key: bytes = b"", regions: tuple[str, ...] = (), wanted: bytes = b""
    ) -> None:
        self.now = now
        self.kind = kind
        self.key = key
        self.regions = regions
        self.wanted = wanted
        self.choice: Choice | None = None

    def __repr__(self) -> str:
        return f"<Ask kind {self.kind}, key {self.key!r}>"
