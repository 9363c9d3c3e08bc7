"""Versions of one script, as a build makes them: alike but for a few lines."""

from __future__ import annotations

import base64
import hashlib
import random

import zstandard

LINES = 400


def script(version: int) -> bytes:
    """Some 30 kB that set ``window.version``. What repeats in it repeats between versions, not within one."""
    words = random.Random(1)
    lines = [f"function f{line}(x) {{ return x + {words.randbytes(24).hex()!r}; }}" for line in range(LINES)]
    lines[version % LINES] += f" // changed in {version}"
    return "\n".join([*lines, f"window.version = {version};", ""]).encode()


def available(dictionary: bytes) -> bytes:
    """Available-Dictionary for what a client has."""
    return b":" + base64.b64encode(hashlib.sha256(dictionary).digest()) + b":"


def undo_dcz(packed: bytes, dictionary: bytes) -> bytes:
    """What a client makes of it, by Zstandard's own library and the layout in RFC 9842 §5."""
    assert packed[:8] == bytes.fromhex("5e2a4d1820000000")
    assert packed[8:40] == hashlib.sha256(dictionary).digest()
    assert zstandard.get_frame_parameters(packed[40:]).window_size <= 8 << 20
    raw = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    reader = zstandard.ZstdDecompressor(dict_data=raw).decompressobj()
    plain = reader.decompress(packed[40:])
    assert reader.eof
    return plain
