"""``text/1``: a text as 4096 numbers, from the runs of 1 to 4 characters in it and from its words.

Each run and each word is counted in the bin its hash falls into: runs in the first 3072 bins, words in the last 1024.
Each count's square root is taken, so that what is said often does not outshout the rest, and each part is made
1 long, so that a short text and a long one can be compared.
"""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

NAME: Final = "text/1"
RUN_BINS: Final = 3072
WORD_BINS: Final = 1024
BINS: Final = RUN_BINS + WORD_BINS
LONGEST_RUN: Final = 4  # characters
MOST: Final = 4096  # characters that are looked at, from the start

_NOT_LETTERS: Final = re.compile(r"[\W\d_]+")
_STEP: Final = np.uint32(0x01000193)  # FNV's prime
_MIX: Final = np.uint32(0x9E3779B1)  # 2**32 over the golden ratio: spreads what lies close together
_HALF: Final = np.uint32(16)


def vector(text: str) -> npt.NDArray[np.float32]:
    """float32[4096]; zeros where there is no letter."""
    plain = _NOT_LETTERS.sub(" ", text[:MOST].lower())
    words = plain.split()
    if not words:
        return np.zeros(BINS, np.float32)
    points = np.frombuffer(f" {' '.join(words)} ".encode("utf-32-le"), np.uint32)
    runs = np.bincount(_hashes(points) % np.uint32(RUN_BINS), minlength=RUN_BINS)
    hashed = np.array([crc32(word.encode()) for word in words], np.uint32)
    said = np.bincount(hashed % np.uint32(WORD_BINS), minlength=WORD_BINS)
    # A vector of square roots of counts is as long as the square root of their sum.
    return np.concatenate((np.sqrt(runs / runs.sum()), np.sqrt(said / len(words)))).astype(np.float32)


def _hashes(points: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Of all runs of 1 to LONGEST_RUN characters: the hash of a run is made from that of the run without its last."""
    found = []
    run = np.zeros(len(points) + 1, np.uint32)
    for length in range(1, LONGEST_RUN + 1):
        run = (run[: len(points) - length + 1] ^ points[length - 1 :]) * _STEP
        mixed = (run ^ (run >> _HALF)) * _MIX
        found.append(mixed ^ (mixed >> _HALF))
    return np.concatenate(found)
