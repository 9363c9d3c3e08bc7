"""Which requests get an answer that is there already, and its forms."""

from __future__ import annotations

import pytest

from edgeproxy.config.units import parse_network
from edgeproxy.http.addresses import AddressSet
from edgeproxy.http.message import Response
from edgeproxy.routing.static import Answer, Answers
from tests.support.stages import exchange


def page(status: int = 200, **conditions: object) -> Answer:
    answer = Answer(status, {b"content-type": b"text/plain"}, **conditions)  # type: ignore[arg-type]
    answer.fill(b"hello", b'"1"' if status == 200 else None)
    return answer


@pytest.mark.parametrize(
    ("path", "found"),
    [(b"/robots.txt", True), (b"/robots.txt/x", False), (b"/a/b", True), (b"/a/", True), (b"/a", False), (b"/", False)],
)
def test_an_answer_is_for_its_paths_and_prefixes(path: bytes, found: bool) -> None:
    answer = page(paths=frozenset((b"/robots.txt",)), prefixes=(b"/a/",))
    assert answer.is_for(exchange(path)) is found


def test_an_answer_without_conditions_is_for_all_but_the_addresses_it_names() -> None:
    answer = page(past=AddressSet([parse_network("10.0.0.0/8")]))
    assert answer.is_for(exchange(client="192.0.2.7"))
    assert not answer.is_for(exchange(client="10.1.2.3"))
    assert not answer.is_for(exchange(client="::ffff:10.1.2.3"))


def test_all_fields_must_hold() -> None:
    answer = page(fields=((b"x-a", b"1"), (b"x-b", True), (b"x-c", False)))
    assert answer.is_for(exchange(headers={b"x-a": b" 1", b"x-b": b"any"}))
    for headers in ({b"x-a": b"1"}, {b"x-b": b"1"}, {b"x-a": b"1", b"x-b": b"1", b"x-c": b"1"}):
        assert not answer.is_for(exchange(headers=headers))


@pytest.mark.parametrize(
    ("method", "headers", "status", "body"),
    [
        (b"GET", {}, 200, b"hello"),
        (b"GET", {b"if-none-match": b'"1"'}, 304, b""),
        (b"GET", {b"if-none-match": b'W/"1", "2"'}, 304, b""),
        (b"GET", {b"if-none-match": b'"2"'}, 200, b"hello"),
        (b"GET", {b"if-match": b'"2"'}, 412, None),
        (b"POST", {}, 405, None),
    ],
)
def test_a_representation_follows_conditions_and_answers_reading_alone(
    method: bytes, headers: dict[bytes, bytes], status: int, body: bytes | None
) -> None:
    response = page().respond(exchange(headers=headers, method=method))
    assert response.status == status
    if body is not None:
        assert response.body == body
        assert response.get(b"etag") == b'"1"'
    else:
        assert isinstance(response.body, bytes)
        assert response.body.startswith(b"%d " % status)
        assert response.get(b"cache-control") == b"no-store"


def test_an_answer_that_is_no_representation_is_for_every_method_and_condition() -> None:
    response = page(503).respond(exchange(method=b"POST", headers={b"if-match": b'"2"'}))
    assert (response.status, response.body) == (503, b"hello")


def test_the_first_answer_counts_and_those_from_400_on_are_refusals() -> None:
    refusals: list[int] = []
    answers = Answers(
        [page(paths=frozenset((b"/a",))), page(404, paths=frozenset((b"/a", b"/b")))], lambda: refusals.append(1)
    )
    found = [answers.request(exchange(path)) for path in (b"/a", b"/b", b"/c")]
    assert [each and each.status for each in found] == [200, 404, None]
    assert len(refusals) == 1


def test_changing_one_answer_does_not_change_the_next() -> None:
    answer = page()
    answer.respond(exchange()).set(b"x-a", b"1")
    told: Response = answer.respond(exchange())
    assert told.get(b"x-a") is None
