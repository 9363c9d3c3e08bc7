"""The API on a request: what the Open Inference Protocol v2 lays down, and a plain form beside it.

It answers at once where the body has come and the model runs inline; else it gives something to await.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from edgeproxy import __version__
from edgeproxy.http.body import Body
from edgeproxy.http.headers import Headers
from edgeproxy.http.media import media_matcher
from edgeproxy.http.message import Response
from edgeproxy.http.structured import Bare, Item, Token, serialize
from edgeproxy.inference.asking import is_packed
from edgeproxy.inference.hops import FIELD as HOP
from edgeproxy.inference.inputs import Decode
from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.paths import METHODS, Call, find
from edgeproxy.inference.plain import Plain, UnsuitedError
from edgeproxy.inference.version import AskError, Outcome, Standing
from edgeproxy.oip import metadata
from edgeproxy.oip import request as questions
from edgeproxy.oip import response as answers
from edgeproxy.oip.envelope import json_size, read_json, write_json
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.tensors import Spec, TensorError

if TYPE_CHECKING:
    from edgeproxy.inference.service import Inference

FIELD: Final = b"edgeproxy-inference"  # who answered: ``edge;model="digits";version="1"``, with ``;kept`` if it was

_STATUS: Final = {"unknown": 404, "tensors": 400, "failed": 422, "unanswered": 503}
_STATES: Final[dict[str, metadata.State]] = {"ready": "READY", "loading": "LOADING"}
_RETRY: Final = {b"retry-after": b"1"}  # seconds
_takes: Final = media_matcher(("application/json", "application/*+json", "application/octet-stream"))
_is_picture: Final = media_matcher(("image/*",))

Answer = Response | Awaitable[Response]


class Terms(NamedTuple):
    """What may be asked, and for how much. ``models`` by name, all if there are none; bytes of a body, and of its JSON
    or text; elements along a free axis; questions in hand at a time; whether the index lists them."""

    prefix: bytes = b"/v2"
    models: frozenset[str] = frozenset()
    body_size: int = 10_000_000
    text_size: int = 1_000_000
    free_length: int = questions.LONGEST_AXIS
    questions: int = 64
    listed: bool = False


class _Model:
    """What questions to a model are read by."""

    def __init__(self, manifest: Manifest, decode: Decode) -> None:
        self.manifest = manifest
        self.inputs: dict[str, Spec] = {each.name: each.spec for each in manifest.inputs}
        self.outputs = tuple([each.name for each in manifest.outputs])
        self.plain = Plain(manifest, decode)


class _RefusedError(Exception):
    """A request is not answered: the status, why, and fields beside it."""

    def __init__(self, status: int, why: str, fields: Headers | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.fields = fields or {}


class Api:
    """``request`` is a stage's hook."""

    def __init__(self, inference: Inference, terms: Terms, decode: Decode, refused: Callable[[], None]) -> None:
        """``decode`` makes tensors of pictures; ``refused`` counts a request that is refused."""
        self.in_hand = 0  # questions whose bodies were not there at once
        self._inference = inference
        self._terms = terms
        self._prefix = terms.prefix
        self._decode = decode
        self._refused = refused
        self._models: dict[str, _Model] = {}  # no more than there are manifests
        self._tell: dict[str, Callable[[Call], Response]] = {
            "server": self._server,
            "live": self._live,
            "ready": self._ready,
            "model": self._metadata,
            "model ready": self._model_ready,
        }
        self._ask: dict[str, Callable[[Exchange, Call, bytes], Answer]] = {
            "infer": self._infer,
            "predict": self._predict,
            "index": self._index,
        }

    def request(self, x: Exchange) -> Answer | None:
        """The answer to what is asked below the prefix."""
        rest = self._rest(x)
        if rest is None:
            return None
        try:
            return self._respond(x, rest)
        except (_RefusedError, AskError, TensorError) as error:
            return self._refuse(error)

    def observe(self, x: Exchange) -> Response | None:
        """Whether ``request`` would answer, without a look at any body."""
        return None if self._rest(x) is None else Response(200)

    def _rest(self, x: Exchange) -> bytes | None:
        """The path behind the prefix; None if it is no path of the API."""
        path = x.request.path
        if not path.startswith(self._prefix):
            return None
        rest = path[len(self._prefix) :]
        return rest if not rest or rest.startswith(b"/") else None

    def _respond(self, x: Exchange, rest: bytes) -> Answer:
        call = find(rest)
        if call is None or (call.action == "index" and not self._terms.listed):
            raise _RefusedError(404, "there is nothing here")
        methods, method = METHODS[call.action], x.request.method
        allowed = {b"allow": b", ".join((*methods, b"OPTIONS"))}
        if method == b"OPTIONS":
            return Response(204, allowed)
        if method not in methods:
            raise _RefusedError(405, "another method is wanted here", allowed)
        if call.model:
            self._look_up(call.model)
        tell = self._tell.get(call.action)
        return tell(call) if tell is not None else self._question(x, call)

    # What is told without a question.

    def _server(self, _: Call) -> Response:
        extensions = metadata.EXTENSIONS if self._terms.listed else metadata.EXTENSIONS[:1]
        return _json(metadata.server("edgeproxy", __version__, extensions))

    def _live(self, _: Call) -> Response:
        return _json({"live": True})

    def _ready(self, _: Call) -> Response:
        named = [each.name for each in self._inference.manifests() if self._serves(each.name)]
        ready = all(map(self._inference.is_ready, named))
        return _json({"ready": ready}, 200 if ready else 400)  # what the protocol says of "no": a 4xx

    def _metadata(self, call: Call) -> Response:
        ready = [each.number for each in self._standings() if each.model == call.model and each.state == "ready"]
        if call.version and call.version not in ready:
            raise _RefusedError(404, "there is no such version here")
        manifest = self._models[call.model].manifest
        inputs, outputs = ([each.spec for each in group] for group in (manifest.inputs, manifest.outputs))
        return _json(metadata.model(call.model, ready, inputs, outputs))

    def _model_ready(self, call: Call) -> Response:
        ready = self._inference.is_ready(call.model, call.version)
        return _json({"name": call.model, "ready": ready}, 200 if ready else 400)

    # Questions.

    def _question(self, x: Exchange, call: Call) -> Answer:
        asked, body = x.request, x.request.body
        self._weigh(asked.length, self._terms.body_size)
        if is_packed(asked.headers.get(b"content-encoding")):
            wanted = {b"accept-encoding": b"identity"}  # RFC 9110 §12.5.3
            raise _RefusedError(415, "questions are taken without a content coding", wanted)
        content = b"" if body is None else body.take()
        if content is not None or body is None:
            return self._answer(x, call, content or b"")
        if self.in_hand >= self._terms.questions:
            raise _RefusedError(503, "too many questions are in hand; try again soon", _RETRY)
        return self._when_read(x, call, body)

    async def _when_read(self, x: Exchange, call: Call, body: Body) -> Response:
        """The answer, once the body has come. Raises EdgeError if it does not."""
        self.in_hand += 1
        try:
            content = await self._read(body)
            answer = self._answer(x, call, content)
            return answer if isinstance(answer, Response) else await answer
        except (_RefusedError, AskError, TensorError) as error:
            return self._refuse(error)
        finally:
            self.in_hand -= 1

    async def _read(self, body: Body) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := await body.read():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._terms.body_size:
                body.close()
                break
        self._weigh(size, self._terms.body_size)
        return b"".join(chunks)

    def _answer(self, x: Exchange, call: Call, content: bytes) -> Answer:
        self._weigh(len(content), self._terms.body_size)
        return self._ask[call.action](x, call, content)

    def _infer(self, x: Exchange, call: Call, content: bytes) -> Answer:
        headers = x.request.headers
        told = headers.get(b"content-type")
        if told is not None and not _takes(told):
            raise _RefusedError(415, "what is taken here is application/json or application/octet-stream")
        self._weigh(json_size(headers, len(content)), self._terms.text_size, " of JSON")
        model = self._models[call.model]
        question = questions.decode(headers, content, model.inputs, model.outputs, self._terms.free_length)
        asked = self._inference.ask(call.model, question.tensors, version=call.version, here=HOP in headers)
        return _inferred(question, asked) if isinstance(asked, Outcome) else self._inferred(question, asked)

    async def _inferred(self, question: questions.Question, asked: Awaitable[Outcome]) -> Response:
        try:
            return _inferred(question, await asked)
        except (AskError, TensorError) as error:
            return self._refuse(error)

    async def _predict(self, x: Exchange, call: Call, content: bytes) -> Response:
        plain = self._models[call.model].plain
        try:
            if not _is_picture(x.request.headers.get(b"content-type", b"")):
                self._weigh(len(content), self._terms.text_size, " of JSON or text")
            tensors = await plain.read(x.request, content)
            here = HOP in x.request.headers
            asked = self._inference.ask(call.model, tensors, version=call.version, here=here)
            outcome = asked if isinstance(asked, Outcome) else await asked
            return _answered(outcome, {b"content-type": b"application/json"}, plain.write(outcome))
        except UnsuitedError as error:
            return self._refuse(_RefusedError(415, str(error)))
        except TimeoutError:
            return self._refuse(_RefusedError(503, "nobody has time to decode the picture; try again soon", _RETRY))
        except (_RefusedError, AskError, TensorError) as error:
            return self._refuse(error)

    def _index(self, _: Exchange, __: Call, content: bytes) -> Response:
        self._weigh(len(content), self._terms.text_size, " of JSON")
        only_ready = bool(content) and read_json(content).get("ready") is True
        listed = [each for each in self._standings() if each.state == "ready" or not only_ready]
        return _json(
            [
                metadata.standing(each.model, each.number, _STATES.get(each.state, "UNAVAILABLE"), each.reason)
                for each in listed
            ]
        )

    # What both have in common.

    def _serves(self, name: str) -> bool:
        return not self._terms.models or name in self._terms.models

    def _standings(self) -> list[Standing]:
        return [each for each in self._inference.standings() if self._serves(each.model)]

    def _look_up(self, name: str) -> None:
        """Have ``_models`` know a model that clients may ask, as its manifest now is."""
        try:
            manifest = self._inference.require(name) if self._serves(name) else None
        except ValueError:
            manifest = None
        if manifest is None:
            self._models.pop(name, None)
            raise _RefusedError(404, "there is no such model here")
        model = self._models.get(name)
        if model is None or model.manifest is not manifest:
            self._models[name] = _Model(manifest, self._decode)

    def _weigh(self, size: int, most: int, of: str = "") -> None:
        if size > most:
            raise _RefusedError(413, f"more than {most} bytes{of} are not taken here")

    def _refuse(self, error: _RefusedError | AskError | TensorError) -> Response:
        self._refused()
        status = 400
        fields = {b"content-type": b"application/json", b"cache-control": b"no-store"}
        if isinstance(error, _RefusedError):
            status = error.status
            fields |= error.fields
        elif isinstance(error, AskError):
            status = _STATUS[error.reason]
            if status == 503:
                fields |= _RETRY
        return Response(status, fields, answers.error(str(error)))


def _inferred(question: questions.Question, outcome: Outcome) -> Response:
    """Raises TensorError for what cannot be told as it was asked for."""
    return _answered(outcome, *answers.encode(outcome.model, outcome.version, outcome.tensors, question))


def _answered(outcome: Outcome, fields: Headers, body: bytes) -> Response:
    parameters: dict[str, Bare] = {"model": outcome.model}
    if outcome.version:  # a declared default has none
        parameters["version"] = outcome.version
    if outcome.kept:
        parameters["kept"] = True
    fields[b"cache-control"] = b"no-store"
    fields[FIELD] = serialize(Item(Token(outcome.by), parameters)).encode()
    return Response(200, fields, body)


def _json(told: object, status: int = 200) -> Response:
    fields = {b"content-type": b"application/json", b"cache-control": b"no-store"}
    return Response(status, fields, write_json(told))
