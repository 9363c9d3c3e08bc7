"""An endpoint further in, that speaks the Open Inference Protocol as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np
from aiohttp import web

from edgeproxy.inference.hops import FIELD
from edgeproxy.oip import request, response
from edgeproxy.tensors import Spec, Tensors

QUESTION = {"features": Spec("features", "FP32", (-1, 4))}


class Endpoint:
    """Answers ``score`` with ``answer``, after ``held`` is let go; or with ``status`` and ``fields``, or with
    ``content`` as it is."""

    def __init__(self) -> None:
        self.answer: Tensors = {"score": np.array([[0.75]], np.float32)}
        self.status = 200
        self.fields: dict[str, str] = {}
        self.content: bytes | None = None
        self.held = asyncio.Event()
        self.held.set()
        self.asked: list[Mapping[str, str]] = []
        self.paths: list[str] = []

    @property
    def app(self) -> web.Application:
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/{path:.*}", self._infer)
        return app

    async def _infer(self, asked: web.Request) -> web.Response:
        self.asked.append(asked.headers)
        self.paths.append(asked.path)
        body = await asked.read()
        await self.held.wait()
        if self.status != 200 or self.content is not None:
            return web.Response(status=self.status, headers=self.fields, body=self.content or b"")
        fields = {name.lower(): value for name, value in asked.raw_headers}
        question = request.decode(fields, body, QUESTION, ["score"])
        told, content = response.encode("score", "7", self.answer, question)
        return web.Response(body=content, headers={name.decode(): value.decode() for name, value in told.items()})

    def was_marked(self) -> bool:
        """Whether the last question said that it comes from another node."""
        return self.asked[-1].get(FIELD.decode()) == "1"
