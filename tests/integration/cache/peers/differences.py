"""Why two caches answer one request in different ways: the table, and which of its lines a difference falls under.

A difference is explained by what the oracle says of each side, and by the little that is known of nginx 1.22 and
Varnish 7.1: what they do not store. Nothing is explained by its being there.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.integration.cache.peers import oracle
from tests.integration.cache.peers.oracle import directives
from tests.integration.cache.peers.servers import Seen
from tests.integration.cache.peers.steps import SAFE, Sequence, Step, written

OURS, BOTH = "edgeproxy", "both"


class Line(NamedTuple):
    """The rule, and who follows it: a rule that lets a cache choose is followed by both."""

    rule: str
    right: str


# What a peer reuses although the RFC forbids it: as `SERVER: REASON`, with the reason's own rule.
_FAULTS = {
    "nginx": [
        "authorization",
        "request no-store",
        "request no-cache",
        "request max-age",
        "request min-fresh",
        "stale by Age",
        "stale by Date",
        "invalidated",
    ],
    "varnish": [
        "request no-store",
        "request no-cache",
        "request max-age",
        "request min-fresh",
        "stale by Date",
        "invalidated",
        "superseded",
    ],
}

TABLE: dict[str, Line] = {
    **{f"{peer}: {name}": Line(oracle.REASONS[name], OURS) for peer, names in _FAULTS.items() for name in names},
    "only-if-cached": Line("RFC 9111 §5.2.1.7: what is not stored gets 504; the peers ask the origin", OURS),
    "has something fresh": Line("RFC 9111 §4: who had a usable answer did not ask, and has no newer one", BOTH),
    "has something newer": Line("RFC 9111 §4: the most recent counts, and needs validation or is for others", BOTH),
    "both may": Line("RFC 9111 §4: both are stored and usable, fetched at different times", BOTH),
    # What we leave to the origin though a peer answers it.
    "HEAD told of a change": Line("RFC 9111 §4.3.5: what a HEAD shows to have changed is stale", OURS),
    "HEAD is passed on": Line("RFC 9111 §3: a cache need not store; the peers make a GET of a HEAD", BOTH),
    "a part is not the whole": Line("RFC 9111 §3.3: of a Range only the part is kept; the peers fetch it all", BOTH),
    "an error does not live long": Line(
        "RFC 9111 §3: need not be stored; we keep an error for 5 minutes at most", BOTH
    ),
    "passes for a while": Line("RFC 9111 §3: need not be stored; nor is a key that lately could not be shared", BOTH),
    "max-age=0 within a second": Line("RFC 9111 §5.2.1.1: older than 0 s, as soon as any time has passed", BOTH),
    # What a peer leaves to the origin though we answer it: a cache need not store (RFC 9111 §3).
    "Set-Cookie is not stored": Line("RFC 9111 §7.3: it may be; the peers never do, we where it tells nobody", BOTH),
    "passes credentials": Line("RFC 9111 §3: need not be stored; Varnish passes Authorization and Cookie", BOTH),
    "does not guess": Line("RFC 9111 §4.2.2: a lifetime may be guessed from Last-Modified", BOTH),
    "no-store in spite of must-understand": Line("RFC 9111 §5.2.2.3: no-store is ignored beside it", OURS),
    "stores few statuses": Line("RFC 9111 §3: need not be stored; Varnish stores some statuses only", BOTH),
    "asks at once when stale": Line("RFC 5861 §3, §4; RFC 9111 §5.2.1.2: stale answers may be used", BOTH),
    # The same answer of the origin in another form.
    "a condition need not shorten": Line(
        "RFC 9110 §13.2.1: a condition about what is not stored is the origin's", BOTH
    ),
    "a Range may be ignored": Line("RFC 9110 §14.2: a server may ignore Range", BOTH),
    "several ranges are refused": Line("RFC 9110 §15.5.17: 416 is for ranges that cannot be; Varnish's for two", OURS),
}


class Sides(NamedTuple):
    """A step as it went at this proxy and at a peer, with everything before it."""

    peer: str
    sequence: Sequence
    now: int
    ours: list[Seen]
    theirs: list[Seen]

    @property
    def step(self) -> Step:
        return self.sequence.steps[self.now]


def explain(sides: Sides) -> str | None:
    """The table's line that a difference falls under; None if there is none."""
    ours, theirs = sides.ours[sides.now], sides.theirs[sides.now]
    wants = directives(sides.step.get("Cache-Control"))
    if ours.status == 504 and ours.origin is None and "only-if-cached" in wants:
        return "only-if-cached"
    if sides.peer == "varnish" and theirs.status in {416, 503} and "," in sides.step.get("Range"):
        return "several ranges are refused"
    a, b = made(sides.sequence, sides.ours, sides.now), made(sides.sequence, sides.theirs, sides.now)
    alike = {*candidates(sides.sequence, sides.ours, sides.now)} & {
        *candidates(sides.sequence, sides.theirs, sides.now)
    }
    if any(sides.sequence.steps[number].method == "HEAD" for number in alike) and not sides.ours[sides.now].asked:
        return "HEAD is passed on"  # here it freshened what was stored (RFC 9111 §4.3.5), there it was fetched
    if alike or a is None or b is None:
        return _form(sides)
    if b != sides.now:
        reasons = _reasons(sides.sequence, sides.theirs, b, sides.now)
        if reasons:
            found = [f"{sides.peer}: {reason}" for reason in reasons]
            return found[0] if set(found) <= TABLE.keys() else None
    if a == sides.now:
        return _left_by_us(sides, b)
    if b == sides.now:
        return _left_by_peer(sides, a)
    return "both may"


def made(sequence: Sequence, seen: list[Seen], now: int) -> int | None:
    """The step whose answer of the origin this one is; of those it may be the last that is allowed."""
    possible = candidates(sequence, seen, now)
    allowed = [number for number in possible if not _reasons(sequence, seen, number, now)]
    return next(iter(allowed or possible), None)


def candidates(sequence: Sequence, seen: list[Seen], now: int) -> list[int]:
    """The steps whose answer of the origin this one may be: the one it names, or, as 304 and 416 need not name one,
    all that would look like this, the last first."""
    one, step = seen[now], written(sequence, sequence.steps[now])
    if one.origin is not None:
        return [one.origin]
    found = []
    for number in range(now, -1, -1):
        other = written(sequence, sequence.steps[number])
        told = oracle.forms(sequence, number, step if number == now else other, step)
        if seen[number].asked and other.url == step.url and (one.status, one.body) in told:
            found.append(number)
    return found


def _reasons(sequence: Sequence, seen: list[Seen], stored: int, now: int) -> list[str]:
    """Why what was stored in a step may not be used now."""
    fetched = [number for number, one in enumerate(seen) if one.asked and one.origin == number]
    return list(oracle.forbids(sequence, stored, now, asked=seen[now].asked, fetched=fetched))


def _form(sides: Sides) -> str | None:
    ours, theirs = sides.ours[sides.now].status, sides.theirs[sides.now].status
    if {ours, theirs} & {206, 416} and 200 in {ours, theirs} and sides.step.get("Range"):
        return "a Range may be ignored"
    if 304 in {ours, theirs} and (sides.step.get("If-None-Match") or sides.step.get("If-Modified-Since")):
        return "a condition need not shorten"
    return None


def _left_by_us(sides: Sides, b: int) -> str | None:
    """Why we asked the origin, though the answer of step ``b`` would have done."""
    sequence, began = sides.sequence, sides.sequence.steps[b]
    if not sides.ours[b].asked:
        return "has something fresh"
    if began.method == "HEAD":
        return "HEAD is passed on"
    if began.get("Range"):
        return "a part is not the whole"
    if any(_shows_change(sides, number, b) for number in range(b + 1, sides.now)):
        return "HEAD told of a change"
    if _newer(sides, sides.ours, b) or _for_others(sides, b):
        return "has something newer"
    if directives(sides.step.get("Cache-Control")).get("max-age") == "0" and oracle.current_age(began.told) == 0:
        return "max-age=0 within a second"
    if began.told.status >= 400 and oracle.lifetime(sequence, b) > 300:
        return "an error does not live long"
    if any(_of_no_use(sequence, number) for number in range(b + 1) if sides.ours[number].asked):
        return "passes for a while"
    return None


def _shows_change(sides: Sides, number: int, stored: int) -> bool:
    """Whether we asked the origin with a HEAD in a step, and it had another version than in step ``stored``."""
    head, began = sides.sequence.steps[number], sides.sequence.steps[stored]
    passed = head.method == "HEAD" and head.url == began.url and sides.ours[number].asked
    return passed and head.told.status == 200 and head.told.version != began.told.version


def _of_no_use(sequence: Sequence, number: int) -> bool:
    """Whether the origin's answer of a step could not be shared."""
    told = sequence.steps[number].told
    stale = oracle.lifetime(sequence, number) <= oracle.current_age(told)
    unshared = told.cookie or "no-cache" in directives(told.cache_control)
    return bool(unshared) or stale or any(True for _ in oracle.storing_forbidden(sequence, number))


def _left_by_peer(sides: Sides, a: int) -> str | None:
    """Why a peer asked the origin, though the answer of step ``a`` did for us."""
    began, step, peer = sides.sequence.steps[a], sides.step, sides.peer
    told, said = began.told, directives(began.told.cache_control)
    resource = sides.sequence.resources[step.url]
    if not sides.theirs[a].asked:
        return "has something fresh"
    if told.cookie:
        return "Set-Cookie is not stored"
    if peer == "varnish" and any(each.get(name) for each in (began, step) for name in ("Authorization", "Cookie")):
        return "passes credentials"
    if peer == "varnish" and told.status not in {200, 203, 204, 301, 302, 404, 410}:
        return "stores few statuses"
    if "no-store" in said:
        return "no-store in spite of must-understand"
    if _newer(sides, sides.theirs, a):
        return "has something newer"
    if not {"max-age", "s-maxage"} & said.keys() and not resource.expires:
        return "does not guess"
    if oracle.lifetime(sides.sequence, a) <= oracle.current_age(told) + oracle.LATE:
        return "asks at once when stale"
    return None


def _newer(sides: Sides, seen: list[Seen], stored: int) -> bool:
    """Whether the origin was asked again in between, with an answer that cannot be used now."""
    return any(
        seen[number].asked and list(oracle.forbids(sides.sequence, number, sides.now))
        for number in range(stored + 1, sides.now)
        if sides.sequence.steps[number].url == sides.step.url
    )


def _for_others(sides: Sides, stored: int) -> bool:
    """Whether we asked the origin again in between, with an answer that sets cookies: it took the place of what was
    stored, and is not for a client that brings its own."""
    steps = sides.sequence.steps
    return bool(sides.step.get("Cookie")) and any(
        sides.ours[number].asked and steps[number].told.cookie
        for number in range(stored + 1, sides.now)
        if steps[number].url == sides.step.url
    )


def faults(sequence: Sequence, seen: list[Seen]) -> list[str]:
    """What is wrong with this proxy's answers by the RFCs alone, whatever others do."""
    found = []
    for now, one in enumerate(seen):
        step = written(sequence, sequence.steps[now])
        if one.status == 504 and "only-if-cached" in directives(step.get("Cache-Control")) and not one.asked:
            continue
        why = [_wrong(sequence, seen, now, number) for number in candidates(sequence, seen, now)]
        if not why:
            found.append(f"step {now}: {one} is no answer of the origin")
        elif "" not in why:
            found.append(f"step {now}: {why[0]}")
    return found


def _wrong(sequence: Sequence, seen: list[Seen], now: int, number: int) -> str:
    """What is wrong with an answer if it is the origin's of step ``number``; "" if it may be."""
    one, step = seen[now], written(sequence, sequence.steps[now])
    if number == now:
        return "" if (one.status, one.body) in oracle.forms(sequence, now, step, step) else "has not the form it could"
    if step.method not in SAFE:
        return f"{step.method} was not sent on"
    reasons = _reasons(sequence, seen, number, now)
    if reasons:
        return oracle.REASONS[reasons[0]]
    began, told = written(sequence, sequence.steps[number]), (one.status, one.body)
    wanted = oracle.forms(sequence, number, began, step)[0]
    if began.method == "HEAD" and not any(sequence.validators(number, began).values()):
        # RFC 9111 §4.3.5: it may have freshened what is stored; without validators the length alone has to match.
        earlier = [each for each in range(number) if sequence.steps[each].url == step.url and seen[each].asked]
        if any(told == oracle.forms(sequence, each, sequence.steps[each], step)[0] for each in earlier):
            return ""
    return "" if told == wanted else f"{wanted} would be its form"
