"""Verifies agents that sign their requests (Web Bot Auth)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from edgeproxy.config.units import Duration, Rate, RateValue
from edgeproxy.config.values import Name
from edgeproxy.http.message import Response
from edgeproxy.identity.refusals import Failures, Refusals
from edgeproxy.identity.signature_agent import TAG, check_terms, origin, signature_agent
from edgeproxy.identity.signature_nonces import Nonces
from edgeproxy.identity.signatures import SignatureError, Signed, UnsupportedError, signature_base, signatures
from edgeproxy.jose.settings import KeyUrl, PublicKeySettings
from edgeproxy.limits.gcra import Limiter
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

if TYPE_CHECKING:  # it imports cryptography, which takes a tenth of a second: only where the stage is used
    from edgeproxy.jose.directory import Directory
    from edgeproxy.jose.refresh import KeySource

WELL_KNOWN: Final = "/.well-known/http-message-signatures-directory"
_MEDIA_TYPE: Final = "application/http-message-signatures-directory+json"


class AgentSettings(PublicKeySettings):
    """An agent that is known, by the keys it signs with."""

    name: Name
    """What logs, rules and other stages call it."""

    directory_url: KeyUrl | None = None
    """Where it publishes its keys; of a host alone, `https://agent.example`, the well-known place there. https, except
    on loopback. A request that names another host in `Signature-Agent` is not from this agent."""

    _url_named = "directory_url"
    _accept = f"{_MEDIA_TYPE}, application/jwk-set+json, application/json"

    def url(self) -> str | None:
        url = self.directory_url
        return url.rstrip("/") + WELL_KNOWN if url is not None and urlsplit(url).path in ("", "/") else url


def _distinct(agents: tuple[AgentSettings, ...]) -> tuple[AgentSettings, ...]:
    names = [agent.name for agent in agents]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two agents are called {name}")
    return agents


class Agent:
    """A known agent with its keys as they are now."""

    def __init__(self, name: str, origin: str | None, source: KeySource) -> None:
        self.name = name
        self.origin = origin
        self.source = source
        self._directory: Directory | None = None

    def directory(self) -> Directory | None:
        from edgeproxy.jose.directory import Directory

        keys = self.source.keys
        if keys is not None and (self._directory is None or self._directory.keys is not keys):
            self._directory = Directory(keys)
        return self._directory


class WebBotAuth(Middleware):
    """Know agents by their signatures (RFC 9421, draft-meunier-web-bot-auth-architecture): who signs with a listed
    agent's key is that agent for the log and other stages.

    Three outcomes: verified; nobody in particular (not signed, by a key that is not known, or in a way that cannot be
    checked here), who passes unless `required`; and wrong, which is a known key's signature that does not hold, has
    expired or was used before: 403, since only impostors and broken agents send it. Keys are taken from the places
    listed here, never from where a request says.
    """

    name = "web_bot_auth"

    class Config(MiddlewareConfig):
        agents: Annotated[tuple[AgentSettings, ...], Field(min_length=1, max_length=64), AfterValidator(_distinct)]
        """The agents that are known: `{name: gobbler, directory_url: "https://gobbler.example"}`, or with `keys_file`
        or `keys` (PEM or JWK Set). Keys are named by their thumbprints (RFC 7638)."""

        required: bool = False
        """Refuse with 403 who is not verified, and say what is asked for (Accept-Signature, RFC 9421 §5.1)."""

        max_age: Duration = Field(default=86400, ge=1, le=604800)
        """How long a signature may be good for, from `created` on, whatever its `expires` says: 1s to 7d."""

        leeway: Duration = Field(default=30, ge=0, le=300)
        """How far an agent's clock may be off: 0s to 5m."""

        nonce: Literal["once", "required", "off"] = "once"
        """`once`: a signature with a `nonce` is good for one request. `required`: it must have one. `off`: nonces mean
        nothing. Counted by each worker, so at most as many uses as there are workers."""

        nonces: int = Field(default=100_000, ge=1000, le=10_000_000)
        """How many nonces are remembered; of more in `max_age` the oldest are forgotten."""

        failures: Rate = RateValue(60, 60)
        """How many wrong signatures one client network (an address, an IPv6 /64) may show, before its signed requests
        are answered 429 without a look: `60/m`."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._agents = [Agent(one.name, origin(one.directory_url or ""), one.source(services)) for one in config.agents]
        self._nonces = Nonces(config.nonces, config.max_age + 2 * config.leeway)
        refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._refusals = Refusals(lambda: refused.inc(self.name))
        allowed = config.failures
        self._failures = Failures(Limiter(allowed.period / allowed.count, max(1, allowed.count), 50_000))
        nonce = ";nonce" if config.nonce == "required" else ""
        self._wanted = f'sig1=("@authority" "signature-agent";key="sig1");created;expires;keyid{nonce};tag="{TAG}"'

    async def start(self) -> None:
        await asyncio.gather(*(agent.source.start(patience=1.0) for agent in self._agents))

    async def stop(self) -> None:
        await asyncio.gather(*(agent.source.stop() for agent in self._agents))

    def request(self, x: Exchange) -> Response | None:
        if b"signature-input" in x.request.headers:
            try:
                for signed in signatures(x.request.headers, TAG):
                    agent = self._agent(x, signed)
                    if agent is not None and (wait := self._failures.wait(x)):
                        return self._refusals.later(429, "Too many wrong signatures.", wait)
                    if agent is not None and self._holds(x, agent, signed):
                        x.agent = agent.name
                        x.tags += (self.name,)
                        return None
            except SignatureError as error:
                self._failures.count(x)
                return self._refusals.refuse(403, f"{error}.")
        return self._unknown() if self.config.required else None

    def _agent(self, x: Exchange, signed: Signed) -> Agent | None:
        """Who holds the key, and is who the request says it is if it says so."""
        named = signature_agent(x.request.headers, signed)
        for agent in self._agents:
            directory = agent.directory()
            if named is None or agent.origin in (None, named):
                if directory is not None and signed.keyid in directory:
                    return agent
                if named is not None:
                    agent.source.want()
        return None

    def _holds(self, x: Exchange, agent: Agent, signed: Signed) -> bool:
        """Whether the signature could be checked. Raises SignatureError if it is wrong."""
        now, directory = self.services.clock.wall(), agent.directory()
        check_terms(signed, now, self.config.max_age, self.config.leeway)
        if signed.nonce is None and self.config.nonce == "required":
            raise SignatureError("The signature has no nonce")
        try:
            base = signature_base(x.request, signed)
        except UnsupportedError:
            return False
        if directory is None or not directory.verifies(signed.keyid or "", signed.alg, base, signed.signature):
            raise SignatureError("The signature is wrong")
        once = signed.nonce is not None and self.config.nonce != "off"
        if once and not self._nonces.use(agent.name, signed.nonce or "", now):
            raise SignatureError("The signature was used before")
        return True

    def _unknown(self) -> Response:
        response = self._refusals.refuse(403, "Only known agents are served here, by their signatures.")
        response.own[b"accept-signature"] = self._wanted.encode()
        return response
