"""What is remembered of what others send has a bound on its number and on the length of each piece."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable

import pytest

import edgeproxy
import middleware
from edgeproxy.cache import answer, directives
from edgeproxy.cache.entry import SAID
from edgeproxy.errors import EdgeError
from edgeproxy.http import dates, headers, message, negotiate, pseudo, target
from edgeproxy.http2 import hpack
from edgeproxy.http2.strings import COMMON, COMMON_LONGEST, COMMON_ROOM, TEXT_COST
from edgeproxy.listener import answer_head
from edgeproxy.listener.http1 import heads

LONG = b"x" * 30_000

# Every memo of a module that is asked with bytes from outside, and how it is asked.
ASKED_BY_OTHERS: dict[str, Callable[[bytes], object]] = {
    "edgeproxy.cache.directives._parse": lambda value: directives.parse(b"no-cache, " + value),
    "edgeproxy.http.dates._parse_full": dates.parse_date,
    "edgeproxy.http.negotiate._accepted": lambda value: negotiate.accepted_encodings(b"gzip, " + value),
    "edgeproxy.http.negotiate._normalized": lambda value: negotiate.normalize_encoding(b"gzip, " + value),
    "edgeproxy.http.negotiate._weights_normalized": lambda value: negotiate.normalize_weights(b"en, " + value),
}
ASKED_BY_US = {
    "edgeproxy.balance.hashing.points": "addresses of endpoints, which operators and their DNS name",
    "edgeproxy.config.stages.discover": "no arguments",
    "edgeproxy.geo.coordinates._countries": "no arguments",
    "edgeproxy.http.dates._format": "whole seconds",
    "edgeproxy.inference.protobuf._run": "tags of known lists, fewer than 128",
    "edgeproxy.observe.analytics.cache_label": "verdicts, which are our own words",
}


def memos() -> dict[str, functools._lru_cache_wrapper[object]]:
    found = {}
    for package in (edgeproxy, middleware):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            # What training takes is not installed here, and serves nobody.
            if module.name.endswith("__main__") or module.name.startswith("edgeproxy.training."):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                own = isinstance(value, functools._lru_cache_wrapper) and value.__wrapped__.__module__ == module.name
                if own:
                    found[f"{module.name}.{name}"] = value
    return found


def test_every_memo_is_known_here() -> None:
    assert set(memos()) == ASKED_BY_OTHERS.keys() | ASKED_BY_US.keys()


@pytest.mark.parametrize("name", ASKED_BY_OTHERS)
def test_long_values_are_not_remembered(name: str) -> None:
    memo, ask = memos()[name], ASKED_BY_OTHERS[name]
    before = memo.cache_info()
    ask(LONG)
    assert memo.cache_info() == before


@pytest.mark.parametrize("name", ASKED_BY_OTHERS)
def test_a_flood_of_short_values_has_a_bound(name: str) -> None:
    memo, ask = memos()[name], ASKED_BY_OTHERS[name]
    for number in range(4200):
        ask(b"%d" % number)
    info = memo.cache_info()
    assert info.maxsize is not None
    assert 0 < info.currsize <= info.maxsize <= 4096


def test_names_types_and_lengths_are_remembered_up_to_a_number_and_no_long_ones() -> None:
    for number in range(5000):
        headers.lower_name(b"X-%d" % number)
        message.FieldBlock({b"content-type": b"a/%d" % number})
        heads._length_line(number)
    assert headers.lower_name(LONG.upper()) == LONG
    assert message.FieldBlock({b"content-type": LONG}).content_type == LONG
    assert len(headers._names) <= headers.NAMES_KEPT
    assert len(message._types) <= message.TYPES_KEPT
    assert len(heads._LENGTH_LINES) <= answer_head.LENGTHS_KEPT
    assert max(map(len, headers._names)) <= headers.NAME_LONGEST
    assert max(map(len, message._types)) <= message.TYPE_LONGEST


def test_hosts_are_remembered_up_to_a_number_and_no_long_ones() -> None:
    for number in range(target._MEMO_LIMIT + 10):
        target.parse_authority(b"h%d.example" % number, b"http")
    with pytest.raises(EdgeError):
        target.parse_authority(LONG, b"http")
    assert len(target._clear) <= target._MEMO_LIMIT
    assert max(map(len, target._clear)) <= 261


def test_what_hits_say_is_remembered_up_to_a_number() -> None:
    for age in range(answer.STAMPS_KEPT + 10):
        answer._stamp(SAID, answer.HIT, age)
        answer._stamp(b"other; " + SAID, answer.HIT, age)
    assert 0 < len(answer._stamps[answer.HIT]) <= answer.STAMPS_KEPT


def test_field_lines_and_targets_are_remembered_up_to_a_number_and_no_long_ones() -> None:
    head = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.example")]
    for number in range(pseudo.PAIRS_KEPT + 10):
        pseudo.request([*head, (b":path", b"/%d" % number), (b"x-a", b"%d" % number)], b"2", b"https")
    pseudo.request([*head, (b":path", b"/" + LONG), (b"x-a", LONG)], b"2", b"https")
    assert 0 < len(pseudo._plain) <= pseudo.PAIRS_KEPT
    assert 0 < len(pseudo._targets) <= pseudo.TARGETS_KEPT
    assert max(len(name) + len(value) for name, value in pseudo._plain) <= pseudo.PAIR_LONGEST
    assert max(map(len, pseudo._targets)) <= pseudo.TARGET_LONGEST


def test_what_hpack_says_and_reads_is_remembered_up_to_a_number_and_no_long_ones() -> None:
    decoder = hpack.Decoder(hpack.TABLE, 1 << 20)
    for number in range(COMMON_ROOM // TEXT_COST):
        decoder.decode(hpack.packed(b"x-%d" % number, b"value-%d" % number))
    decoder.decode(hpack.packed(LONG, LONG))
    for block in range(2 * hpack.BLOCKS_KEPT):
        decoder.decode(bytes((0x82 + block % 60, 0x82 + block // 60 % 60, 0x82)))
    decoder.decode(b"\x82" * (hpack.BLOCK_LONGEST + 1))
    assert 0 < COMMON._used == sum(len(coded) + TEXT_COST for coded in COMMON._known) <= COMMON_ROOM
    assert 0 < len(hpack._lines) <= hpack.LINES_KEPT
    assert 0 < len(hpack._prefixes) <= hpack.PREFIXES_KEPT
    assert 0 < len(decoder._blocks) <= hpack.BLOCKS_KEPT
    assert max(map(len, COMMON._known)) <= COMMON_LONGEST
    assert max(len(name) + len(value) for name, value in hpack._lines) <= hpack.LINE_LONGEST
    assert max(map(len, hpack._prefixes)) <= hpack.LINE_LONGEST
    assert max(map(len, decoder._blocks)) <= hpack.BLOCK_LONGEST
