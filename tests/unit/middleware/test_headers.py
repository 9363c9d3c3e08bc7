"""Header edits, in and out."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.http.message import FieldBlock, Response
from edgeproxy.pipeline.exchange import Exchange
from middleware.headers import Headers
from tests.support.stages import exchange, stage


def edited_request(edits: dict[str, Any], x: Exchange) -> dict[bytes, bytes]:
    stage(Headers, {"request": edits}).request(x)
    return x.request.headers


def edited_response(edits: dict[str, Any], response: Response) -> dict[bytes, bytes]:
    stage(Headers, {"response": edits}).response(exchange(), response)
    return response.headers()


def test_request_fields_are_removed_then_set_then_added() -> None:
    edits = {"remove": ["X-A", "x-b"], "set": {"X-B": "2", "x-c": "3"}, "add": {"x-b": "4", "x-c": ["5", "6"]}}
    x = exchange(headers={b"x-a": b"1", b"x-b": b"1", b"x-c": b"1", b"x-d": b"1"})
    assert edited_request(edits, x) == {b"x-b": b"2, 4", b"x-c": b"3, 5, 6", b"x-d": b"1"}


def test_response_fields_are_removed_then_set_then_added() -> None:
    edits = {"remove": "x-a", "set": {"x-b": "2"}, "add": {"x-b": "3", "set-cookie": ["a=1", "b=2"]}}
    response = Response(200, {b"x-a": b"1", b"x-b": b"1"})
    assert edited_response(edits, response) == {b"x-b": b"2, 3", b"set-cookie": b"a=1\nb=2"}


def test_a_stored_answer_is_not_changed() -> None:
    kept = FieldBlock({b"x-a": b"1", b"x-b": b"1"})
    response = Response(200, shared=kept)
    assert edited_response({"remove": "x-a", "set": {"x-b": "2"}}, response) == {b"x-b": b"2"}
    assert kept.fields == {b"x-a": b"1", b"x-b": b"1"}


def test_placeholders_tell_of_the_exchange() -> None:
    x = exchange(b"/a%0d%0ab?q=1", scheme=b"https", authority=b"example.com:8443")
    x.id = b"id-1"
    value = "{client.ip} {request.id} {host} {path} {scheme} {route} {{}}"
    headers = edited_request({"set": {"x-all": value}}, x)
    assert headers[b"x-all"] == b"192.0.2.7 id-1 example.com /a%0d%0ab https site {}"


def test_a_decoded_path_never_gets_into_a_field() -> None:
    x = exchange(b"/a%0d%0aset-cookie:x=1")
    x.request.path = b"/a\r\nset-cookie:x=1"
    assert edited_request({"set": {"x-path": "{path}"}}, x)[b"x-path"] == b"/a%0d%0aset-cookie:x=1"


@pytest.mark.parametrize(
    "name",
    ["connection", "Transfer-Encoding", "Content-Length", "Host", "upgrade", "te", "trailer", "a b", "", "a:", "x\n"],
)
@pytest.mark.parametrize("edit", ["set", "add", "remove"])
@pytest.mark.parametrize("side", ["request", "response"])
def test_fields_that_frame_a_message_and_bad_names_are_refused(side: str, edit: str, name: str) -> None:
    with pytest.raises(ValidationError):
        stage(Headers, {side: {edit: [name] if edit == "remove" else {name: "1"}}})


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\x00b", "a\x7f", "{nobody}", "{", "}", "{host"])
def test_bad_values_are_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        stage(Headers, {"request": {"set": {"x-a": value}}})


def test_an_unknown_placeholder_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValidationError, match=r"did you mean \{client.ip\}"):
        stage(Headers, {"request": {"set": {"x-a": "{client.iq}"}}})
