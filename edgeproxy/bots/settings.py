"""What bot_check weighs, what follows from it, and how crawlers are known, as configuration says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edgeproxy.bots.crawlers import Operator, known_operators
from edgeproxy.config.values import File, HostName, Many

_NEVER = 101  # a score nobody has

Weight = Annotated[int, Field(ge=0, le=100)]
Threshold = Annotated[int, Field(ge=1, le=100)]
Ja4 = Annotated[str, Field(pattern=r"^[tqd][0-9s][0-9][di][0-9]{4}[0-9A-Za-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$")]
Way = Literal["ranges", "dns"]


def _published(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in ("https", "http") or not url.hostname or "@" in url.netloc:
        raise ValueError(f"{text!r} is not a URL like https://crawler.example/ranges.json")
    return text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)


class WeightSettings(_Section):
    """What each signal adds to the score: 0 (nothing) to 100. `docs/bots.md` shows what real clients get."""

    agent: Weight = 50
    """No agent, or an endless one."""
    tool: Weight = 50
    """The agent of a program or library: `curl`, `python-requests`, `headlesschrome`."""
    crawler: Weight = 30
    """The agent of a crawler that was not verified."""
    exposed: Weight = 90
    """The agent of a crawler whose address is not one of its operator's (see `verify`)."""
    unknown: Weight = 20
    """Any other agent that is no browser's."""
    language: Weight = 15
    """No Accept-Language."""
    encoding: Weight = 15
    """No Accept-Encoding."""
    fetch_metadata: Weight = 25
    """Over https: no Sec-Fetch-Site, from an agent whose browser sends it."""
    shape: Weight = 25
    """Fields in an order in which the browser of that agent never sends them."""
    ja4: Weight = 40
    """A TLS hello that betrays a program (see `ja4`)."""
    feeds: Weight = 40
    """An address that a feed names (see the `reputation` stage)."""
    network: Weight = 20
    """A network that hosts programs (see `networks`)."""
    pace: Weight = 20
    """A client that asks faster than `pace`."""
    probes: Weight = 40
    """A client that has asked at least three times for what only scanners look for (`/.env`, `/wp-login.php`) and is
    not here; remembered for 10 to 20 minutes."""


class ActionSettings(_Section):
    """From which score on what is done: 1 to 100 each, in rising order. Not given: never."""

    tag: Threshold | None = None
    """Put the word `bot` on the log's line."""
    limit: Threshold | None = None
    """Have limits of `rate_limit` that are for suspects count the request."""
    challenge: Threshold | None = None
    """Have the `challenge` stage ask for a proof, if the route has it."""
    refuse: Threshold | None = None
    """Answer 403."""

    @model_validator(mode="after")
    def _rising(self) -> ActionSettings:
        given = [score for score in (self.limit, self.challenge, self.refuse) if score is not None]
        if given != sorted(given):
            raise ValueError("limit, challenge and refuse are milder to harsher: their scores must rise")
        return self

    def thresholds(self) -> tuple[int, int, int, int]:
        """For tag, limit, challenge and refuse; 101 for never."""
        return tuple(score or _NEVER for score in (self.tag, self.limit, self.challenge, self.refuse))  # type: ignore[return-value]


class Ja4Settings(_Section):
    """JA4 fingerprints of TLS hellos; listeners take them with `tls: {fingerprint: true}`."""

    programs: Annotated[tuple[Ja4, ...], Many] = Field((), max_length=10_000)
    """Those of programs, whatever their agent says."""
    browsers: Annotated[tuple[Ja4, ...], Many] = Field((), max_length=10_000)
    """Those of browsers: a browser's agent with any other one betrays a program. Not given: any will do. Browsers get
    new ones every few months, so watch the log before you act on this."""


class CrawlerSettings(_Section):
    """How a crawler is known. What is not given is as the operators of the best known ones say on their help pages."""

    domains: Annotated[tuple[HostName, ...], Many] | None = None
    """Its addresses have names below these, and the names the addresses."""
    urls: Annotated[tuple[Annotated[str, AfterValidator(_published)], ...], Many] | None = None
    """Where its address ranges are published, as JSON with a list of `prefixes` (`ipv4Prefix`, `ipv6Prefix`)."""
    files: Annotated[tuple[File, ...], Many] = ()
    """Files of that kind."""


def operators(settings: Mapping[str, CrawlerSettings], ways: tuple[Way, ...]) -> dict[str, Operator]:
    """The known operators and those of the settings, as far as they can be told by these ways."""
    known = known_operators()
    for name, own in settings.items():
        domains, ranges = known.get(name, Operator())
        own_ranges = (*(own.urls or ()), *own.files)
        known[name] = Operator(
            domains if own.domains is None else own.domains,
            ranges if own.urls is None and not own.files else own_ranges,
        )
    return {
        name: Operator(domains if "dns" in ways else (), ranges if "ranges" in ways else ())
        for name, (domains, ranges) in known.items()
    }
