"""Which answers are compressed, as far as the stage's own tests do not show it."""

from __future__ import annotations

import pytest

from edgeproxy.compression.choice import Choice, is_kept, label
from edgeproxy.http.codings import BR, ZSTD
from edgeproxy.http.message import FieldBlock, Response
from tests.support.stages import exchange

TEXT = b"a text of more than ten bytes"


def coding(response: Response, accept: bytes = b"br, zstd", *, min_size: int = 10) -> bytes | None:
    x = exchange(headers={b"accept-encoding": accept})
    return Choice(["text/*"], min_size).coding(x, response, (ZSTD, BR))


def text(**fields: bytes) -> Response:
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Response(200, {b"content-type": b"text/plain"} | headers, TEXT)


def test_the_order_given_decides_between_equals() -> None:
    x = exchange(headers={b"accept-encoding": b"br, zstd"})
    choice = Choice(["text/*"], 10)
    assert choice.coding(x, text(), (ZSTD, BR)) == ZSTD
    assert choice.coding(x, text(), (BR, ZSTD)) == BR


def test_fields_of_a_stored_answer_count_like_its_own() -> None:
    block = FieldBlock({b"content-type": b"text/plain", b"content-encoding": b"gzip"})
    assert coding(Response(200, body=TEXT, shared=block)) is None
    assert coding(Response(200, body=TEXT, shared=FieldBlock({b"content-type": b"text/plain"}))) == ZSTD


def test_what_every_client_gets_alike_does_not_vary() -> None:
    for response in (
        text(content_encoding=b"br"),
        text(cache_control=b"no-transform"),
        text(content_type=b"image/png"),
    ):
        assert coding(response) is None
        assert response.get(b"vary") is None
    short = text()
    assert coding(short, min_size=len(TEXT) + 1) is None
    assert short.get(b"vary") is None


def test_what_another_client_gets_otherwise_varies() -> None:
    plain = text()
    assert coding(plain, b"") is None
    assert plain.get(b"vary") == b"accept-encoding"


@pytest.mark.parametrize(
    ("etag", "labelled"),
    [(b'"a"', b'W/"a"'), (b'W/"a"', b'W/"a"'), (b"a", b"a"), (b'"a" "b"', b'"a" "b"'), (None, None)],
)
def test_a_label_weakens_a_well_formed_tag_and_leaves_others(etag: bytes | None, labelled: bytes | None) -> None:
    response = text(content_length=b"9")
    if etag is not None:
        response.set(b"etag", etag)
    label(response, BR)
    assert response.get(b"etag") == labelled
    assert response.get(b"content-length") is None
    assert response.get(b"content-encoding") == BR


@pytest.mark.parametrize(
    ("verdict", "kept"),
    [
        (b"", False),
        (b"hit", True),
        (b"hit; detail=l2", True),
        (b"fwd=uri-miss; fwd-status=200; stored", True),
        (b"fwd=uri-miss; collapsed", True),
        (b"fwd=bypass", False),
        (b"fwd=uri-miss; detail=stored-not", False),
    ],
)
def test_what_the_cache_keeps_is_told_by_its_verdict(verdict: bytes, kept: bool) -> None:
    assert is_kept(verdict) is kept
