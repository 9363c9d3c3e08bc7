"""From wishes and fields to a plan, and what may be wished for."""

from __future__ import annotations

import pytest

from edgeproxy.images.choice import AUTOMATIC, COUNTABLE, Rules, check, choose, consulted
from edgeproxy.images.options import OptionError, parse
from edgeproxy.images.plan import Plan

RULES = Rules(options=frozenset(COUNTABLE), qualities=(75, 85), hints=True, saving=45)
ANY = RULES._replace(listed=False)
CHROMIUM = {b"accept": b"image/avif,image/webp,*/*;q=0.8"}


def plan(text: bytes, rules: Rules = RULES, **fields: bytes) -> Plan:
    return choose(parse(text), rules, {name.replace("_", "-").encode(): value for name, value in fields.items()})


def test_dpr_multiplies_both_sides() -> None:
    assert plan(b"width=320,height=641,dpr=1.5") == Plan(width=480, height=962)
    assert plan(b"dpr=2") == Plan()


def test_format_auto_goes_by_accept() -> None:
    assert plan(b"format=auto", accept=b"image/webp,*/*;q=0.1") == Plan(format="webp")
    assert plan(b"format=auto", accept=b"*/*") == Plan()
    assert plan(b"format=png", accept=b"image/webp") == Plan(format="png")


def test_what_is_too_large_for_avif_is_made_into_webp() -> None:
    small = RULES._replace(avif_side=1000)
    assert plan(b"format=auto,width=1280", small, accept=b"image/avif,image/webp").format == "webp"
    assert plan(b"format=auto,width=1280", small, accept=b"image/avif").format == ""
    assert plan(b"format=avif,height=1280", small).format == "webp"
    assert plan(b"format=avif,width=640", small).format == "avif"


def test_width_auto_goes_by_hints_where_they_are_in_use() -> None:
    assert plan(b"width=auto", sec_ch_width=b"600").width == 640
    assert plan(b"width=auto", RULES._replace(hints=False), sec_ch_width=b"600").width == 0


def test_the_quality_for_slow_connections() -> None:
    assert plan(b"quality=85,scq=low", save_data=b"on").quality == 50
    assert plan(b"quality=85,scq=low", ect=b"2g").quality == 50
    assert plan(b"quality=85,scq=low", ect=b"4g").quality == 85
    assert plan(b"quality=85", save_data=b"on").quality == 85
    assert plan(b"quality=85,width=auto", save_data=b"on").quality == 85


def test_who_saves_data_is_given_less_where_nothing_else_is_asked_for() -> None:
    chosen = choose(AUTOMATIC, RULES, CHROMIUM | {b"save-data": b"on", b"sec-ch-width": b"1200", b"sec-ch-dpr": b"2"})
    assert chosen == Plan(width=640, format="avif", quality=45)
    assert choose(AUTOMATIC, RULES._replace(saving=0), CHROMIUM | {b"save-data": b"on"}).quality == 0


def test_metadata_are_kept_as_configured_unless_asked_for() -> None:
    keep = RULES._replace(metadata="keep")
    assert plan(b"", keep).metadata == "keep"
    assert plan(b"metadata=none", keep).metadata == "none"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (b"width=320,format=webp", ()),
        (b"format=auto", (b"accept",)),
        (b"width=auto", (b"sec-ch-width", b"sec-ch-viewport-width", b"sec-ch-dpr", b"save-data")),
        (b"scq=50", (b"save-data", b"ect")),
    ],
)
def test_only_fields_that_the_plan_goes_by_are_named(text: bytes, fields: tuple[bytes, ...]) -> None:
    assert consulted(parse(text), RULES) == fields


def test_fields_that_are_not_named_change_nothing() -> None:
    everything = CHROMIUM | {b"sec-ch-width": b"600", b"sec-ch-dpr": b"3", b"save-data": b"on", b"ect": b"2g"}
    for text in (b"width=320,format=webp", b"format=auto", b"quality=85"):
        wanted = parse(text)
        named = {name: everything[name] for name in consulted(wanted, RULES)}
        assert choose(wanted, RULES, everything) == choose(wanted, RULES, named)


@pytest.mark.parametrize(
    "text",
    [
        b"width=320",
        b"height=640,width=1280",
        b"quality=75",
        b"quality=low",
        b"scq=85",
        b"dpr=1.5,width=320",
        b"width=auto",
        b"gravity=0.5x0.2",
        b"gravity=auto",
        b"rotate=90,flip=h,anim=false,metadata=none,format=json",
        b"gravity=0.3x0.7",
    ],
)
def test_what_is_listed_may_be_asked_for(text: bytes) -> None:
    check(parse(text), RULES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"width=321", "width is one of 320, 640, 1280 here."),
        (b"height=321", "height is one of 320, 640, 1280 here."),
        (b"quality=76", "quality is one of 75, 85 here."),
        (b"scq=76", "quality is one of 75, 85 here."),
        (b"dpr=1.25", "dpr is one of 1, 1.5, 2, 3 here."),
        (b"gravity=0.55x0", "gravity is a point in tenths here, like 0.5x0.2."),
        (b"blur=1", "Only these options may be used here: anim, "),
    ],
)
def test_what_is_not_listed_is_refused_with_the_list(text: bytes, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        check(parse(text), RULES)


def test_any_size_up_to_the_bounds() -> None:
    check(parse(b"width=321,height=7,quality=76,dpr=2.75,gravity=0.55x0"), ANY)
    with pytest.raises(OptionError, match="at most 12000 pixels"):
        check(parse(b"width=6001,dpr=2"), ANY)
    with pytest.raises(OptionError, match="at most 12000 pixels"):
        check(parse(b"height=12001"), ANY)
    with pytest.raises(OptionError, match="dpr is at most 3"):
        check(parse(b"dpr=3.5"), ANY)
