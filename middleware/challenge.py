"""Has browsers prove that they are some."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgeproxy.challenge.clearance import Clearances
from edgeproxy.challenge.desk import Desk
from edgeproxy.challenge.gate import Gate
from edgeproxy.challenge.pages import Pages
from edgeproxy.challenge.puzzle import MOST_BITS, Puzzles
from edgeproxy.config.units import Duration, Rate, RateValue
from edgeproxy.config.values import LongSecret, Many, Method, Path
from edgeproxy.http.message import Response
from edgeproxy.limits.gcra import Limiter
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

Bits = Annotated[int, Field(ge=8, le=MOST_BITS)]

_NETWORKS = 50_000  # whose failures are remembered
_REFUSALS = frozenset(("served", "refused", "unsent", "no_cookies", "limited"))


class Challenge(Middleware):
    """Show those whom `bot_check`, `reputation` or `flood` want challenged a page on which their browser solves a
    puzzle (or, without JavaScript, waits), and let in who bears the clearance it earns; programs get a short 403.

    Nothing is kept of anybody: puzzles and clearances are signed, and bound to the client's network (an address, an
    IPv6 /64) and its agent. A puzzle answered again gives the very same clearance. A clearance limits nothing: who has
    solved one puzzle may ask as often as `rate_limit` lets it. See docs/challenge.md.
    """

    name = "challenge"

    class Config(MiddlewareConfig):
        when: Literal["treated", "always"] = "treated"
        """Who needs a clearance: those whom other stages want challenged, or everybody on this route."""

        difficulty: Bits = 16
        """How many leading bits of a SHA-256 digest must be zero, 8 to 24; each bit doubles the work. At two million
        attempts a second (V8 on a server's core) 16 takes 30 ms, 20 half a second, 24 eight; phones take several times
        that."""

        by_score: dict[Annotated[int, Field(ge=0, le=100)], Bits] = Field(default={})
        """The difficulty from a score upwards: `80: 20`. A clearance that was easier to get will not do then."""

        clearance: Duration = Field(default=1800, ge=300, le=7 * 86400)
        """How long a clearance holds, from when the puzzle was shown: 5m to 7d."""

        solve_within: Duration = Field(default=240, ge=60, le=3600)
        """How long a puzzle can be answered: 1m to 1h, less than `clearance`."""

        without_javascript: Literal["wait", "refuse"] = "wait"
        """`wait`: a page without JavaScript goes on by itself after `wait`; so may a program that is patient and takes
        cookies. `refuse`: it says that JavaScript is needed."""

        wait: Duration = Field(default=5, ge=1, le=30)
        """How long those without JavaScript wait, in whole seconds: 1s to 30s."""

        secret: LongSecret | None = None
        """What clearances are signed with, 32 bytes or more; write it as `${NAME}`. Needed where several nodes are to
        accept each other's, or clearances are to outlive a restart; without it the node draws one."""

        cookie: str = Field(default="edge_clearance", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
        """The clearance's cookie. It never reaches the cache or the origin. Where all is https, `__Host-` before the
        name keeps other hosts of the domain from setting it."""

        parameter: str = Field(default="edge-challenge", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
        """The query parameter that pages of challenges ask with, at the address they stand at. Requests whose query
        begins with it are answered here."""

        except_paths: Annotated[tuple[Path, ...], Many] = ()
        """What a path begins with that is never challenged, beside `/robots.txt` and `/.well-known/`: `/api/`."""

        except_methods: Annotated[tuple[Method, ...], Many] = ()
        """Methods that are never challenged."""

        failures: Rate = RateValue(30, 60)
        """How many wrong answers one client network may give before it gets 429."""

        language: Literal["ar", "de", "en", "es", "fr", "ja", "pt", "zh"] = "en"
        """The language for visitors who accept none of those there are: Arabic, Chinese, English, French, German,
        Japanese, Portuguese and Spanish."""

        @model_validator(mode="after")
        def _in_time(self) -> Self:
            if self.solve_within >= self.clearance:
                raise ValueError("solve_within must be less than clearance, which counts from the same moment")
            return self

    request: Callable[[Exchange], Response | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._outcomes = services.metrics.counter(
            "edgeproxy_challenges_total", "Challenges by what became of them.", ("outcome",)
        )
        self._refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        secret = config.secret.get_secret_value().encode() if config.secret else services.secret
        clearances = Clearances(secret)
        names = {"cookie": config.cookie.encode(), "parameter": config.parameter.encode()}
        wait = ceil(config.wait) if config.without_javascript == "wait" else 0
        failures = Limiter(config.failures.period / config.failures.count, max(1, config.failures.count), _NETWORKS)
        desk = Desk(
            Pages(config.parameter, wait, config.language),
            Puzzles(secret, config.solve_within),
            clearances,
            failures.take,
            self._count,
            services.clock.wall,
            **names,
            lifetime=int(config.clearance),
            wait=wait,
        )
        self.request = Gate(
            clearances,
            desk,
            self._passed,
            services.clock.wall,
            **names,
            bits=_difficulties(config),
            always=config.when == "always",
            paths=(b"/.well-known/", *(path.encode() for path in config.except_paths)),
            methods=frozenset(method.encode() for method in config.except_methods),
        ).check

    def _passed(self) -> None:
        self._outcomes.inc("cleared")

    def _count(self, outcome: str) -> None:
        self._outcomes.inc(outcome)
        if outcome in _REFUSALS:
            self._refused.inc(self.name)


def _difficulties(config: Challenge.Config) -> tuple[int, ...]:
    """The difficulty at each score from 0 to 100."""
    bits, by_score = config.difficulty, []
    for score in range(101):
        bits = config.by_score.get(score, bits)
        by_score.append(bits)
    return tuple(by_score)
