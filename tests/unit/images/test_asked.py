"""A URL with options taken apart: what is read, and what could be read in more than one way and is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.target import parse_target
from edgeproxy.images.asked import Picture, UrlError, locate, split

PREFIX = b"/cdn-cgi/image/"


@pytest.mark.parametrize(
    ("url", "picture"),
    [
        (b"photo.jpg", Picture(b"/photo.jpg", b"/photo.jpg", b"")),
        (b"/photo.jpg", Picture(b"/photo.jpg", b"/photo.jpg", b"")),
        (b"a/photo.jpg?v=2", Picture(b"/a/photo.jpg?v=2", b"/a/photo.jpg", b"v=2")),
        (b"a%20b.jpg", Picture(b"/a%20b.jpg", b"/a b.jpg", b"")),
        (b"a/./b/../c.jpg", Picture(b"/a/c.jpg", b"/a/c.jpg", b"")),
        (b"a%2Fb.jpg", Picture(b"/a%2Fb.jpg", b"/a%2Fb.jpg", b"")),
        (b"https://www.example.com/a.jpg", Picture(b"/a.jpg", b"/a.jpg", b"", b"www.example.com", b"www.example.com")),
        (
            b"HTTP://WWW.Example.com:80/a.jpg",
            Picture(b"/a.jpg", b"/a.jpg", b"", b"www.example.com", b"www.example.com"),
        ),
        (b"https://b.example:8443/a?x", Picture(b"/a?x", b"/a", b"x", b"b.example:8443", b"b.example")),
        (b"https%3A%2F%2Fb.example%2Fa", Picture(b"/https%3A%2F%2Fb.example%2Fa", b"/https:%2F%2Fb.example%2Fa", b"")),
    ],
)
def test_where_a_picture_lies(url: bytes, picture: Picture) -> None:
    assert locate(url, PREFIX) == picture


@pytest.mark.parametrize(
    "url",
    [
        b"ftp://a.example/x.jpg",
        b"file:///etc/passwd",
        b"gopher://a.example/x",
        b"data:image/png;base64,AAAA",
        b"javascript:alert(1)",
        b"https:/a.example/x.jpg",
        b"https:a.example/x.jpg",
        b"http:",
        b"https://",
        b"https:///x.jpg",
        b"https://a.example",
        b"https://user@a.example/x.jpg",
        b"https://user:secret@a.example/x.jpg",
        b"https://a.example:99999/x.jpg",
        b"https://a.example:8x/x.jpg",
        b"https://a.example\\@b.example/x.jpg",
        b"https:\\\\a.example\\x.jpg",
        b"\\\\a.example\\x.jpg",
        b"//a.example/x.jpg",
        b"https://a%2Eexample/x.jpg",
        b"https://a..example/x.jpg",
        b"https://[::1/x.jpg",
        b"https://a example/x.jpg",
        b"https://\xc3\xa4.example/x.jpg",
        b"../../x.jpg",
        b"https://a.example/../x.jpg",
        b"a%zz.jpg",
        b"a%00.jpg",
        b"a.jpg#b",
        b"cdn-cgi/image/w=9/a.jpg",
        b"/cdn-cgi/image/w=9/a.jpg",
        b"x/../cdn-cgi/image/w=9/a.jpg",
        b"cdn-cgi//image/w=9/a.jpg",
        b"%63dn-cgi/image/w=9/a.jpg",
        b"https://a.example/cdn-cgi/image/w=9/a.jpg",
    ],
)
def test_what_could_be_read_in_two_ways_is_not_read(url: bytes) -> None:
    with pytest.raises(UrlError) as refused:
        locate(url, PREFIX)
    assert str(refused.value).endswith(".")
    assert b"example" not in str(refused.value).encode()


def test_options_end_at_the_first_slash_of_the_path() -> None:
    assert split(b"w=1/https://a.example/x?y=/z") == (b"w=1", b"https://a.example/x?y=/z")


@pytest.mark.parametrize("rest", [b"", b"w=1", b"w=1/", b"/x.jpg", b"w=1?/x.jpg", b"?"])
def test_options_and_a_picture_have_to_be_there(rest: bytes) -> None:
    with pytest.raises(UrlError):
        split(rest)


@given(st.binary(max_size=60) | st.text("ahtps:/.%2e\\@?#[]1", max_size=40).map(str.encode))
def test_whatever_is_written_is_a_target_in_normal_form_or_refused(url: bytes) -> None:
    try:
        picture = locate(url, PREFIX)
    except UrlError:
        return
    assert parse_target(picture.target) == (picture.target, picture.path, picture.query)
    assert b"\\" not in picture.target
    assert not picture.path.startswith(PREFIX)
