"""Pages: complete in every language, readable by everybody, and safe whatever the request says."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeproxy.challenge.pages import KINDS, Pages, Template
from edgeproxy.challenge.words import LANGUAGES, read_words

PAGES = Pages("edge-challenge", 5, "en")
SCRIPTED = [name for name, kind in KINDS.items() if kind.file == "challenge.html"]
VOID = {"meta", "link", "circle", "path"}
TEXT = 4.5  # contrast of text to what is behind it, WCAG 2.2 §1.4.3


class Document(HTMLParser):
    """Tags with their attributes, text by tag; raises if tags do not close as they opened."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(page.decode())
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open[-1:]:
            self.text[tag] = self.text.get(tag, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def render(name: str, language: str = "en", pages: Pages = PAGES, **values: bytes) -> bytes:
    own = {"puzzle": b"1.2.3.abc", "rest": b"", "location": b"/"} | values
    kept = (
        {"host", "reference", "nonce", "puzzle", "rest"}
        if name in SCRIPTED
        else {"host", "reference", "nonce", "location"}
    )
    said = {"host": b"www.example.com", "reference": b"a1", "nonce": b"n0nce"} | own
    return pages.page(name, language, **{key: value for key, value in said.items() if key in kept})


@pytest.mark.parametrize(("name", "language"), list(product(KINDS, LANGUAGES)))
def test_a_page_is_whole_and_can_be_used_by_everybody(name: str, language: str) -> None:
    page = render(name, language)
    document = Document(page)
    words = read_words()[language]
    (html,) = document.all("html")
    assert html == {"lang": words["lang"], "dir": words["dir"]}
    assert PAGES.tag(language) == words["lang"].encode()
    assert document.text["title"].endswith(" · www.example.com")
    assert document.text["h1"] == words[KINDS[name].heading]
    assert len(document.all("h1")) == len(document.all("main")) == 1
    assert b"{{" not in page
    live = [attributes for _, attributes in document.tags if attributes.get("role") == "status"]
    assert len(live) == (name in SCRIPTED)
    assert all(attributes["aria-live"] == "polite" for attributes in live)
    for picture in document.all("svg"):
        assert picture["aria-hidden"] == "true"
    for bar in document.all("progress"):
        assert bar["aria-label"] == words["progress"]


@pytest.mark.parametrize(("name", "language"), list(product(KINDS, LANGUAGES)))
def test_a_page_refers_to_nothing_but_its_own_files(name: str, language: str) -> None:
    document = Document(render(name, language))
    files = {f"?edge-challenge={asset.decode()}" for asset in PAGES.assets}
    addresses = {value for _, each in document.tags for key, value in each.items() if key in ("src", "data-worker")}
    assert addresses <= files
    (style,) = [each for each in document.all("link") if each["rel"] == "stylesheet"]
    assert style["href"] in files
    assert style["nonce"] == "n0nce"
    assert all(script["nonce"] == "n0nce" and not script.get("style") for script in document.all("script"))
    assert not [each for _, each in document.tags if "style" in each or any(key.startswith("on") for key in each)]
    assert b"//" not in render(name, language).replace(b"<!doctype", b"")


@pytest.mark.parametrize("name", SCRIPTED)
def test_only_the_first_page_goes_on_by_itself(name: str) -> None:
    page = render(name, rest=b"&amp;a=b")
    assert (b'data-start="itself"' in page) is (name == "first")
    refresh = b'<meta http-equiv="refresh" content="5;url=?edge-challenge=1.2.3.abc&amp;a=b">'
    assert (refresh in page) is (name == "first")
    assert b'href="?edge-challenge=1.2.3.abc&amp;a=b"' in page


@pytest.mark.parametrize("name", SCRIPTED)
def test_without_a_wait_there_is_no_way_past_the_puzzle(name: str) -> None:
    page = render(name, pages=Pages("c", 0, "en"))
    assert b"http-equiv" not in page
    assert b"<a " not in page
    assert b"needs JavaScript" in page


def test_files_are_named_by_their_content() -> None:
    assert {re.sub(rb"-[0-9a-f]{10}", b"", name) for name in PAGES.assets} == {b"page.css", b"page.js", b"worker.js"}
    for name, asset in PAGES.assets.items():
        assert re.fullmatch(rb"[a-z]+-[0-9a-f]{10}\.(css|js)", name)
        assert b"url(" not in asset.body
        assert b"@import" not in asset.body


@given(host=st.binary(max_size=40), reference=st.binary(min_size=1, max_size=40))
@example(host=b"<b>", reference=b"1")
@example(host=b"h", reference=b"</bdi><i>")
def test_what_the_request_says_stays_text(host: bytes, reference: bytes) -> None:
    plain = Document(render("first"))
    hostile = Document(render("first", host=host, reference=reference))
    assert hostile.tags == plain.tags


def test_a_page_without_a_request_id_mentions_none() -> None:
    assert b"Reference" in render("cookies")
    assert b"Reference" not in render("cookies", reference=b"")


def test_languages_are_remembered_up_to_a_number_and_no_long_ones() -> None:
    pages = Pages("c", 5, "en")
    for number in range(3000):
        pages.language(b"de;q=0.%d" % number)
    pages.language(b"x" * 10_000)
    assert len(pages._languages) <= 1024


def test_a_template_fills_what_is_known_first() -> None:
    template = Template("{{a}} {{b}} {{a}}", {"b": "[{{a}}]"})
    assert template.render({"a": b"1"}) == b"1 [1] 1"


def test_colours_can_be_told_apart_in_light_and_in_dark() -> None:
    css = next(asset.body for name, asset in PAGES.assets.items() if name.endswith(b".css")).decode()
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in css.split("@media", 2)[:2])
    assert light.keys() == dark.keys()
    for palette in (light, dark):
        for ink, ground in product(("ink", "soft", "accent"), ("panel", "ground")):
            assert contrast(palette[ink], palette[ground]) >= TEXT, (ink, ground)
        assert contrast(palette["on-accent"], palette["accent"]) >= TEXT


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    dim, bright = sorted(map(luminance, (one, other)))
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
