"""What a region counts, as it stands in Redis: one script, which pays what is owed, leases, and beats the heart.

A key is a string, its theoretical arrival time in microseconds of Redis' own clock, so that the nodes' clocks do not
matter; it expires when it has passed. In a Cluster the keys are spread over ``SLOTS`` groups; a call is about one.

Beside them each group has its workers, by when they were last heard, and an epoch: when this memory began. A worker
that knows another epoch has seen Redis lose its data, and what the workers know of the keys is all there is: so nothing
is leased for ``SETTLE`` seconds, in which each tells it and goes on with its share. The same goes when nobody was heard
for ``LATE`` seconds: all workers go back from their shares to leases at once, not one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b, sha1
from typing import Any, Final, NamedTuple

from edgeproxy.breaker import LONGEST_WAIT
from edgeproxy.limits.lease import Ask, Terms

SLOTS: Final = 16  # of a Cluster
SETTLE: Final = LONGEST_WAIT + 2.0  # seconds in which the last worker finds out that Redis is back
LATE: Final = 3.0  # seconds without a word of any worker: Redis was away
LIVES: Final = 10.0  # seconds that a worker counts as one after it was last heard

# KEYS: state, workers, then the limits' keys. ARGV: the worker, the epoch it knows ("" for none), "1" if it was away,
# settle, late and lives in microseconds, then for each key: interval, burst in seconds, floor, must, owed, age, want;
# times in microseconds. Returns the epoch, the number of workers, for how long nothing will be leased, and for each key
# what is leased and in how many microseconds the arrival time is; none where the worker knew another epoch.
SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('HMGET', KEYS[1], 'epoch', 'settled')
local epoch, settled = state[1], tonumber(state[2] or '0')
local last = tonumber(redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or '0')
if not epoch then
  epoch = string.format('%.0f', now)
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'settled', '0')
end
local strange = ARGV[2] ~= '' and ARGV[2] ~= epoch
if settled <= now then
  local lost = strange and now - tonumber(epoch) < tonumber(ARGV[4])
  local silent = ARGV[3] == '1' and not strange and now - last > tonumber(ARGV[5])
  if lost or silent then
    settled = now + tonumber(ARGV[4])
    redis.call('HSET', KEYS[1], 'settled', string.format('%.0f', settled))
  end
end
local settling = math.max(0, settled - now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - tonumber(ARGV[6])))
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[6] / 1000)
local told = {epoch, redis.call('ZCARD', KEYS[2]), settling}
if strange then return told end
for i = 3, #KEYS do
  local at = 7 + (i - 3) * 7
  local interval, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local floor, owed = now + tonumber(ARGV[at + 2]), tonumber(ARGV[at + 4])
  local known = redis.call('GET', KEYS[i])
  local arrival = tonumber(known or '0')
  if not known or ARGV[at + 3] == '1' then arrival = math.max(arrival, floor) end
  if owed > 0 then
    arrival = math.max(arrival, now - tonumber(ARGV[at + 5])) + owed * interval
  elseif arrival > now then
    arrival = math.max(now, arrival + owed * interval)
  end
  local granted = 0
  if settling == 0 then
    arrival = math.max(arrival, now)
    local left = math.floor((now + burst - arrival) / interval + 0.000001)
    granted = math.max(0, math.min(tonumber(ARGV[at + 6]), left))
    arrival = arrival + granted * interval
  end
  local lasts = math.ceil((arrival - now + settling) / 1000)
  if lasts > 0 then
    redis.call('SET', KEYS[i], string.format('%.0f', arrival), 'PX', lasts)
  elseif known then
    redis.call('DEL', KEYS[i])
  end
  told[#told + 1] = granted
  told[#told + 1] = math.ceil(math.max(0, arrival - now))
end
return told
"""
SHA: Final = sha1(SCRIPT.encode()).hexdigest()  # noqa: S324 -- what Redis knows a script by


class Told(NamedTuple):
    """Redis' answer: the epoch, how many workers there are, for how many seconds nothing is leased, and for each key
    what is leased and in how many seconds its arrival time is."""

    epoch: bytes
    workers: int
    settling: float
    leases: list[tuple[float, float]]


def name(limit: bytes, key: bytes) -> bytes:
    """What a limit's key is called; it does not show the key, which may be an address or a token."""
    return blake2b(key, digest_size=16, key=limit[:64]).digest()


def keys(prefix: str, slot: int, names: Sequence[bytes]) -> list[str]:
    """KEYS of the script; the braces keep a group in one slot of a Cluster."""
    group = f"{prefix}{{limits:{slot}}}:"
    return [f"{group}state", f"{group}workers", *[group + name.hex() for name in names]]


def arguments(worker: str, epoch: bytes, away: bool, asked: Sequence[tuple[Terms, Ask]]) -> list[bytes | str]:
    """ARGV of the script."""
    found: list[bytes | str] = [worker, epoch, "1" if away else "0", *map(_micro, (SETTLE, LATE, LIVES))]
    for terms, ask in asked:
        found += [
            _micro(terms.interval),
            _micro(terms.burst * terms.interval),
            _micro(ask.floor),
            "1" if ask.must else "0",
        ]
        found += [repr(ask.owed), _micro(ask.age), repr(ask.want)]
    return found


def read(reply: Sequence[Any]) -> Told:
    """What the script returned."""
    epoch, workers, settling, *leases = reply
    pairs = zip(leases[::2], leases[1::2], strict=True)
    return Told(epoch, int(workers), settling / 1e6, [(float(granted), ahead / 1e6) for granted, ahead in pairs])


def _micro(seconds: float) -> str:
    return repr(seconds * 1e6)
