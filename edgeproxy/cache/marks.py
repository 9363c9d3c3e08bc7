"""What was purged, as all nodes find it in Redis: marks that every stored answer is held against when it is read.

Every purge has a number, one more than the last one's, and leaves it at what it was about. A stored answer bears the
number that stood there before it was asked for: a larger one at its host, its URL, one of its tags means that it was
purged since. Nothing has to be found and deleted, and a node that stores late what it fetched before a purge stores
what nobody will use.

All marks are one hash. Its ``epoch`` is drawn when it is made: where Redis lost it (a restart, an eviction), what was
purged is not known any more, and answers of another epoch are not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from blake3 import blake3

from edgeproxy.cache.key import split, url_of
from edgeproxy.cache.purge import Purge
from edgeproxy.cache.recipe import host_of

MOST_MARKS = 100_000  # past that, everything counts as purged
MOST_PREFIXES = 64  # of one host; past that, the host counts as purged
MOST_RECENT = 1_000  # purges that a node which was away can catch up with

# KEYS: marks, stream. ARGV: epoch if there is none, field, host's field of a prefix or "", prefix, "1" for soft,
# message, most marks, most prefixes, most recent. Returns the purge's number.
PURGE = """
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
local number = redis.call('HINCRBY', KEYS[1], 'number', 1)
if number == 1 then redis.call('DEL', KEYS[2]) end
local function marked(known)
  local hard, soft = 0, 0
  if known then hard, soft = string.match(known, '^(%d+) (%d+)') end
  if ARGV[5] == '1' then soft = number else hard = number end
  return hard .. ' ' .. soft
end
if ARGV[3] == '' then
  redis.call('HSET', KEYS[1], ARGV[2], marked(redis.call('HGET', KEYS[1], ARGV[2])))
else
  local known = redis.call('HGET', KEYS[1], ARGV[2])
  local prefixes, count = known and cjson.decode(known) or {}, 0
  prefixes[ARGV[4]] = marked(prefixes[ARGV[4]])
  for _ in pairs(prefixes) do count = count + 1 end
  if count > tonumber(ARGV[8]) then
    redis.call('HDEL', KEYS[1], ARGV[2])
    redis.call('HSET', KEYS[1], ARGV[3], number .. ' 0')
  else
    redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(prefixes))
  end
end
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[7]) then
  local epoch = redis.call('HGET', KEYS[1], 'epoch')
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'number', number, 'all', number .. ' 0')
end
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[9], number .. '-0', 'purge', ARGV[6])
return number
"""

# KEYS: marks, stream. ARGV: epoch and number the node knows, a new epoch. Returns the epoch, its number, and the number
# of the oldest purge still in the stream (0: none). Marks that are older than what the node knows begin anew.
JOIN = """
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local number = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')
if not epoch or (epoch == ARGV[1] and number < tonumber(ARGV[2])) then
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'number', 0)
  epoch, number = ARGV[3], 0
end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
return {epoch, number, first[1] and tonumber(string.match(first[1][1], '^%d+')) or 0}
"""


class Keys(NamedTuple):
    """Where both live; the braces keep them in one slot of a cluster."""

    marks: str
    stream: str


class Ticket(NamedTuple):
    """What had been purged when it was drawn: the epoch, the last purge's number, and when the URL was last changed
    (random, b"" for never)."""

    epoch: bytes
    number: int
    change: bytes


class Mark(NamedTuple):
    """The numbers of the last hard and the last soft purge of something; 0 for none."""

    hard: int
    soft: int


UNMARKED = Mark(0, 0)


def keys(prefix: str) -> Keys:
    return Keys(f"{prefix}{{purges}}:marks", f"{prefix}{{purges}}:recent")


def digest(value: bytes) -> bytes:
    """A name for what may be long."""
    return blake3(value).hexdigest(16).encode()


def arguments(purge: Purge, epoch: str, message: str) -> list[bytes | str | int]:
    """ARGV of the script PURGE."""
    place, host, prefix = _place(purge)
    return [epoch, place, host, prefix, int(purge.soft), message, MOST_MARKS, MOST_PREFIXES, MOST_RECENT]


def _place(purge: Purge) -> tuple[bytes, bytes, bytes]:
    """The field a purge is marked at; for a prefix also its host's, and the prefix."""
    value = purge.value
    if purge.kind == "prefix":
        return b"prefixes:" + _host(value), b"host:" + _host(value), value
    if purge.kind == "url":
        return b"url:" + digest(value), b"", b""
    return b"all" if purge.kind == "all" else b"%b:%b" % (purge.kind.encode(), value), b"", b""


def _host(key: bytes) -> bytes:
    """The host of a key's URL, without its port."""
    return host_of(split(key)[0].partition(b"://")[2])


def fields_of(key: bytes) -> list[bytes]:
    """The fields to be read for a key, as :func:`read` takes their values."""
    host = _host(key)
    return [b"epoch", b"number", b"all", b"host:" + host, b"prefixes:" + host, b"url:" + digest(url_of(key))]


def fields_of_tags(tags: Iterable[bytes]) -> list[bytes]:
    return [b"tag:" + tag for tag in tags]


def read(key: bytes, values: Sequence[bytes | None]) -> tuple[bytes, int, Mark]:
    """The epoch (b"" if there is none), the number of the last purge, and what is marked for a key. Raises ValueError
    for what this code did not write."""
    epoch, number, everything, host, prefixes, url = values
    mark = latest(map(_mark, (everything, host, url)))
    if prefixes is not None:
        for prefix, told in json.loads(prefixes.decode("latin-1")).items():
            if key.startswith(prefix.encode("latin-1")):
                mark = latest((mark, _mark(told.encode())))
    return epoch or b"", int(number or 0), mark


def read_tags(values: Iterable[bytes | None]) -> Mark:
    """What is marked for tags."""
    return latest(map(_mark, values))


def latest(marks: Iterable[Mark]) -> Mark:
    found = UNMARKED
    for mark in marks:
        found = Mark(max(found.hard, mark.hard), max(found.soft, mark.soft))
    return found


def _mark(value: bytes | None) -> Mark:
    if value is None:
        return UNMARKED
    hard, soft = value.split()
    return Mark(int(hard), int(soft))
