"""Answers for the models of this node: the Open Inference Protocol v2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field

from edgeproxy.config.units import Size
from edgeproxy.config.values import Many, Name, Path
from edgeproxy.http.message import Response
from edgeproxy.images.pixels import Pixels
from edgeproxy.images.plan import Bounds
from edgeproxy.images.studio import Studio
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services


def _prefix(path: str) -> str:
    if path.endswith("/"):
        raise ValueError(f"{path!r} ends with a slash; write it like /v2")
    return path


class Inference(Middleware):
    """Answer for the models of this node: the Open Inference Protocol v2 (KServe), and a plain form.

    `POST /v2/models/{name}/infer` takes tensors as JSON or binary; `POST /v2/models/{name}/predict` takes a picture, a
    text, `{"input": …}`, or no body for models that look at a request's head, and gives labels. `/versions/{number}`
    behind the name asks that version. What cannot be answered is said as `{"error": …}`; `edgeproxy-inference` says who
    answered: `edge;model="digits";version="1"`. Limits and credentials are those of the stages before it, and none of
    it is kept by the cache. With `mode: observe` requests go on to the origin.
    """

    name = "inference"

    class Config(MiddlewareConfig):
        prefix: Annotated[Path, AfterValidator(_prefix)] = "/v2"
        """What the paths begin with. All below it is answered here, with 404 for what is nothing."""

        models: Annotated[tuple[Name, ...], Many] = ()
        """Those that clients may ask; all of this node if it is empty."""

        index: bool = False
        """Whether `POST /v2/repository/index` lists all versions with their states, and the reasons of those that do
        not serve."""

        body_size: Annotated[Size, Field(ge=1_000, le=1_000_000_000)] = 10_000_000
        """The largest question: 1KB to 1GB; more gets 413. `limits.body_size` holds as well."""

        text_size: Annotated[Size, Field(ge=1_000, le=100_000_000)] = 1_000_000
        """How much of a question may be JSON or text: 1KB to 100MB; more gets 413. A megabyte of JSON takes 2 ms
        to read, or 20 where its tensors are nested or no floats, and nothing else is answered meanwhile: large tensors
        are better sent as binary data."""

        free_length: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
        """The most elements along an axis whose length is free, such as questions in one request: 1 to 1000000."""

        questions: Annotated[int, Field(ge=1, le=10_000)] = 64
        """How many questions may be on their way in or being answered at a time in each worker. More get 503. Each may
        take `body_size` of memory, and several times its JSON."""

        pixels: Annotated[int, Field(ge=10_000, le=500_000_000)] = 50_000_000
        """Pixels of the largest picture that is decoded."""

        decoders: Annotated[int, Field(ge=1, le=64)] = 1
        """Processes that decode pictures, for each worker. They are started when there is one, and end after a while
        without."""

        queue: Annotated[int, Field(ge=0, le=1_024)] = 32
        """How many pictures may wait for one. More get 503."""

    config: Config
    request: Callable[[Exchange], Response | Awaitable[Response] | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        from edgeproxy.inference.api import Api, Terms  # late: numpy is needed only where the stage runs
        from edgeproxy.inference.pixels import decoder

        metrics = services.metrics
        refused = metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        metrics.gauge("edgeproxy_inference_in_hand", "Questions being read or answered.", (), self._load)
        bounds = Bounds(source=config.body_size, pixels=config.pixels)
        self._studio = Studio(config.decoders, config.queue, bounds, metrics)
        if services.models is None:
            raise ValueError("there are no models where nothing is served")
        inference = services.models()
        for name in config.models:
            inference.require(name)
        terms = Terms(
            config.prefix.encode(),
            frozenset(config.models),
            config.body_size,
            config.text_size,
            config.free_length,
            config.questions,
            config.index,
        )
        self._api = Api(inference, terms, decoder(Pixels(self._studio).rgb), partial(refused.inc, self.name))
        self.request = self._api.request if config.mode == "enforce" else self._api.observe

    @classmethod
    def asks_models(cls, config: MiddlewareConfig) -> bool:
        return True

    async def start(self) -> None:
        await self._studio.start()

    async def stop(self) -> None:
        await self._studio.stop()

    def _load(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), self._api.in_hand)]
