"""The section of models: where they lie, what running them may cost, and whom to ask further in."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edgeproxy.config.section import Section
from edgeproxy.config.units import Duration, Share, Size
from edgeproxy.config.values import Directory, FolderPath, Many, Name, is_protected


def _protected(url: str) -> str:
    if not url.startswith(("http://", "https://")) or not is_protected(url):
        raise ValueError(f"{url!r} must begin with https://, or lead to this machine")
    return url.rstrip("/")


def _web(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no URL of the web; write it like https://inference.example.net")
    return url.rstrip("/")


class HopConfig(Section):
    """An endpoint further in that speaks the Open Inference Protocol v2 over HTTP."""

    url: Annotated[str, AfterValidator(_web)]
    """`https://host[:port][/path]`, without `/v2`."""
    timeout: Duration = Field(1, ge=0.01, le=60)
    """How long an answer may take: 10ms to 1m."""
    token: SecretStr | None = None
    """Sent as `Authorization: Bearer`; write it as `${NAME}`."""
    failures: int = Field(3, ge=1, le=100)
    """How many failures in a row until it is left alone: 1 to 100."""
    pause: Duration = Field(5, ge=0.1, le=3600)
    """How long it is left alone then: 100ms to 1h. One question tries whether it is back; each that fails doubles the
    pause, up to eight times. For a model it has no time for (429, 503) it is not asked for as long as its
    `Retry-After` says, this long if it says nothing, eight times this at most."""
    concurrency: int = Field(32, ge=1, le=10_000)
    """Most questions to it at a time, per worker: 1 to 10000."""


class RemoteModelConfig(Section):
    """A model that is fetched: a `tar.gz` of its folder."""

    url: Annotated[str, AfterValidator(_protected)]
    """Over https, or from this machine."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the archive."""
    size: Size = Field(200_000_000, ge=1_000, le=10_000_000_000)
    """The largest archive, and the largest content: 1KB to 10GB."""


class ModelsConfig(Section):
    """Models on this node. They are loaded by stages and pools that ask them; without, this section does nothing."""

    folder: Directory | None = None
    """The folder with one folder a model in it; those that come with edgeproxy if it is not given. Looked at anew
    every `poll`."""
    only: Annotated[tuple[Name, ...], Many] = ()
    """Load only these; all of the folder if it is empty."""
    poll: Duration = Field(5, ge=0.1, le=3600)
    """How often the folder is looked at for new versions: 100ms to 1h."""
    remote: dict[Name, RemoteModelConfig] = Field({}, max_length=100)
    """Models fetched at the start, and anew where their checksum here changes."""
    cache_folder: FolderPath | None = None
    """Where fetched models are kept; in memory, until the node stops, if it is not given."""
    threads: int = Field(1, ge=1, le=64)
    """Threads inside one run: 1 to 64. More than 1 helps large models on idle cores only."""
    workers: int = Field(2, ge=1, le=64)
    """Runs at a time beside those inline, of all models, per worker process: 1 to 64."""
    inline: Duration = Field(0.0003, ge=0, le=0.01)
    """Models whose trial took less than this run at once, without leaving the loop: 0 (none) to 10ms."""
    file_size: Size = Field(500_000_000, ge=1_000, le=10_000_000_000)
    """The largest model file: 1KB to 10GB."""
    memory: Size = Field(2_000_000_000, ge=200_000_000, le=64_000_000_000)
    """Address space in which a version is tried before it may serve: 200MB to 64GB."""
    trial: Duration = Field(20, ge=0.1, le=600)
    """CPU time a version may take for loading and its sample when it is tried: 100ms to 10m."""
    results: Size = Field(8_000_000, ge=0, le=10_000_000_000)
    """Memory for results of pure models, by the hash of what they were asked, per worker: 0 (keep none) to 10GB."""
    results_for: Duration = Field(300, ge=0, le=86_400)
    """How long a result is kept: 0s to 1d."""
    regional: HopConfig | None = None
    """Asked where this node cannot answer in time."""
    central: HopConfig | None = None
    """Asked after that."""
    drift: Share = Field(0.01, ge=0, le=1)
    """Which part of the questions is looked at for drift: 0% to 100%."""

    @model_validator(mode="after")
    def _each_once(self) -> ModelsConfig:
        if len(set(self.only)) < len(self.only):
            raise ValueError("only: a name stands there twice")
        return self
