"""Request bodies unpacked within limits: the same bytes out, bombs found within a piece of the limit."""

from __future__ import annotations

import asyncio
import gzip
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable, Sequence

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.compression.unpack import DECODERS, FED, MEMBERS, PIECE, Bounds, Unpacked, Unpacker
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body, Pipe

BOUNDS = Bounds(size=10_000_000, ratio=200, free=1_000_000, window=8 * 1024 * 1024)
WIDE = Bounds(size=1 << 40, ratio=1 << 40, free=0, window=1 << 27)
TEXT = b"".join(b"%d bottles of beer on the wall\n" % n for n in range(20_000))
NOISE = random.Random(1).randbytes(300_000)

PACK: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": lambda data: bytes(brotli.compress(data, quality=5)),
    b"zstd": zstandard.compress,
}
CODINGS = list(PACK)
each_coding = pytest.mark.parametrize("coding", CODINGS)


class Whole(Pipe):
    """A body that is here already."""

    def __init__(self, data: bytes, trailers: dict[bytes, bytes] | None = None) -> None:
        super().__init__()
        self.feed(data)
        self.finish(trailers)


class Slow(Body):
    """A body that comes piece by piece, and counts how much of it was asked for."""

    def __init__(self, data: bytes, size: int = FED) -> None:
        self._data, self._size = data, size
        self.asked = 0
        self.closed = False

    async def read(self) -> bytes:
        self.asked += 1
        piece, self._data = self._data[: self._size], self._data[self._size :]
        return piece

    def close(self) -> None:
        self.closed = True


def unpacked(source: Body, codings: Sequence[bytes], bounds: Bounds = BOUNDS) -> Unpacked:
    return Unpacked(source, Unpacker(codings, bounds), lambda: None)


async def read(body: Body) -> bytes:
    pieces = []
    while piece := await body.read():
        pieces.append(piece)
    assert await body.read() == b""
    return b"".join(pieces)


def refusal(data: bytes, codings: Sequence[bytes], bounds: Bounds = BOUNDS) -> Kind:
    with pytest.raises(EdgeError) as caught:
        asyncio.run(read(unpacked(Slow(data), codings, bounds)))
    assert caught.value.source == "client"
    return caught.value.kind


def bomb(coding: bytes, size: int) -> bytes:
    """Zeros, packed as tightly as the coding can without holding them."""
    if coding in (b"gzip", b"deflate"):
        compressor = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == b"gzip" else 15)
        return b"".join(compressor.compress(bytes(1 << 20)) for _ in range(size >> 20)) + compressor.flush()
    if coding == b"br":
        packer = brotli.Compressor(quality=9)
        return b"".join(packer.process(bytes(1 << 20)) for _ in range(size >> 20)) + packer.finish()
    frame = zstandard.ZstdCompressor(level=19).compressobj()
    return b"".join(frame.compress(bytes(1 << 20)) for _ in range(size >> 20)) + frame.flush()


@each_coding
@pytest.mark.parametrize("size", [1, 1000, FED, 1 << 20])
@pytest.mark.parametrize("data", [b"a", TEXT, NOISE], ids=["short", "text", "noise"])
async def test_what_was_packed_comes_out(coding: bytes, data: bytes, size: int) -> None:
    if size == 1:
        data = data[:2000]
    assert await read(unpacked(Slow(PACK[coding](data), size), [coding])) == data


@each_coding
async def test_two_codings_are_undone_the_last_one_first(coding: bytes) -> None:
    for outer in CODINGS:
        data = TEXT[:100_000]
        assert await read(unpacked(Slow(PACK[outer](PACK[coding](data))), [coding, outer])) == data


@each_coding
def test_a_short_body_that_is_here_is_unpacked_at_once(coding: bytes) -> None:
    body = unpacked(Whole(PACK[coding](TEXT[:50_000])), [coding])
    assert body.length is None
    assert body.take() == TEXT[:50_000]


@each_coding
async def test_a_long_body_that_is_here_is_unpacked_as_it_is_read(coding: bytes) -> None:
    body = unpacked(Whole(PACK[coding](TEXT + NOISE)), [coding])
    assert body.take() is None
    assert await read(body) == TEXT + NOISE


async def test_a_body_that_is_still_coming_is_not_taken() -> None:
    pipe = Pipe()
    pipe.feed(gzip.compress(TEXT))
    body = unpacked(pipe, [b"gzip"])
    assert body.take() is None
    pipe.finish({b"x-sum": b"1"})
    assert await read(body) == TEXT
    assert body.trailers == {b"x-sum": b"1"}


def test_trailers_come_with_a_body_that_is_taken() -> None:
    body = unpacked(Whole(gzip.compress(b"a"), {b"x-sum": b"1", b"content-digest": b"of the packed"}), [b"gzip"])
    assert body.take() == b"a"
    assert body.trailers == {b"x-sum": b"1"}


@each_coding
async def test_what_was_flushed_comes_out_before_more_is_asked_for(coding: bytes) -> None:
    source = Slow(PACK[coding](TEXT))
    body = unpacked(source, [coding])
    assert len(await body.read()) >= 1000
    assert source.asked <= 2


@each_coding
async def test_memory_stays_bounded_whatever_comes_out(coding: bytes) -> None:
    source = Slow(bomb(coding, 64 << 20))
    body = unpacked(source, [coding], WIDE)
    total = 0
    tracemalloc.start()
    try:
        while piece := await body.read():
            assert len(piece) <= 2 * PIECE
            total += len(piece)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert total == 64 << 20


@each_coding
async def test_a_bomb_is_refused_within_a_piece_of_the_limit(coding: bytes) -> None:
    bounds = BOUNDS._replace(ratio=1 << 40)
    body = unpacked(Slow(bomb(coding, 50 << 20)), [coding], bounds)
    total = 0

    async def count() -> None:
        nonlocal total
        while piece := await body.read():
            total += len(piece)

    with pytest.raises(EdgeError) as caught:
        await count()
    assert caught.value.kind is Kind.BODY_TOO_LARGE
    assert bounds.size - 2 * PIECE <= total <= bounds.size


@each_coding
def test_a_bomb_that_is_here_is_refused_before_the_origin_is_asked(coding: bytes) -> None:
    body = unpacked(Whole(bomb(coding, 50 << 20)[:30_000]), [coding], BOUNDS._replace(size=200_000))
    with pytest.raises(EdgeError) as caught:
        body.take()
    assert caught.value.kind is Kind.BODY_TOO_LARGE


def test_forty_bytes_of_brotli_that_stand_for_fifty_million_are_refused() -> None:
    tiny = "cfffff7ff82700e2b14020f7fe9ffffffff04f00c4610180eefd7ffec1ebe39f0088c322001d747d"
    assert refusal(bytes.fromhex(tiny), [b"br"]) is Kind.BODY_TOO_LARGE


@each_coding
def test_too_large_an_expansion_is_refused_beyond_what_is_free(coding: bytes) -> None:
    packed = bomb(coding, 4 << 20)
    assert refusal(packed, [coding], BOUNDS._replace(ratio=100)) is Kind.BODY_TOO_LARGE
    asyncio.run(read(unpacked(Slow(packed), [coding], BOUNDS._replace(ratio=100, free=5_000_000))))


def test_what_is_between_two_codings_counts_too() -> None:
    idle = gzip.compress(bytes(30 << 20))  # unpacks to much, of which brotli then makes nothing
    assert refusal(idle, [b"br", b"gzip"], BOUNDS._replace(ratio=1 << 40)) is Kind.BAD_REQUEST  # zeros are no brotli
    empty = (0x184D2A50).to_bytes(4, "little") + (30 << 20).to_bytes(4, "little") + bytes(30 << 20)
    wide = BOUNDS._replace(ratio=1 << 40)
    assert refusal(gzip.compress(empty), [b"zstd", b"gzip"], wide) is Kind.BODY_TOO_LARGE
    nested = PACK[b"gzip"](bomb(b"gzip", 20 << 20))
    assert refusal(nested, [b"gzip", b"gzip"]) is Kind.BODY_TOO_LARGE


@each_coding
@pytest.mark.parametrize("cut", [0, 1, 5, 100, -1])
def test_a_body_that_breaks_off_is_refused(coding: bytes, cut: int) -> None:
    packed = PACK[coding](TEXT)
    assert refusal(packed[:cut], [coding]) is Kind.BAD_REQUEST
    with pytest.raises(EdgeError):
        unpacked(Whole(PACK[coding](TEXT[:100])[:-1]), [coding]).take()


@each_coding
def test_what_stands_behind_a_body_is_refused(coding: bytes) -> None:
    assert refusal(PACK[coding](TEXT) + b"behind it", [coding]) is Kind.BAD_REQUEST


@each_coding
def test_damage_is_refused(coding: bytes) -> None:
    packed = bytearray(PACK[coding](NOISE))
    packed[:20] = bytes(20)
    assert refusal(bytes(packed), [coding]) is Kind.BAD_REQUEST
    assert refusal(b"no such coding at all, and long enough", [coding]) is Kind.BAD_REQUEST


def test_damaged_sums_are_refused() -> None:
    for coding, at in ((b"gzip", -5), (b"deflate", -1)):
        packed = bytearray(PACK[coding](TEXT))
        packed[at] ^= 1
        assert refusal(bytes(packed), [coding]) is Kind.BAD_REQUEST


def test_members_of_gzip_follow_each_other_but_not_without_end() -> None:
    many = b"".join(gzip.compress(b"%d\n" % n) for n in range(MEMBERS - 1))
    out = asyncio.run(read(unpacked(Slow(many), [b"gzip"])))
    assert out == b"".join(b"%d\n" % n for n in range(MEMBERS - 1))
    assert refusal(gzip.compress(b"") * (MEMBERS + 1), [b"gzip"]) is Kind.BAD_REQUEST
    assert refusal(zlib.compress(b"a") * 2, [b"deflate"]) is Kind.BAD_REQUEST


async def test_others_have_their_turn_while_a_body_unpacks() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await read(unpacked(Slow(bomb(b"gzip", 8 << 20), 1 << 20), [b"gzip"], WIDE))
    task.cancel()
    assert turns > 100


@each_coding
def test_no_step_holds_the_loop_up(coding: bytes) -> None:
    unpacker = Unpacker([coding, b"gzip"], WIDE)
    data = gzip.compress(bomb(coding, 32 << 20))
    slowest = 0.0
    while data:
        began = time.thread_time()
        if unpacker.step() == b"":
            unpacker.feed(data[:FED])
            data = data[FED:]
        slowest = max(slowest, time.thread_time() - began)
    assert slowest < 0.05


async def test_who_refuses_is_told_once_and_a_client_that_left_is_no_refusal() -> None:
    told: list[int] = []
    with pytest.raises(EdgeError):
        await read(Unpacked(Slow(b"not it at all"), Unpacker([b"gzip"], BOUNDS), lambda: told.append(1)))
    assert told == [1]
    pipe = Pipe()
    pipe.fail(EdgeError(Kind.CLIENT_GONE, "client"))
    with pytest.raises(EdgeError) as caught:
        await read(Unpacked(pipe, Unpacker([b"gzip"], BOUNDS), lambda: told.append(2)))
    assert caught.value.kind is Kind.CLIENT_GONE
    assert told == [1]


async def test_who_closes_it_closes_what_is_below_and_nothing_passes_for_its_end() -> None:
    source = Slow(gzip.compress(TEXT))
    body = unpacked(source, [b"gzip"])
    assert body.arriving is source
    assert await body.read()
    body.close()
    assert source.closed
    with pytest.raises(EdgeError) as caught:
        await body.read()
    assert caught.value.kind is Kind.CLIENT_GONE


@given(
    st.binary(max_size=300),
    st.sampled_from(CODINGS),
    st.sampled_from(CODINGS),
    st.integers(0, 80),
    st.binary(min_size=1, max_size=3),
)
def test_no_input_raises_anything_but_an_edge_error(
    noise: bytes, inner: bytes, outer: bytes, at: int, put: bytes
) -> None:
    damaged = bytearray(PACK[outer](PACK[inner](TEXT[:1000])))
    damaged[at : at + len(put)] = put
    for data, codings in ((noise, [outer]), (bytes(damaged), [inner, outer])):
        unpacker = Unpacker(codings, BOUNDS)
        try:
            unpacker.feed(data)
            while unpacker.step() != b"":
                pass
            unpacker.end()
        except EdgeError:
            continue


def test_there_is_a_decoder_for_each_coding_that_can_be_named() -> None:
    assert set(DECODERS) == {b"gzip", b"deflate", b"br", b"zstd"}
