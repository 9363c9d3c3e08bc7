"""``head/1``: a request's head as numbers: what its agent says, which fields it has in which order, and whether the
rest agrees with the agent.

Nobody's word is taken for more than it is: an agent sets some numbers, the fields, their order, client hints and fetch
metadata set others, so that a model sees where they part. A value seen before costs a look-up; each is bounded before
it is looked at. No value that says who somebody is goes in.
"""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from edgeproxy.http.headers import Headers, members
from edgeproxy.http.message import Request
from edgeproxy.http.pseudo import names
from edgeproxy.http.structured import Item, parse_list
from edgeproxy.pipeline.memo import Memo

# What the agent says by itself.
_AGENT: Final = (
    *("agent: none", "agent: begins as browsers' do", "agent: Chromium", "agent: Gecko", "agent: WebKit"),
    *("agent: mobile", "agent: 32nds of words", "agent: 8ths of unusual words", "agent: a URL or a mailbox"),
    *("agent: compatible", "agent: only the first number of a version", "agent: longer than is looked at"),
    "agent: headless",
)
# Fields that may be there.
_FIELDS: Final = (
    *(b"accept", b"accept-encoding", b"accept-language", b"authorization", b"cache-control", b"content-type"),
    *(b"cookie", b"dnt", b"from", b"if-modified-since", b"if-none-match", b"origin", b"pragma", b"priority"),
    *(b"range", b"referer", b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"sec-fetch-dest"),
    *(b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user", b"sec-gpc", b"te", b"upgrade-insecure-requests"),
    *(b"user-agent", b"x-requested-with"),
)
# Two fields: 1 if they come in this order, -1 if in the other, 0 if one of them is not there. The first ones stand so
# in all requests of Chromium (measured: 156), the last ones in all of Firefox (153).
_CHROMIUM_PAIRS: Final = (
    *((b"accept", b"accept-encoding"), (b"accept-encoding", b"accept-language"), (b"connection", b"user-agent")),
    *((b"user-agent", b"accept-encoding"), (b"sec-ch-ua", b"accept-encoding"), (b"sec-fetch-site", b"accept-encoding")),
    *((b"sec-fetch-site", b"sec-fetch-dest"), (b"sec-fetch-site", b"sec-fetch-mode")),
)
_GECKO_PAIRS: Final = (
    *((b"user-agent", b"accept"), (b"accept", b"accept-language"), (b"accept-language", b"connection")),
    *((b"sec-fetch-dest", b"sec-fetch-mode"), (b"sec-fetch-mode", b"sec-fetch-site")),
)
_PAIRS: Final = _CHROMIUM_PAIRS + _GECKO_PAIRS
_LANGUAGE_LAST: Final = 1  # of the pairs, the one that Gecko turns round
_ORDER: Final = (
    *(f"field: {name.decode()}" for name in _FIELDS),
    *("fields: 32nds", "fields: 8ths of unusual ones"),
    *(f"order: {one.decode()} before {other.decode()}" for one, other in _PAIRS),
)
_VALUES: Final = (
    *("accept: 8ths", "accept: everything alone", "accept: HTML", "accept: pictures"),
    *("encodings: 4ths", "encodings: gzip", "encodings: br", "encodings: zstd"),
    *("languages: 8ths", "languages: everything", "languages: weighted"),
    *("hints: of a headless browser", "hints: malformed", "fetch: navigation", "fetch: at odds with itself"),
)
# Where the agent and the rest part.
_PARTING: Final = (
    *("browser without languages", "browser without encodings", "browser without accept"),
    *("browser without fetch metadata", "Chromium without hints", "hints of no Chromium"),
    *("hints of another version", "hints of another system", "hints at odds about mobile"),
    *("page without upgrade", "order is not Chromium's", "order is not Gecko's"),
)
_WIRE: Final = ("https", "HTTP/1.0")

NUMBERS: Final = (*_AGENT, *_ORDER, *_VALUES, *_PARTING, *_WIRE)
WORDS: Final = 512  # bins of the agent's words and of their beginnings and ends
NAMES: Final = (*NUMBERS, *(f"word {place}" for place in range(WORDS)))
LENGTH: Final = len(NAMES)

_ORDER_AT: Final = len(_AGENT)
_VALUES_AT: Final = _ORDER_AT + len(_ORDER)
_WORDS_AT: Final = len(NUMBERS)

# Bounds of what is looked at, and of what is remembered of each part.
_BYTES: Final = 512
_SHORT: Final = 32  # longer than any word that means something here
_MOST_WORDS: Final = 48
_MOST_FIELDS: Final = 64
_KEPT: Final = 1024

_CHROMIUM, _GECKO, _WEBKIT = 1, 2, 3
_BEGINNING: Final = b"mozilla/5.0 ("
_WORD: Final = re.compile(rb"[a-z]+")
_CHROME: Final = re.compile(rb" (?:headless)?chrome/([0-9]{1,4})\.([0-9.]*)")
_FIREFOX: Final = re.compile(rb" gecko/[0-9.]+ firefox/([0-9]{1,4})\.")
_SAFARI: Final = re.compile(rb" applewebkit/[^/]+ version/([0-9]{1,4})\.")
_CONTACT: Final = re.compile(rb"https?:|www\.|@")

# Since which version each sends what, to https: https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site and
# …/Sec-CH-UA.
_METADATA_SINCE: Final = (0, 80, 90, 17)
_HINTS_SINCE: Final = 90

# Words of the agents of browsers as they are today; all others are unusual.
_USUAL_WORDS: Final[frozenset[bytes]] = frozenset(
    b"mozilla windows nt win x wow applewebkit khtml like gecko chrome safari firefox rv version mobile iphone ipad "
    b"cpu os mac macintosh intel linux android ubuntu cros aarch fxios crios edg edga edgios opr gsa samsungbrowser "
    b"k".split()
)
# Fields that are nothing unusual, or that proxies add.
_USUAL_FIELDS: Final[frozenset[bytes]] = frozenset(
    (
        *_FIELDS,
        *(b"host", b"connection", b"content-length", b"save-data", b"upgrade", b"purpose"),
        *(b"access-control-request-method", b"access-control-request-headers"),
        *(b"cdn-loop", b"forwarded", b"traceparent", b"tracestate", b"via", b"x-forwarded-for", b"x-forwarded-host"),
        *(b"x-forwarded-port", b"x-forwarded-proto", b"x-real-ip", b"x-request-id"),
    )
)
_HEADLESS: Final = b"headlesschrome"
_SYSTEMS: Final = (  # what an agent has, and what client hints say then; the first counts
    *((b"android", "Android"), (b"windows nt", "Windows"), (b" cros ", "Chrome OS"), (b"mac os x", "macOS")),
    (b"linux", "Linux"),
)
# W3C Fetch Metadata Request Headers §2; destinations of navigations: https://fetch.spec.whatwg.org/#requestdestination
_SITES: Final[frozenset[bytes]] = frozenset((b"cross-site", b"same-origin", b"same-site", b"none"))
_MODES: Final[frozenset[bytes]] = frozenset((b"cors", b"navigate", b"no-cors", b"same-origin", b"websocket"))
_PAGES: Final[frozenset[bytes]] = frozenset((b"document", b"embed", b"fencedframe", b"frame", b"iframe", b"object"))

_Numbers = npt.NDArray[np.float32]


class _Agent:
    """What an agent says: all of the numbers, those of other parts zeros; the engine and its version, 0 if there is
    none; the system, "" if there is none."""

    __slots__ = ("engine", "metadata", "mobile", "row", "system", "version")

    def __init__(self, row: _Numbers, engine: int, version: int, system: str, mobile: bool) -> None:
        self.row = row
        self.engine = engine
        self.version = version
        self.system = system
        self.mobile = mobile
        self.metadata = engine > 0 and version >= _METADATA_SINCE[engine]


class _Order:
    """What the fields' names say: their part of the numbers, and whether an engine puts them in this order."""

    __slots__ = ("chromium", "gecko", "row")

    def __init__(self, row: _Numbers, chromium: bool, gecko: bool) -> None:
        self.row = row
        self.chromium = chromium
        self.gecko = gecko


class _Hints:
    """What Sec-CH-UA says: Chromium's version, 0 if it names none."""

    __slots__ = ("headless", "malformed", "version")

    def __init__(self, version: int, headless: bool, malformed: bool) -> None:
        self.version = version
        self.headless = float(headless)
        self.malformed = float(malformed)


def vector(request: Request) -> _Numbers:
    """float32[LENGTH], by NAMES; each -1 to 1."""
    headers = request.headers
    agent = _agents[headers.get(b"user-agent", b"")[: _BYTES + 1]]
    order = _orders[b"\n".join(names(request))]
    given = headers.get(b"sec-ch-ua")
    hints = None if given is None else _hints[given[: _BYTES + 1]]
    row: _Numbers = agent.row.copy()
    row[_ORDER_AT:_VALUES_AT] = order.row
    row[_VALUES_AT:_WORDS_AT] = (
        *_values(headers, hints),
        *_parting(request, agent, order, hints),
        float(request.scheme == b"https"),
        float(request.version == b"1.0"),
    )
    return row


def identity(request: Request) -> bytes:
    """What :func:`vector` goes by: two requests with the same identity have the same numbers."""
    headers = request.headers
    return b"\n".join(
        (
            request.scheme,
            request.version,
            headers.get(b"user-agent", b"")[: _BYTES + 1],
            headers.get(b"accept", b"")[:_BYTES],
            headers.get(b"accept-encoding", b"")[:_BYTES],
            headers.get(b"accept-language", b"")[:_BYTES],
            headers.get(b"sec-ch-ua", b"")[: _BYTES + 1],
            headers.get(b"sec-ch-ua-platform", b"")[:_BYTES],
            headers.get(b"sec-ch-ua-mobile", b"")[:_SHORT],
            headers.get(b"sec-fetch-mode", b"")[:_SHORT],
            headers.get(b"sec-fetch-site", b"")[:_SHORT],
            headers.get(b"sec-fetch-dest", b"")[:_SHORT],
            *headers,
        )
    )


def _values(headers: Headers, hints: _Hints | None) -> tuple[float, ...]:
    return (
        *_accepts[headers.get(b"accept", b"")[:_BYTES]],
        *_encodings[headers.get(b"accept-encoding", b"")[:_BYTES]],
        *_languages[headers.get(b"accept-language", b"")[:_BYTES]],
        0.0 if hints is None else hints.headless,
        0.0 if hints is None else hints.malformed,
        float(headers.get(b"sec-fetch-mode") == b"navigate"),
        float(_is_at_odds(headers)),
    )


def _is_at_odds(headers: Headers) -> bool:
    """Whether the fetch metadata are such as no browser sends."""
    mode = headers.get(b"sec-fetch-mode")
    if mode is None:
        return b"sec-fetch-user" in headers
    navigates = mode == b"navigate"
    return (
        mode not in _MODES
        or headers.get(b"sec-fetch-site") not in _SITES
        or (headers.get(b"sec-fetch-dest") in _PAGES) != navigates
        or (b"sec-fetch-user" in headers and not navigates)
    )


def _parting(request: Request, agent: _Agent, order: _Order, hints: _Hints | None) -> tuple[float, ...]:
    headers = request.headers
    browser = agent.engine > 0
    chromium = agent.engine == _CHROMIUM
    secure = request.scheme == b"https" and b"upgrade" not in headers  # WebSockets have neither hints nor metadata
    version = system = mobile = False
    if hints is not None and chromium:
        version = hints.version != agent.version
        told = headers.get(b"sec-ch-ua-platform")
        system = told is not None and _texts[told[:_BYTES]] != agent.system
        told = headers.get(b"sec-ch-ua-mobile")
        mobile = told is not None and (told == b"?1") != agent.mobile
    page = headers.get(b"sec-fetch-dest") == b"document"
    return (
        float(browser and b"accept-language" not in headers),
        float(browser and b"accept-encoding" not in headers),
        float(browser and b"accept" not in headers),
        float(secure and agent.metadata and b"sec-fetch-site" not in headers),
        float(secure and chromium and hints is None and agent.version >= _HINTS_SINCE),
        float(hints is not None and not chromium),
        float(version),
        float(system),
        float(mobile),
        float(page and b"upgrade-insecure-requests" not in headers),
        float(chromium and not order.chromium),
        float(agent.engine == _GECKO and not order.gecko),
    )


# What is worked out once for each value that comes by.


def _read_agent(value: bytes) -> _Agent:
    said = value[:_BYTES].lower()
    words = _WORD.findall(said)[:_MOST_WORDS]
    row: _Numbers = np.zeros(LENGTH, np.float32)
    places: set[int] = set()
    for word in words:
        for part in (word, b"^" + word[:4], word[-3:] + b"$", word[-4:] + b"$"):
            places.add(_WORDS_AT + crc32(part) % WORDS)
    row[list(places)] = 1.0
    engine, version, reduced = _engine(said)
    mobile = b"mobile" in words
    row[:_ORDER_AT] = (
        float(not value),
        float(said.startswith(_BEGINNING)),
        float(engine == _CHROMIUM),
        float(engine == _GECKO),
        float(engine == _WEBKIT),
        float(mobile),
        min(1.0, len(words) / 32),
        min(1.0, sum([word not in _USUAL_WORDS for word in words]) / 8),
        float(_CONTACT.search(said) is not None),
        float(b"compatible" in words),
        float(reduced),
        float(len(value) > _BYTES),
        float(_HEADLESS in words),
    )
    system = ""
    for text, name in _SYSTEMS:
        if text in said:
            system = name
            break
    return _Agent(row, engine, version, system, mobile)


def _engine(said: bytes) -> tuple[int, int, bool]:
    """The engine that an agent in lower case claims, its version, and whether the rest of that is zeros, as Chromium's
    are since 2022 (https://www.chromium.org/updates/ua-reduction/)."""
    if said.startswith(_BEGINNING):
        chrome = _CHROME.search(said)
        if chrome is not None:
            return _CHROMIUM, int(chrome[1]), chrome[2] == b"0.0.0"
        firefox = _FIREFOX.search(said)
        if firefox is not None:
            return _GECKO, int(firefox[1]), False
        safari = _SAFARI.search(said)
        if safari is not None:
            return _WEBKIT, int(safari[1]), False
    return 0, 0, False


def _read_order(joined: bytes) -> _Order:
    names = joined.split(b"\n", _MOST_FIELDS)[:_MOST_FIELDS]
    places = {name: place for place, name in enumerate(names)}
    pairs = [_before(places, one, other) for one, other in _PAIRS]
    unusual = sum([name not in _USUAL_FIELDS and not name.startswith(b"sec-") for name in names])
    row = (
        *[float(name in places) for name in _FIELDS],
        *(min(1.0, len(names) / 32), min(1.0, unusual / 8)),
        *pairs,
    )
    count = len(_CHROMIUM_PAIRS)
    gecko = pairs[_LANGUAGE_LAST] <= 0 and -1.0 not in pairs[count:]
    return _Order(np.array(row, np.float32), -1.0 not in pairs[:count], gecko)


def _before(places: dict[bytes, int], one: bytes, other: bytes) -> float:
    if one not in places or other not in places:
        return 0.0
    return 1.0 if places[one] < places[other] else -1.0


def _listed(value: bytes) -> list[bytes]:
    """The members of a list without their parameters, in lower case."""
    return [member.partition(b";")[0].rstrip(b" \t") for member in members(value.lower())]


def _read_accept(value: bytes) -> tuple[float, ...]:
    kinds = _listed(value)
    return (
        min(1.0, len(kinds) / 8),
        float(kinds == [b"*/*"]),
        float(b"text/html" in kinds),
        float(b"image/" in [kind[:6] for kind in kinds]),
    )


def _read_encodings(value: bytes) -> tuple[float, ...]:
    codings = _listed(value)
    known = [float(coding in codings) for coding in (b"gzip", b"br", b"zstd")]
    return (min(1.0, len(codings) / 4), *known)


def _read_languages(value: bytes) -> tuple[float, ...]:
    languages = _listed(value)
    return (min(1.0, len(languages) / 8), float(b"*" in languages), float(b";" in value))


def _read_hints(value: bytes) -> _Hints:
    """A list of brands with their versions (https://wicg.github.io/ua-client-hints/#sec-ch-ua)."""
    brands = parse_list(value) if len(value) <= _BYTES else None
    version, headless, malformed = 0, False, not brands
    for brand in brands or ():
        if not isinstance(brand, Item) or not isinstance(brand.value, str):
            malformed = True
            continue
        told = brand.parameters.get("v")
        if brand.value == "Chromium" and isinstance(told, str) and told.isascii() and told.isdecimal():
            version = int(told[:6])
        if brand.value.lower().encode() == _HEADLESS:
            headless = True
    return _Hints(version, headless, malformed)


def _read_text(value: bytes) -> str:
    """A string of RFC 9651 that stands alone; "" for anything else."""
    found = parse_list(value)
    if found is None or len(found) != 1:
        return ""
    item = found[0]
    return item.value if isinstance(item, Item) and isinstance(item.value, str) else ""


_agents: Final[Memo[bytes, _Agent]] = Memo(_read_agent, _KEPT)
_orders: Final[Memo[bytes, _Order]] = Memo(_read_order, _KEPT)
_accepts: Final[Memo[bytes, tuple[float, ...]]] = Memo(_read_accept, _KEPT)
_encodings: Final[Memo[bytes, tuple[float, ...]]] = Memo(_read_encodings, _KEPT)
_languages: Final[Memo[bytes, tuple[float, ...]]] = Memo(_read_languages, _KEPT)
_hints: Final[Memo[bytes, _Hints]] = Memo(_read_hints, _KEPT)
_texts: Final[Memo[bytes, str]] = Memo(_read_text, _KEPT)
