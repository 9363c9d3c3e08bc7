"""Options of a picture: every way to write them, and the one form a plan has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.images.options import NAMES, OptionError, Options, parse, read, write
from edgeproxy.images.plan import Plan

NUMBERS = st.integers(0, 999).map(lambda value: value / 100)
PLANS = st.builds(
    Plan,
    width=st.integers(0, 20_000),
    height=st.integers(0, 20_000),
    fit=st.sampled_from(["scale-down", "contain", "cover", "crop", "pad", "squeeze"]),
    gravity=st.just("auto") | st.tuples(*[st.integers(0, 100).map(lambda value: value / 100)] * 2),
    format=st.sampled_from(["", "avif", "webp", "jpeg", "png", "gif", "json"]),
    quality=st.integers(0, 100),
    background=st.none() | st.tuples(*[st.integers(0, 255)] * 4),
    blur=NUMBERS,
    sharpen=NUMBERS,
    brightness=NUMBERS,
    contrast=NUMBERS,
    gamma=st.integers(10, 999).map(lambda value: value / 100),
    saturation=NUMBERS,
    rotate=st.sampled_from([0, 90, 180, 270]),
    flip=st.sampled_from(["", "h", "v", "hv"]),
    trim=st.tuples(*[st.integers(0, 20_000)] * 4),
    anim=st.booleans(),
    metadata=st.sampled_from(["none", "copyright", "keep"]),
    hurry=st.booleans(),
    ssim=st.just(0.0),
    baseline=st.just(False),
)


@given(PLANS)
def test_a_plan_is_read_back_from_what_it_writes(plan: Plan) -> None:
    assert parse(write(plan)).plan == plan


def test_a_progressive_jpeg_and_a_baseline_one_are_two() -> None:
    assert parse(b"format=baseline-jpeg").plan == Plan(format="jpeg", baseline=True)
    assert write(Plan(format="jpeg", baseline=True)) == b"f=baseline-jpeg"


def test_a_plan_that_changes_nothing_is_written_as_nothing() -> None:
    assert write(Plan()) == b""
    assert parse(b"").plan == Plan()


def test_the_form_is_short_and_always_the_same() -> None:
    assert (
        write(Plan(width=800, format="avif", quality=75, fit="crop", gravity="auto"))
        == b"f=avif,fit=crop,g=auto,q=75,w=800"
    )


@pytest.mark.parametrize(
    "text",
    [
        b"width=800,format=webp",
        b"format=webp,width=800",
        b"w=800,f=webp",
        b"W=800,Format=WebP",
        b"width%3D800%2Cformat=webp",
        b"w=800,f=webp,,",
        b"w=800,width=800,f=webp",
        b" w=800 , f = webp",
        b"w=00800,f=webp",
        b"f=webp,w=800,fit=scale-down,quality=75,q=75"[:12] + b",rotate=0,blur=0,anim=true",
    ],
)
def test_all_ways_to_write_one_plan_are_one(text: bytes) -> None:
    assert write(parse(text).plan) == b"f=webp,w=800"


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        (b"fit=cover,height=20", Plan(fit="cover", height=20)),
        (b"gravity=left", Plan(gravity=(0, 0.5))),
        (b"gravity=0.5x0.2", Plan(gravity=(0.5, 0.2))),
        (b"gravity=face", Plan(gravity="auto")),
        (b"quality=low", Plan(quality=50)),
        (b"background=rgb%281%2C2%2C3%29,blur=2", Plan(background=(1, 2, 3, 255), blur=2)),
        (b"background=rgb(1,2,3),blur=2", Plan(background=(1, 2, 3, 255), blur=2)),
        (b"trim=1;2;3;4", Plan(trim=(1, 2, 3, 4))),
        (b"flip=vh,rotate=360", Plan(flip="hv")),
        (b"anim=false", Plan(anim=False)),
        (b"compression=fast", Plan(hurry=True)),
        (b"metadata=none", Plan(metadata="none")),
        (b"format=jpg", Plan(format="jpeg")),
        (b"brightness=1.004,contrast=.5", Plan(contrast=0.5)),
    ],
)
def test_what_options_mean(text: bytes, plan: Plan) -> None:
    assert parse(text).plan == plan


def test_what_is_no_part_of_a_plan() -> None:
    assert parse(b"format=auto,width=auto,dpr=1.5,onerror=redirect,scq=low") == Options(
        Plan(), 1.5, True, True, 50, True, frozenset(("format", "width", "dpr", "onerror", "slow-connection-quality"))
    )


@pytest.mark.parametrize(
    "text",
    [
        *(b"width=0", b"width=-1", b"width=1.5", b"width=20001", b"width=1e3", b"width=", b"width", b"width=0x10"),
        *(b"height=auto", b"dpr=0", b"dpr=nan", b"dpr=inf", b"dpr=1e1", b"dpr=11", b"fit=stretch", b"quality=0"),
        *(b"quality=101", b"quality=best", b"format=svg", b"gravity=2x0", b"gravity=0.5", b"gravity=x", b"blur=251"),
        *(b"blur=-1", b"gamma=0", b"rotate=45", b"flip=x", b"trim=1;2;3", b"trim=1;2;3;4;5", b"metadata=all"),
        *(b"onerror=ignore", b"compression=slow", b"border=1", b"__class__=1", b"width=1,width=2", b"w=1,width=2"),
        *(b"w=\xc2\xb2", b"w=%FF", b"background=url(x)", b"w" * 513, b",".join([b"w=1"] * 40)),
    ],
)
def test_what_cannot_be_followed_is_refused_without_repeating_it(text: bytes) -> None:
    with pytest.raises(OptionError) as refused:
        parse(text)
    said = str(refused.value)
    assert said.endswith(".")
    assert said.isascii()
    assert "__class__" not in said


def test_every_option_says_what_it_takes() -> None:
    for name in NAMES:
        with pytest.raises(OptionError, match=f"^{name} is "):
            read([(name, "\0")])


@given(st.binary(max_size=80) | st.text("widthqfg=,;x.0123456789-%()", max_size=60).map(str.encode))
def test_whatever_is_written_is_read_in_one_form_or_refused(text: bytes) -> None:
    try:
        plan = parse(text).plan
    except OptionError:
        return
    assert parse(write(plan)).plan == plan
