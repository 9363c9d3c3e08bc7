"""Better copies of variants, made of the kept original."""

from __future__ import annotations

from edgeproxy.images.plan import ImageError, Picture, Plan
from edgeproxy.pipeline.improvement import Better
from tests.unit.images.test_variants import JPEG, Bench, hurried


async def improved(bench: Bench, again: Picture | ImageError) -> Better | None:
    """What comes of a variant made in a hurry when it is made again."""
    x, response = await hurried(bench)
    assert x.improvement is not None
    assert isinstance(response.body, bytes)
    bench.made = again
    found = await x.improvement.prepare(response.body, response.headers())
    assert not callable(found)
    return found


def slowly(body: bytes) -> Picture:
    return Picture(body, b"image/avif", 320, 240)


async def test_a_smaller_copy_is_made_in_the_background_of_the_kept_original() -> None:
    bench = Bench()
    assert await improved(bench, slowly(b"well made")) == Better(b"well made", {b"content-type": b"image/avif"})
    assert bench.plans == [Plan(width=320, format="avif", hurry=True), Plan(width=320, format="avif")]
    assert (bench.background, len(bench.edge.asked), bench.outcomes["improved"]) == (1, 1, 1)


async def test_a_copy_that_is_no_smaller_is_none() -> None:
    bench = Bench()
    assert await improved(bench, slowly(b"quickly made")) is None
    assert bench.outcomes["as-good"] == 1


async def test_what_cannot_be_made_stays_as_it_is() -> None:
    assert await improved(Bench(), ImageError("time")) is None


async def test_nothing_is_made_of_a_picture_that_has_changed() -> None:
    bench = Bench()
    x, response = await hurried(bench)
    bench.clock.advance(61)
    bench.edge.answers(200, JPEG, content_type=b"image/jpeg", etag=b'"v2"')
    assert x.improvement is not None
    assert await x.improvement.prepare(b"quickly made", response.headers()) is None
    assert len(bench.plans) == 1


async def test_nor_of_one_that_is_gone_or_no_source_any_more() -> None:
    bench = Bench()
    x, response = await hurried(bench)
    assert x.improvement is not None
    bench.clock.advance(61)
    for answer in ((404, b"", b"image/jpeg"), (200, JPEG, b"text/html"), (200, b"x" * 200_000, b"image/jpeg")):
        bench.edge.answers(answer[0], answer[1], content_type=answer[2])
        assert await x.improvement.prepare(b"quickly made", response.headers()) is None
    bench.there = False
    assert await x.improvement.prepare(b"quickly made", response.headers()) is None
    assert len(bench.plans) == 1
