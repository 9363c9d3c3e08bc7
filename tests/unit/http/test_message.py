"""Responses in two layers: a stage can change an answer, never the stored one."""

from __future__ import annotations

from edgeproxy.http.message import FieldBlock, Response


def stored() -> FieldBlock:
    return FieldBlock({b"etag": b'"1"', b"vary": b"accept"})


def test_reading_sees_both_layers() -> None:
    response = Response(200, {b"age": b"1"}, shared=stored())
    assert (response.get(b"etag"), response.get(b"age"), response.get(b"x", b"-")) == (b'"1"', b"1", b"-")
    assert response.headers() == {b"etag": b'"1"', b"vary": b"accept", b"age": b"1"}


def test_changes_never_reach_the_stored_block() -> None:
    block = stored()
    response = Response(200, shared=block)
    response.set(b"etag", b'"2"')
    response.add(b"vary", b"origin")
    response.add(b"x-new", b"1")
    response.drop(b"x-absent")
    assert response.headers() == {b"etag": b'"2"', b"vary": b"accept, origin", b"x-new": b"1"}
    response.drop(b"etag")
    assert response.get(b"etag") is None
    assert block.fields == {b"etag": b'"1"', b"vary": b"accept"}


def test_the_wire_form_has_every_field_once() -> None:
    response = Response(200, {b"age": b"1"}, shared=stored())
    assert response.wire() == b'etag: "1"\r\nvary: accept\r\nage: 1\r\n'
    response.set(b"vary", b"*")
    assert sorted(response.wire().splitlines()) == [b"age: 1", b'etag: "1"', b"vary: *"]
