"""RFC 9213: what is meant for a CDN's caches goes before Cache-Control and Expires."""

from __future__ import annotations

import pytest

from edgeproxy.cache import policy
from edgeproxy.cache.targeted import TARGETS, in_force

NOW = 1_800_000_000.0
OTHERS = {b"cache-control": b"max-age=5", b"expires": b"Fri, 15 Jan 2027 08:00:00 GMT", b"etag": b'"1"'}


@pytest.mark.parametrize(
    ("told", "directives"),
    [
        (b"max-age=60", b"max-age=60"),
        (b"no-store", b"no-store"),
        (b"MAX-AGE=60, Private", b"max-age=60, private"),
        (b'private="set-cookie", max-age=60', b'private="set-cookie", max-age=60'),
        (b"no-store=?0, max-age=60", b"max-age=60"),
        (b"max-age=60;x=1, foo=(1 2)", b"max-age=60"),
        (b'max-age="60"', b'max-age="?"'),
        (b"max-age=60.5", b'max-age="?"'),
    ],
)
def test_a_targeted_field_stands_for_cache_control_and_expires(told: bytes, directives: bytes) -> None:
    fields = in_force(OTHERS | {b"cdn-cache-control": told}, TARGETS)
    assert fields[b"cache-control"] == directives
    assert b"expires" not in fields
    assert fields[b"etag"] == b'"1"'


@pytest.mark.parametrize("told", [b"", b"max-age=60, &&&", b"max-age =60", b"max-age=60,", b"max-age=60 private"])
def test_one_that_is_empty_or_malformed_counts_as_not_there(told: bytes) -> None:
    fields = OTHERS | {b"cdn-cache-control": told}
    assert in_force(fields, TARGETS) is fields


def test_an_argument_of_the_wrong_type_is_none() -> None:
    fields = in_force({b"cdn-cache-control": b'max-age="10000"'}, TARGETS)
    assert policy.terms(200, fields, request_time=NOW, response_time=NOW).lifetime == 0


def test_the_first_target_of_the_list_that_is_valid_counts() -> None:
    targets = (b"example-cache-control", b"cdn-cache-control")
    fields = {b"cdn-cache-control": b"max-age=60", b"example-cache-control": b"max-age=90"}
    assert in_force(fields, targets)[b"cache-control"] == b"max-age=90"
    assert in_force(fields | {b"example-cache-control": b"?"}, targets)[b"cache-control"] == b"max-age=60"
    assert in_force(fields, ()) is fields
