"""What is asked, what the origin says to it, and how Hypothesis makes them up.

A sequence is a list of steps about two URLs. A step carries its own number to the origin (``X-Step``), and with it what
the origin is to say; the answer brings it back (``X-Origin``), so that whoever gets it knows when it was made. Nothing
waits: an answer is old because its ``Age`` or ``Date`` says so. All ages and lifetimes lie ten seconds and more apart.
"""

from __future__ import annotations

import string
import time
from dataclasses import dataclass, field
from email.utils import formatdate

from hypothesis import strategies as st

from edgeproxy.http.headers import Headers
from tests.support.origin import RecordedRequest

SAFE = ("GET", "HEAD")
URLS = 2
DAY = 86_400
LENGTH = 60  # bytes of every body but that of 204, which has none


@dataclass(frozen=True)
class Resource:
    """What stays the same about a URL: which validators it has, what its answers vary by, whether Expires is there."""

    etag: str  # "strong", "weak" or none
    dated: bool  # with Last-Modified
    vary: str
    expires: bool


@dataclass(frozen=True)
class Told:
    """What the origin says in one step. Seconds: ``date`` from now, ``expires`` from Date; ``age`` None for none."""

    status: int = 200
    cache_control: str = "max-age=3600"
    expires: int = 3600
    date: int = 0
    age: int | None = None
    cookie: str = ""
    version: int = 0


@dataclass(frozen=True)
class Step:
    """One request, and what the origin says to it if it is asked. ``fields`` are those of the request by name."""

    url: int = 0
    method: str = "GET"
    fields: dict[str, str] = field(default_factory=dict)
    told: Told = Told()

    def get(self, name: str) -> str:
        return self.fields.get(name, "")


@dataclass(frozen=True)
class Sequence:
    """Steps about :data:`URLS` URLs; ``began`` is wall time in whole seconds."""

    resources: tuple[Resource, ...]
    steps: tuple[Step, ...]
    began: int = field(default_factory=lambda: int(time.time()), compare=False)

    def fields(self, number: int, asking: Step) -> dict[str, str]:
        """The origin's fields in step ``number``, to a request with the fields of ``asking``."""
        told, resource = self.steps[number].told, self.resources[self.steps[number].url]
        date = int(time.time()) + told.date
        fields = {"X-Origin": str(number), "Date": formatdate(date, usegmt=True), "Cache-Control": told.cache_control}
        if resource.expires:
            fields["Expires"] = formatdate(date + told.expires, usegmt=True)
        if told.age is not None:
            fields["Age"] = str(told.age)
        if told.cookie:
            fields["Set-Cookie"] = told.cookie
        if resource.vary:
            fields["Vary"] = resource.vary
        if told.status in {301, 302}:
            fields["Location"] = "/elsewhere"
        return fields | {name: value for name, value in self.validators(number, asking).items() if value}

    def validators(self, number: int, asking: Step) -> dict[str, str]:
        """ETag and Last-Modified of what the origin has in step ``number``, "" where there is none."""
        told, resource = self.steps[number].told, self.resources[self.steps[number].url]
        tag = f'"{told.version}-{told.status}{_spoken(resource, asking)}"' if resource.etag else ""
        modified = self.modified(told.version) if resource.dated and told.status == 200 else ""
        return {"ETag": ("W/" if resource.etag == "weak" else "") + tag, "Last-Modified": modified}

    def modified(self, version: int) -> str:
        return formatdate(self.began - 10 * DAY + 3600 * version, usegmt=True)

    def body(self, number: int, asking: Step) -> bytes:
        """What the origin has in step ``number`` for such a request: no piece of it occurs twice."""
        told, resource = self.steps[number].told, self.resources[self.steps[number].url]
        text = f"{self.steps[number].url} {told.version} {told.status}{_spoken(resource, asking)}"
        return b"" if told.status == 204 else (text + string.ascii_letters)[:LENGTH].encode()


def _spoken(resource: Resource, asking: Step) -> str:
    """What of the request the answer depends on."""
    names = [name.strip() for name in resource.vary.split(",") if name.strip() not in {"", "*"}]
    return "".join(f" {asking.get(name) or '-'}" for name in names)


def heard(request: RecordedRequest) -> Step:
    """A request at the origin as a step's."""
    fields = {name.decode().title(): value.decode() for name, value in request.fields}
    return Step(method=request.method.decode(), fields={_ODD.get(name, name): value for name, value in fields.items()})


_ODD = {"Etag": "ETag"}

# How often each stands in a list is how often it is drawn.
_CACHE_CONTROLS = [
    *(["max-age=60"] * 4),
    *(["max-age=3600"] * 4),
    "max-age=0",
    "no-cache",
    "no-store",
    "private",
    "private, max-age=60",
    "public",
    "public, max-age=60",
    "s-maxage=60",
    "s-maxage=3600, max-age=0",
    "s-maxage=0, max-age=3600",
    "max-age=60, must-revalidate",
    "max-age=60, proxy-revalidate",
    "max-age=60, no-cache",
    "max-age=60, immutable",
    "Max-Age=60",
    "no-store, max-age=60, must-understand",
    *(["max-age=60, stale-while-revalidate=3600"] * 2),
    *(["max-age=60, stale-if-error=3600"] * 2),
    *(["x-nothing"] * 3),  # a directive nobody knows: as good as no field, and a 304 with it says so anew
]
_REQUEST_CACHE_CONTROLS = [
    "no-cache",
    "no-store",
    "max-age=0",
    "max-age=50",
    "min-fresh=10",
    "min-fresh=1000",
    "max-stale",
    "max-stale=10",
    "only-if-cached",
]
_STATUSES = [*([200] * 14), 203, 204, 301, 302, 404, 404, 410, 500, 503, 503]
_RANGES = ["bytes=0-9", "bytes=10-", "bytes=-5", "bytes=0-", "bytes=100-", "bytes=0-1,4-5"]
_COOKIES = [*([""] * 12), "a=1", "session=0123456789abcdef"]
_LANGUAGES, _ENCODINGS = ["", "", "", "en", "de", "de, en;q=0.5"], ["", "", "gzip", "br"]


def _sometimes(often: int, values: list[str]) -> st.SearchStrategy[str]:
    """One of the values in one of so many cases, else ""."""
    return st.sampled_from([*([""] * (often * len(values) - len(values))), *values])


resources = st.builds(
    Resource,
    etag=st.sampled_from(["strong", "strong", "weak", ""]),
    dated=st.booleans(),
    vary=st.sampled_from(
        ["", "", "", "", "Accept-Language", "Accept-Encoding", "Accept-Language, Accept-Encoding", "*"]
    ),
    expires=st.sampled_from([False, False, True]),
)
tellings = st.builds(
    Told,
    status=st.sampled_from(_STATUSES),
    cache_control=st.sampled_from(_CACHE_CONTROLS),
    expires=st.sampled_from([3600, 60, -1000]),
    date=st.sampled_from([0, 0, 0, 0, 0, -100, -4000, 100]),
    age=st.sampled_from([None, None, None, None, 30, 100, 4000]),
    cookie=st.sampled_from(_COOKIES),
    version=st.integers(0, 1),
)


@st.composite
def sequences(draw: st.DrawFn, most: int = 12) -> Sequence:
    """Six to ``most`` steps."""
    about = tuple(draw(resources) for _ in range(URLS))
    steps = [draw(_steps(about)) for _ in range(draw(st.integers(6, most)))]
    return Sequence(about, tuple(steps))


@st.composite
def _steps(draw: st.DrawFn, about: tuple[Resource, ...]) -> Step:
    url = draw(st.sampled_from([0, 0, 0, 1]))
    method = draw(st.sampled_from(["GET"] * 10 + ["HEAD", "HEAD", "POST", "PUT", "DELETE"]))
    fields = {
        "Accept-Language": draw(st.sampled_from(_LANGUAGES)),
        "Accept-Encoding": draw(st.sampled_from(_ENCODINGS)),
        "Authorization": draw(_sometimes(8, ["Basic YTpi"])),
        "Cookie": draw(_sometimes(8, ["who=me"])),
    }
    if method in SAFE:
        fields |= draw(_conditions)
        fields["Cache-Control"] = draw(_sometimes(4, _REQUEST_CACHE_CONTROLS))
        fields["Pragma"] = draw(_sometimes(20, ["no-cache"]))
    return Step(url, method, {name: value for name, value in fields.items() if value}, draw(tellings))


def pairs() -> list[Sequence]:
    """Every directive and every status, each asked for again by every kind of request that may make a difference."""
    tellings = [Told(cache_control=value, age=age) for value in dict.fromkeys(_CACHE_CONTROLS) for age in (None, 100)]
    tellings += [Told(status, said) for status in dict.fromkeys(_STATUSES) for said in ("x-nothing", "max-age=3600")]
    tellings += [Told(cookie=cookie) for cookie in dict.fromkeys(_COOKIES)]
    again = [{}, {"Authorization": "Basic YTpi"}, {"Cookie": "who=me"}, {"Range": "bytes=0-9"}, {"Pragma": "no-cache"}]
    again += [{"Cache-Control": value} for value in _REQUEST_CACHE_CONTROLS]
    about = Resource(etag="strong", dated=True, vary="", expires=False)
    both = [(told, fields) for told in tellings for fields in again]
    return [
        Sequence((about,), (Step(fields=fields if first else {}, told=told), Step(fields={} if first else fields)))
        for told, fields in both
        for first in (False, True)
    ]


# Names of dates are put into words when the request is made.
_conditions = st.one_of(
    st.just({}),
    st.just({}),
    st.just({}),
    st.fixed_dictionaries({"If-None-Match": st.sampled_from(['"0-200"', 'W/"1-200"', '"x", "0-200"', "*", '"x"'])}),
    st.fixed_dictionaries({"If-Modified-Since": st.sampled_from(["before", "0", "1", "after"])}),
    st.fixed_dictionaries(
        {"Range": st.sampled_from(_RANGES), "If-Range": st.sampled_from(["", "", '"0-200"', 'W/"0-200"', "0"])}
    ),
    st.fixed_dictionaries({"Range": st.sampled_from(_RANGES), "If-None-Match": st.just('"0-200"')}),
)


def written(sequence: Sequence, step: Step) -> Step:
    """A step with its dates in words."""
    fields = dict(step.fields)
    for name in ("If-Modified-Since", "If-Range"):
        value = fields.get(name, "")
        if value.isdigit():
            fields[name] = sequence.modified(int(value))
        elif value in {"before", "after"}:
            fields[name] = formatdate(sequence.began - (20 if value == "before" else 5) * DAY, usegmt=True)
    return Step(step.url, step.method, {name: value for name, value in fields.items() if value}, step.told)


def as_headers(step: Step) -> Headers:
    """The request's fields as they go out."""
    return {name.encode(): value.encode() for name, value in step.fields.items()}
