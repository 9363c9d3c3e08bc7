"""Which answers may be made smaller."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.compression.minifiable import TYPES, is_plain, kind_of, may_change
from edgeproxy.compression.minifier_process import KINDS
from edgeproxy.http.message import Response

ALL = frozenset(TYPES)


def test_each_type_has_a_minifier() -> None:
    assert set(TYPES) == set(KINDS)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (b"text/html", "html"),
        (b"Text/HTML ; Charset=UTF-8", "html"),
        (b'text/html; charset="utf-8"', "html"),
        (b"text/html;charset=us-ascii", "html"),
        (b"text/html; charset=utf-8; profile=x", "html"),
        (b"text/html;", "html"),
        (b"text/css", "css"),
        (b"text/javascript", "js"),
        (b"application/javascript; charset=utf8", "js"),
        (b"image/svg+xml", "svg"),
        (b"application/manifest+json", "json"),
        (b"text/html; charset=iso-8859-1", ""),
        (b'text/html; a="; charset=utf-8"; charset=shift_jis', ""),
        (b"text/html; charset=utf-16", ""),
        (b'text/html; charset="utf-8\\"', ""),
        (b"text/html; charset=", ""),
        (b"text/html charset=utf-8", ""),
        (b"text/htmlx", ""),
        (b"application/xhtml+xml", ""),
        (b"text/plain", ""),
        (b"text/event-stream", ""),
        (b"", ""),
        (b";", ""),
    ],
    ids=repr,
)
def test_what_a_content_type_says(content_type: bytes, kind: str) -> None:
    assert kind_of(content_type, ALL) == kind


def test_only_the_types_that_are_wanted() -> None:
    assert kind_of(b"text/css", frozenset({"html"})) == ""
    assert kind_of(b"text/css", frozenset({"css"})) == "css"


@given(st.binary(max_size=60) | st.text('texhml/; ="\\charsetuf-8', max_size=60).map(str.encode))
def test_no_content_type_raises(value: bytes) -> None:
    assert kind_of(value, ALL) in {*ALL, ""}
    assert kind_of(b"text/html" + value, ALL) in {"html", ""}


def test_long_fields_take_no_longer_than_their_length() -> None:
    for filler in (b" ", b";", b"; ", b"; a=", b'; a="', b"\\"):
        assert kind_of(b"text/html" + filler * 30_000 + b"\0", ALL) == ""


def page(status: int = 200, **fields: bytes) -> Response:
    return Response(status, {name.replace("_", "-").encode(): value for name, value in fields.items()})


@pytest.mark.parametrize(
    "response",
    [
        page(content_encoding=b"gzip"),
        page(content_encoding=b"identity"),
        page(cache_control=b"public, No-Transform"),
        page(206, content_range=b"bytes 0-9/10"),
        page(content_digest=b"sha-256=:x:"),
        page(repr_digest=b"sha-256=:x:"),
        page(trailer=b"Repr-Digest"),
        page(sourcemap=b"/a.map"),
        page(204),
        page(304),
        page(101),
        page(content_security_policy=b"default-src 'self'; script-src 'sha256-abc='"),
        page(content_security_policy=b"default-src 'self', style-src 'SHA512-abc='"),
        page(content_security_policy_report_only=b"script-src 'sha384-abc='"),
    ],
    ids=repr,
)
def test_what_is_said_of_an_answer_may_forbid_it(response: Response) -> None:
    assert not may_change(response, "html")


def test_the_rest_may_be_changed() -> None:
    assert may_change(page(cache_control=b'x="no-transform"', etag=b'"a"'), "html")
    assert may_change(page(404), "html")
    assert may_change(page(content_security_policy=b"script-src 'self' 'nonce-sha256-x'"), "html")
    assert may_change(page(content_security_policy=b"script-src 'sha256-abc='"), "css")


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (b"plain enough, \xc3\xa9", "html css js svg json"),
        (b"caf\xe9", ""),
        (b"a\0b", ""),
        (b"\x1b$B%F%9%H\x1b(B", ""),
        (b"\xff\xfeh\0i\0", ""),
        (b"a=1\n//# sourceMappingURL=a.js.map", "svg json"),
        (b"a{b:c}/*# sourceMappingURL=a.css.map */", "svg json"),
        (b"/** @license MIT */", "svg json"),
        (b"/** @licensed */", "html css js svg json"),
        (b'<text xml:space="preserve"> a  b </text>', "css js json"),
        (b"<text style='white-space: pre'> a  b </text>", "html css js json"),
        (b"<meta content=\"script-src 'sha256-x'\">", "css js svg json"),
    ],
    ids=repr,
)
def test_texts_that_depend_on_their_bytes_are_left_alone(text: bytes, kinds: str) -> None:
    assert {kind for kind in TYPES if is_plain(text, kind)} == set(kinds.split())
