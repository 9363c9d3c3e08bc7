"""The Huffman code of HPACK and QPACK strings (RFC 7541 §5.2 and Appendix B)."""

from __future__ import annotations

from typing import Final

# How many bits each byte's code has, and the end of string's, by rows of 16. Codes are canonical: those of one length
# follow one another in the order of what they stand for, the shortest come first. (A text: the compiler to C takes
# minutes over a tuple as long.)
_EOS: Final = 256
_TEXT: Final = """
    13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28
    28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
     6 10 10 12 13  6  8 11 10 10  8 11  8  6  6  6
     5  5  5  6  6  6  6  6  6  6  7  8 15  6 12 10
    13  6  7  7  7  7  7  7  7  7  7  7  7  7  7  7
     7  7  7  7  7  7  7  7  8  7  8 13 19 13 14  6
    15  5  6  5  6  5  6  6  6  5  7  7  6  6  6  5
     6  7  6  5  5  6  7  7  7  7  7 15 11 14 13 28
    20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23
    24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
    22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23
    21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
    26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25
    19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
    20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23
    26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
    30
"""
_LENGTHS: Final = bytes([int(length) for length in _TEXT.split()])
_START: Final = 0  # between two codes
_DEAD: Final = 256  # behind a code that no string may hold
_PADDING_MOST: Final = 7  # bits


def _codes() -> list[int]:
    """The code of each byte, the end of string's last."""
    codes = [0] * len(_LENGTHS)
    code = length = 0
    for symbol in sorted(range(len(_LENGTHS)), key=_LENGTHS.__getitem__):  # sorting is stable
        code <<= _LENGTHS[symbol] - length
        length = _LENGTHS[symbol]
        codes[symbol] = code
        code += 1
    return codes


def _tree(codes: list[int]) -> list[list[int]]:
    """Where a 0 and a 1 lead from each place: to another place, or below zero, at the end of ``-1 - n``'s code."""
    places = [[_DEAD, _DEAD]]
    for symbol, code in enumerate(codes):
        place = _START
        for shift in range(_LENGTHS[symbol] - 1, 0, -1):
            bit = code >> shift & 1
            if places[place][bit] == _DEAD:
                places[place][bit] = len(places)
                places.append([_DEAD, _DEAD])
            place = places[place][bit]
        places[place][code & 1] = _DEAD if symbol == _EOS else -1 - symbol  # RFC 7541 §5.2: EOS is an error
    places.append([_DEAD, _DEAD])
    return places


_CODES: Final[list[int]] = _codes()
_TREE: Final[list[list[int]]] = _tree(_CODES)
_BITS: Final[list[str]] = [f"{code:0{_LENGTHS[symbol]}b}" for symbol, code in enumerate(_CODES)]

# What each byte does from a place: where it leads and what it completes. Made when a place is first come to: text needs
# 2.5 MB of them, all there are would be 6.5 MB.
_rows: Final[list[list[tuple[int, bytes]] | None]] = [None] * len(_TREE)


def _row(start: int) -> list[tuple[int, bytes]]:
    row: list[tuple[int, bytes]] = []
    for byte in range(256):
        place, done = start, b""
        for shift in range(7, -1, -1):
            place = _TREE[place][byte >> shift & 1]
            if place < 0:
                done += bytes((-1 - place,))
                place = _START
        row.append((place, done))
    _rows[start] = row
    return row


def _ends() -> frozenset[int]:
    """The places where a string may end: up to seven ones of padding behind a code (RFC 7541 §5.2)."""
    place, ends = _START, [_START]
    for _ in range(_PADDING_MOST):
        place = _TREE[place][1]
        ends.append(place)
    return frozenset(ends)


_ENDS: Final[frozenset[int]] = _ends()


def decode(coded: bytes) -> bytes | None:
    """The string, at most 8/5 of ``coded`` in length; None if it is not one."""
    place = _START
    pieces: list[bytes] = []
    for byte in coded:
        row = _rows[place]
        if row is None:
            row = _row(place)
        place, piece = row[byte]
        pieces.append(piece)
    return b"".join(pieces) if place in _ENDS else None


def encode(text: bytes) -> bytes:
    """The coded form, padded with ones."""
    bits = "".join([_BITS[byte] for byte in text])
    size = -(-len(bits) // 8)
    return int(bits.ljust(size * 8, "1"), 2).to_bytes(size, "big") if size else b""
