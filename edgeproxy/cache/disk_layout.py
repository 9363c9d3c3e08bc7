"""How L2 lays answers out in LMDB: keys, what stands before a head, and what everything costs in bytes. Pure.

resources   place                  → the fields its answers vary by, joined with commas
heads       place + variant        → number in the order, hit mark, record
order       number, big-endian     → place + variant: the oldest first
tags        tag (several values)   → place + variant
pieces      digest + number        → up to PIECE bytes of the chunk with that digest
references  digest                 → how many heads have that chunk
about       name                   → books, format, purges under way

A chunk's digest is two sums: 24 bytes of BLAKE3, which nobody can find a second chunk for, so that equal digests are
equal chunks; and its XXH3, at a seventh of the cost, which shows on every read whether the bytes are still those.
"""

from __future__ import annotations

import struct
from typing import Final

from blake3 import blake3
from xxhash import xxh3_64_digest

from edgeproxy.cache.vary import Selector, selector
from edgeproxy.pipeline.memo import Memo

FORMAT: Final = b"2"  # of this layout; an environment of another one is begun anew

# LMDB puts a large value into a run of pages of its own, and finds no run in a file full of small holes, however much
# of it is free. So a chunk is cut into pieces of one page each, less the 16 bytes that LMDB writes there: any free page
# will do.
PAGE: Final = 4096
PAGE_HEAD: Final = 16
PIECE: Final = PAGE - PAGE_HEAD
CHUNK: Final = 16 * PIECE
IN_LEAF: Final = 1_950  # bytes of a value that stands in the tree itself

# LMDB's keys are at most 511 bytes long, and so are the values of `tags`.
LONGEST: Final = 368
VARIANT: Final = 16

PREFIX: Final = struct.Struct("<QB")  # number in the order, 1 if it was asked for since it stood there
PREFIXED: Final = PREFIX.size  # bytes
COUNT: Final = struct.Struct("<I")
NUMBER: Final = struct.Struct(">Q")
BOOKS: Final = struct.Struct("<QQ")  # bytes and heads

_FULL: Final = 1.6  # pages of a tree that grows at random are two thirds full
_ROW: Final = 64  # bytes: what LMDB and the smaller tables add to a row
_ONLY: Final = bytes(VARIANT)
_NUMBERS: Final = tuple([bytes((number,)) for number in range(256)])
_NAME: Final = 24  # bytes of BLAKE3 in a digest


def place(key: bytes) -> bytes:
    """Where a resource stands: its key, the tail of a long one as its BLAKE3. It begins with what the key begins with,
    and no two keys have one place."""
    if len(key) <= LONGEST:
        return key + b"\0"
    return b"%b\1%b" % (key[:LONGEST], blake3(key).digest())


def variant_of(variant: bytes) -> bytes:
    """What tells a variant from the others behind its resource's place."""
    return blake3(variant).digest(VARIANT) if variant else _ONLY


def tag_of(tag: bytes) -> bytes:
    """A tag as a key."""
    return tag if len(tag) <= LONGEST else b"%b\1%b" % (tag[:LONGEST], blake3(tag).digest())


def pieces_of(size: int) -> int:
    """The number of pieces a chunk of ``size`` bytes is cut into."""
    return -(-size // PIECE)


def digest_of(chunk: bytes | memoryview) -> bytes:
    """What a chunk is known by."""
    return blake3(chunk).digest(_NAME) + xxh3_64_digest(chunk)


def is_sound(chunk: bytes, digest: bytes) -> bool:
    """Whether a chunk that was read is the one that was stored under this digest."""
    return xxh3_64_digest(chunk) == digest[_NAME:]


def piece_key(digest: bytes, number: int) -> bytes:
    """Where a chunk's piece stands, from 0 on."""
    return digest + _NUMBERS[number]


def chunk_cost(size: int) -> int:
    """Bytes of the file that a chunk takes, its row of references included."""
    whole, rest = divmod(size, PIECE)
    if rest > IN_LEAF:
        whole, rest = whole + 1, 0
    return whole * (PAGE + int(_ROW * _FULL)) + int((rest + 2 * _ROW) * _FULL)


def head_cost(head: bytes, value: int, tags: tuple[bytes, ...]) -> int:
    """Bytes of the file that a head of ``value`` bytes takes, its rows in the other tables included."""
    rows = value + 4 * len(head) + 3 * _ROW + sum([len(tag) + len(head) + _ROW for tag in tags])
    return int(rows * _FULL)


def body_cost(length: int, chunk: int) -> int:
    """Bytes of the file that a body takes."""
    whole, rest = divmod(length, chunk) if chunk else (0, 0)
    return whole * chunk_cost(chunk) + (chunk_cost(rest) if rest else 0)


def _selector(names: bytes) -> Selector:
    return selector(tuple(names.split(b",")) if names else ())


# Functions from a request's fields to the variant they select, by what `resources` says.
SELECTORS: Final[Memo[bytes, Selector]] = Memo(_selector, 1024)
