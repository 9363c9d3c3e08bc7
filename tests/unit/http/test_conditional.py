"""Conditional requests: RFC 9110 §13.2.2 step by step."""

from __future__ import annotations

import pytest

from edgeproxy.http.conditional import Outcome, entity_tags, evaluate, if_range_holds, is_entity_tag, is_strong

OLD = b"Sun, 06 Nov 1994 08:49:36 GMT"
THEN = b"Sun, 06 Nov 1994 08:49:37 GMT"
LATER = b"Sun, 06 Nov 1994 08:49:38 GMT"


def outcome(
    headers: dict[bytes, bytes], method: bytes = b"GET", status: int = 200, etag: bytes | None = b'"a"'
) -> Outcome:
    return evaluate(method, headers, status, etag, THEN)


@pytest.mark.parametrize("tag", [b'""', b'"a"', b'W/"a"', b'"a,b\\"', b'"\xff!#~"'])
def test_entity_tags_as_the_grammar_has_them(tag: bytes) -> None:
    assert is_entity_tag(tag)
    assert is_strong(tag) == (tag[:1] == b'"')


@pytest.mark.parametrize("tag", [b"", b"a", b'"a', b'a"', b'"a b"', b'"a"b"', b'w/"a"', b'W/ "a"', b"'a'", b'"a"\n'])
def test_what_is_no_entity_tag(tag: bytes) -> None:
    assert not is_entity_tag(tag)
    assert not is_strong(tag)


def test_a_list_of_tags_may_have_empty_members_and_commas_inside_tags() -> None:
    assert entity_tags(b',"a,b" ,, W/"c"\t, ') == [b'"a,b"', b'W/"c"']


@pytest.mark.parametrize("value", [b"", b"*", b'"a" "b"', b'"a", b', b'"a"; "b"', b'"a", *'])
def test_a_list_with_anything_malformed_has_no_tags(value: bytes) -> None:
    assert entity_tags(value) == []


@pytest.mark.parametrize(
    ("wanted", "etag", "expected"),
    [
        (b'"a"', b'"a"', "not_modified"),
        (b'W/"a"', b'"a"', "not_modified"),
        (b'"a"', b'W/"a"', "not_modified"),
        (b'W/"a"', b'W/"a"', "not_modified"),
        (b'"b", "a"', b'"a"', "not_modified"),
        (b'"b",W/"a"', b'"a"', "not_modified"),
        (b"*", b'"a"', "not_modified"),
        (b"*", None, "not_modified"),
        (b'"b"', b'"a"', "proceed"),
        (b'"ab"', b'"a"', "proceed"),
        (b'"x,"a""', b'"a"', "proceed"),
        (b'"a"', None, "proceed"),
        (b"a", b'"a"', "proceed"),
        (b'"a", oops', b'"a"', "proceed"),
    ],
)
def test_if_none_match_compares_weakly(wanted: bytes, etag: bytes | None, expected: Outcome) -> None:
    assert outcome({b"if-none-match": wanted}, etag=etag) == expected


def test_if_none_match_on_other_methods_is_a_precondition() -> None:
    assert outcome({b"if-none-match": b'"a"'}, b"PUT") == "precondition_failed"
    assert outcome({b"if-none-match": b"*"}, b"PUT") == "precondition_failed"
    assert outcome({b"if-none-match": b'"b"'}, b"PUT") == "proceed"


def test_head_is_answered_like_get() -> None:
    assert outcome({b"if-none-match": b'"a"'}, b"HEAD") == "not_modified"
    assert outcome({b"if-modified-since": THEN}, b"HEAD") == "not_modified"


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (OLD, "proceed"),
        (THEN, "not_modified"),
        (LATER, "not_modified"),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", "not_modified"),
        (b"yesterday", "proceed"),
    ],
)
def test_if_modified_since(since: bytes, expected: Outcome) -> None:
    assert outcome({b"if-modified-since": since}) == expected


def test_if_modified_since_is_for_get_and_head_only() -> None:
    assert outcome({b"if-modified-since": LATER}, b"POST") == "proceed"


def test_if_modified_since_is_ignored_beside_if_none_match() -> None:
    assert outcome({b"if-modified-since": LATER, b"if-none-match": b'"b"'}) == "proceed"


def test_if_modified_since_needs_a_valid_last_modified() -> None:
    assert evaluate(b"GET", {b"if-modified-since": THEN}, 200, None, None) == "proceed"
    assert evaluate(b"GET", {b"if-modified-since": b"0"}, 200, None, b"0") == "proceed"


@pytest.mark.parametrize(
    ("wanted", "etag", "expected"),
    [
        (b'"a"', b'"a"', "proceed"),
        (b'"b", "a"', b'"a"', "proceed"),
        (b"*", b'"a"', "proceed"),
        (b'W/"a"', b'"a"', "precondition_failed"),
        (b'W/"a"', b'W/"a"', "precondition_failed"),
        (b'"a"', b'W/"a"', "precondition_failed"),
        (b'"b"', b'"a"', "precondition_failed"),
        (b'"a"', None, "precondition_failed"),
    ],
)
def test_if_match_compares_strongly(wanted: bytes, etag: bytes | None, expected: Outcome) -> None:
    assert outcome({b"if-match": wanted}, b"PUT", etag=etag) == expected


def test_if_unmodified_since() -> None:
    assert outcome({b"if-unmodified-since": OLD}, b"PUT") == "precondition_failed"
    assert outcome({b"if-unmodified-since": THEN}, b"PUT") == "proceed"
    assert outcome({b"if-unmodified-since": b"then"}, b"PUT") == "proceed"
    assert evaluate(b"PUT", {b"if-unmodified-since": OLD}, 200, None, None) == "proceed"


def test_if_unmodified_since_is_ignored_beside_if_match() -> None:
    assert outcome({b"if-match": b'"a"', b"if-unmodified-since": OLD}, b"PUT") == "proceed"


def test_preconditions_for_change_come_before_those_for_reading() -> None:
    assert outcome({b"if-match": b'"b"', b"if-none-match": b'"a"'}) == "precondition_failed"
    assert outcome({b"if-unmodified-since": OLD, b"if-none-match": b'"a"'}) == "precondition_failed"
    assert outcome({b"if-match": b'"a"', b"if-none-match": b'"a"'}) == "not_modified"


@pytest.mark.parametrize("status", [101, 301, 304, 404, 500])
def test_conditions_count_for_successful_answers_only(status: int) -> None:
    assert outcome({b"if-none-match": b'"a"'}, status=status) == "proceed"
    assert outcome({b"if-match": b'"b"'}, status=status) == "proceed"


def test_without_conditions_the_request_proceeds() -> None:
    assert outcome({b"accept": b"*/*"}) == "proceed"
    assert evaluate(b"GET", {}, 200, None, None) == "proceed"


@pytest.mark.parametrize(
    ("value", "etag", "holds"),
    [
        (b'"a"', b'"a"', True),
        (b'W/"a"', b'W/"a"', False),
        (b'"b"', b'"a"', False),
        (b'"a", "b"', b'"a", "b"', False),
        (b'"a"', None, False),
        (b"*", b'"a"', False),
    ],
)
def test_if_range_with_a_tag_compares_strongly(value: bytes, etag: bytes | None, holds: bool) -> None:
    assert if_range_holds(value, etag, THEN, LATER) is holds


def test_if_range_with_a_date_must_be_last_modified_itself() -> None:
    assert if_range_holds(THEN, None, THEN, LATER)
    assert not if_range_holds(LATER, None, THEN, LATER)
    assert not if_range_holds(OLD, None, THEN, LATER)
    assert not if_range_holds(THEN, None, None, LATER)


def test_if_range_with_a_date_that_is_a_weak_validator_does_not_hold() -> None:
    assert not if_range_holds(THEN, None, THEN, THEN)
    assert not if_range_holds(THEN, None, THEN, None)
    assert not if_range_holds(b"0", None, b"0", LATER)
