"""What RFC 9110 and RFC 9111 say of a sequence, in the test's own words: nothing here comes from the product.

Two questions: may a stored answer stand for the origin's now (:func:`forbids`), and what form does an answer take for
a request with conditions or a Range (:func:`forms`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime

from tests.integration.cache.peers.steps import SAFE, Sequence, Step, Told

LATE = 5  # seconds a sequence may take; everything in it lies further apart

FAILED = frozenset((500, 502, 503, 504))  # RFC 5861 §4
# RFC 9110 §15.1, as far as they occur here.
_HEURISTIC = frozenset((200, 203, 204, 301, 404, 410))

REASONS: dict[str, str] = {
    "method": "RFC 9111 §3: an answer to this method is not stored for GET",
    "no-store": "RFC 9111 §5.2.2.5: an answer with no-store is not stored",
    "private": "RFC 9111 §5.2.2.7: a private answer is not stored by a shared cache",
    "request no-store": "RFC 9111 §5.2.1.5: nothing of a request with no-store is stored",
    "authorization": "RFC 9111 §3.5: an answer to Authorization is for others only if it says so",
    "unasked": "RFC 9111 §3: nothing says that this may be stored",
    "vary *": "RFC 9111 §4.1: Vary: * matches no request",
    "vary": "RFC 9111 §4.1: a field that Vary names is another one",
    "no-cache": "RFC 9111 §5.2.2.4: no-cache asks for validation before every use",
    "request no-cache": "RFC 9111 §5.2.1.4, §5.4: the client asks for validation",
    "request max-age": "RFC 9111 §5.2.1.1: older than the client accepts",
    "request min-fresh": "RFC 9111 §5.2.1.3: not fresh for as long as the client asks",
    "stale by max-age": "RFC 9111 §4.2: no longer fresh",
    "stale by Age": "RFC 9111 §4.2.3: no longer fresh, counting the Age it came with",
    "stale by Date": "RFC 9111 §4.2.3: no longer fresh, counting from its Date",
    "invalidated": "RFC 9111 §4.4: an unsafe request for the URL has succeeded since",
    "superseded": "RFC 9111 §4: of several the most recent is used",
}


def directives(value: str) -> dict[str, str]:
    """Directives to arguments, "" without one."""
    pairs = (member.strip().partition("=") for member in value.lower().split(",") if member.strip())
    return {name: argument for name, _, argument in reversed(list(pairs))}


def forbids(
    sequence: Sequence, stored: int, now: int, *, asked: bool = False, fetched: Iterable[int] = ()
) -> Iterator[str]:
    """Why the origin's answer of step ``stored`` may not be what step ``now`` is answered with: keys of
    :data:`REASONS`. ``asked``: the cache asks the origin now; if that fails, it has done what the client wanted (RFC
    9111 §4.3.3). ``fetched``: the steps in which it answered with what the origin then said."""
    yield from storing_forbidden(sequence, stored)
    began, step = sequence.steps[stored], sequence.steps[now]
    resource, told, said = sequence.resources[step.url], began.told, directives(began.told.cache_control)
    tried = asked and step.told.status in FAILED
    wants = {} if tried else directives(step.get("Cache-Control"))
    if any(began.get(name) != step.get(name) for name in resource.vary.replace(" ", "").split(",") if name != "*"):
        yield "vary"
    if "no-cache" in said:
        yield "no-cache"
    if "no-cache" in wants or (step.get("Pragma") and not step.get("Cache-Control") and not tried):
        yield "request no-cache"
    age = current_age(told)
    left = lifetime(sequence, stored) - age
    if age > int(wants.get("max-age", age)) + LATE and not ("immutable" in said and left > 0):  # RFC 8246 §2
        yield "request max-age"
    if "min-fresh" in wants and left < int(wants["min-fresh"]):
        yield "request min-fresh"
    if left <= 0 and not stale_allowed(said, wants, -left, failed=tried):
        yield _stale(sequence, stored)
    for between in range(stored + 1, now):
        other = sequence.steps[between]
        if other.url == step.url and other.method not in SAFE and other.told.status < 400:
            yield "invalidated"
    if any(_supersedes(sequence, between, stored, step) for between in fetched if stored < between < now):
        yield "superseded"


def storing_forbidden(sequence: Sequence, stored: int) -> Iterator[str]:
    """Why the origin's answer of this step may not be stored."""
    began = sequence.steps[stored]
    told, resource, said = began.told, sequence.resources[began.url], directives(began.told.cache_control)
    if began.method not in SAFE:
        yield "method"
    if "no-store" in said and "must-understand" not in said:
        yield "no-store"
    if "private" in said:
        yield "private"
    if "no-store" in directives(began.get("Cache-Control")):
        yield "request no-store"
    if began.get("Authorization") and not {"public", "s-maxage", "must-revalidate"} & said.keys():
        yield "authorization"
    explicit = resource.expires or {"public", "max-age", "s-maxage"} & said.keys()
    if told.status not in _HEURISTIC and not explicit:
        yield "unasked"
    if resource.vary == "*":
        yield "vary *"


def stale_allowed(said: dict[str, str], wants: dict[str, str], over: float, *, failed: bool) -> bool:
    """Whether an answer may be used that has been stale for ``over`` seconds, by leave of the client (RFC 9111
    §5.2.1.2) or of the origin (RFC 5861); ``failed``: which was asked, and could not answer."""
    if {"must-revalidate", "proxy-revalidate", "s-maxage"} & said.keys():
        return False
    if "max-stale" in wants and over <= int(wants["max-stale"] or 2**31) + LATE:
        return True
    if over < int(said.get("stale-while-revalidate", 0)):
        return True
    return failed and over < int(said.get("stale-if-error", 0))


def current_age(told: Told) -> int:
    """RFC 9111 §4.2.3, give or take the seconds since it came."""
    return max(0, -told.date, told.age or 0)


def lifetime(sequence: Sequence, stored: int) -> int:
    """RFC 9111 §4.2.1; the longest guess that §4.2.2 suggests where nothing is told."""
    step = sequence.steps[stored]
    said, resource = directives(step.told.cache_control), sequence.resources[step.url]
    for name in ("s-maxage", "max-age"):
        if name in said:
            return int(said[name])
    if resource.expires:
        return max(0, step.told.expires)
    guessed = resource.dated and step.told.status == 200
    return 86_400 if guessed else 0


def _stale(sequence: Sequence, stored: int) -> str:
    left, told = lifetime(sequence, stored), sequence.steps[stored].told
    if left <= 0:
        return "stale by max-age"
    return "stale by Age" if (told.age or 0) >= left else "stale by Date"


def _supersedes(sequence: Sequence, newer: int, stored: int, step: Step) -> bool:
    """Whether an answer of a later step was sure to be stored too, and is the one to use by its Date."""
    other = sequence.steps[newer]
    said = directives(other.told.cache_control)
    fresh = lifetime(sequence, newer) > current_age(other.told) and "no-cache" not in said
    if not fresh or not {"max-age", "s-maxage"} & said.keys():
        return False
    if other.url != step.url or other.method != "GET" or any(storing_forbidden(sequence, newer)) or other.told.cookie:
        return False
    names = sequence.resources[step.url].vary.replace(" ", "").split(",")
    selected = all(other.get(name) == step.get(name) for name in names)
    full = other.told.status not in {500, 503} and not other.get("Range")
    return selected and full and other.told.date >= sequence.steps[stored].told.date


def forms(sequence: Sequence, number: int, asking: Step, step: Step, *, exact: bool = False) -> list[tuple[int, bytes]]:
    """Status and body of what the origin had in step ``number``, for the request ``step``, made from a representation
    that was asked for as in ``asking``: first the one the RFCs want, then what else they let pass. ``exact``: by
    If-Modified-Since only what was modified then, for an origin whose versions come and go."""
    told = sequence.steps[number].told
    body = sequence.body(number, asking)
    whole = (told.status, body)
    found = []
    if told.status // 100 == 2 and step.method in SAFE:  # RFC 9110 §13.2.1, in the order of §13.2.2
        validators = sequence.validators(number, asking)
        found = [
            *_not_modified(validators, step, exact),
            *(_part(validators, body, step) if told.status == 200 else []),
        ]
    return [(status, b"" if step.method == "HEAD" else content) for status, content in [*found, whole]]


def _not_modified(validators: dict[str, str], step: Step, exact: bool) -> Iterator[tuple[int, bytes]]:
    if step.get("If-None-Match"):
        if _matches(step.get("If-None-Match"), validators["ETag"]):
            yield 304, b""
    elif step.get("If-Modified-Since") and validators["Last-Modified"]:
        told, modified = map(parsedate_to_datetime, (step.get("If-Modified-Since"), validators["Last-Modified"]))
        if modified == told or (modified < told and not exact):
            yield 304, b""


def _matches(field: str, etag: str) -> bool:
    """RFC 9110 §8.8.3.2, weakly."""
    return field == "*" or (bool(etag) and etag.removeprefix("W/") in re.findall(r'"[^"]*"', field))


def _part(validators: dict[str, str], body: bytes, step: Step) -> Iterator[tuple[int, bytes]]:
    """The part asked for (RFC 9110 §14.2, §13.1.5); of several only that they are."""
    field, condition = step.get("Range"), step.get("If-Range")
    if step.method != "GET" or not field:
        return
    if condition and (condition not in validators.values() or condition.startswith("W/")):
        return
    if condition and condition == validators["Last-Modified"] and validators["ETag"].startswith("W/"):
        return  # beside a weak tag we take the date for a weak validator too (§8.8.2.2)
    first, _, last = field.removeprefix("bytes=").partition("-")
    if "," in field:
        yield 206, MULTIPART
    elif not first:
        yield 206, body[-int(last) :]
    elif int(first) >= len(body):
        yield 416, b""
    else:
        yield 206, body[int(first) : int(last) + 1 if last else None]


MULTIPART = b"multipart"
