"""What ends an order without a certificate."""

from __future__ import annotations

LONGEST = 400  # characters of a reason, which an authority may have written


class AcmeError(Exception):
    """The text says why, in one line. ``retry_after``: seconds the authority wants to be left alone, 0.0 if it did not
    say. ``whole``: it is no name's fault, so that the next name would fail alike. ``code``: the authority's word for it
    (RFC 8555 §6.7), "" where there is none."""

    def __init__(self, reason: str, retry_after: float = 0.0, *, whole: bool = False, code: str = "") -> None:
        super().__init__(one_line(reason))
        self.code = code
        self.retry_after = retry_after
        self.whole = whole


def one_line(text: str) -> str:
    """Printable, and no longer than a line of the log should be."""
    flat = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return flat if len(flat) <= LONGEST else flat[: LONGEST - 1] + "…"
