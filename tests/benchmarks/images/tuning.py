"""The quality at which a picture is as like its original as somebody else's is."""

from __future__ import annotations

from collections.abc import Callable

LIKE = 0.002
"""How near two likenesses are to count as equal (SSIM)."""
_LEAST, _MOST = 1, 100


def quality_for(likeness: float, probe: Callable[[int], float], start: int = 80) -> int:
    """The quality whose likeness, by ``probe``, is nearest to the wanted one; it rises with quality, on the whole.

    Halving from ``start`` outwards, so a good guess costs few probes: at most eight.
    """
    seen: dict[int, float] = {}
    low, high, quality = _LEAST, _MOST, start
    while low <= high:
        seen[quality] = probe(quality)
        if abs(seen[quality] - likeness) <= LIKE / 4:
            break
        if seen[quality] < likeness:
            low = quality + 1
        else:
            high = quality - 1
        quality = (low + high) // 2
    return min(seen, key=lambda tried: abs(seen[tried] - likeness))
