"""What every client asks of the demo site, and what is right."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeproxy.demo.files import File, load_files

IDENTITY = {"accept-encoding": "identity"}
JPEG = "/photographs/meadow."
STATION = "/api/stations/skarholm"
MODEL = "/v2/models/language-id/predict"
GERMAN = b"Der Zug nach Norden kommt heute leider eine halbe Stunde zu spaet an."

GROUPS = {
    "files": "every page, script, style sheet and picture, byte for byte",
    "gzip": "pages and scripts compressed, the same once unpacked",
    "HEAD": "the same fields, and no body",
    "304": "what the client has already",
    "ranges": "the beginning, the end and the middle of a picture, and what lies behind it",
    "API": "the JSON API, and a page behind a token",
    "POST": "texts to a model, a body where none is taken",
    "errors": "pages that are not there, or not for everybody",
    "pages": "shown with all their pictures and a clean console",
    "load": "all files ten times over ten connections at once",
    "WebSocket": "messages there and back",
    "gRPC": "unary and streaming calls, a status with details, a deadline",
}


@dataclass(frozen=True)
class Answer:
    """An answer as a client saw it. ``fields`` are by lower-case name; ``version`` is h1, h2 or h3."""

    version: str
    status: int
    fields: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Case:
    """A request, and what its answer must be; ``body`` None for whatever it is, ``said`` what it has to hold."""

    group: str
    path: str
    status: int = 200
    method: str = "GET"
    fields: Mapping[str, str] = field(default_factory=lambda: IDENTITY)
    sent: bytes = b""
    body: bytes | None = None
    said: bytes = b""
    told: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def site_cases(token: str) -> list[Case]:
    """All requests, by group in the order of ``GROUPS``; ``token`` opens /members/."""
    files = {path: file for path, file in load_files().items() if path != "/members/"}
    jpeg, picture = next((path, file) for path, file in files.items() if path.startswith(JPEG))
    texts = {path: file for path, file in files.items() if not file.content_type.startswith("image/")}
    size = len(picture.body)
    return [
        *[Case("files", path, body=file.body, told=_told(file)) for path, file in files.items()],
        *[_compressed(path, file) for path, file in texts.items()],
        *[Case("HEAD", path, method="HEAD", body=b"", told=_told(file)) for path, file in files.items()],
        *[_known(path, file) for path, file in files.items()],
        _part(jpeg, picture, "bytes=0-99", 0, 100),
        _part(jpeg, picture, "bytes=-100", size - 100, size),
        _part(jpeg, picture, "bytes=5000-69999", 5000, 70000),
        Case(
            "ranges",
            jpeg,
            416,
            fields={**IDENTITY, "range": f"bytes={size}-"},
            told={"content-range": f"bytes */{size}"},
        ),
        Case("API", "/api/stations", said=b'"skarholm"'),
        Case("API", STATION, said=b'"skarholm"'),
        Case("API", "/api/time", said=b'"asked"', told={"cache-control": "no-store"}),
        Case("API", "/healthz", body=b"ok\n"),
        Case("API", "/members/", fields={**IDENTITY, "authorization": f"Bearer {token}"}, said=b"<html"),
        Case("POST", MODEL, method="POST", fields={"content-type": "text/plain"}, sent=GERMAN, said=b'"de"'),
        Case("POST", MODEL, method="POST", fields={"content-type": "text/plain"}, sent=GERMAN * 100, said=b'"de"'),
        Case("POST", "/api/stations", 405, method="POST", sent=b"x" * 30_000),
        Case("errors", "/nowhere", 404, said=b"<html"),
        Case("errors", "/api/stations/nowhere", 404, said=b"no such station"),
        Case("errors", "/members/", 401),
    ]


def fault(case: Case, answer: Answer, protocol: str, *, unpacked: bool) -> str:
    """What is wrong with an answer, "" for nothing; ``unpacked``: the client does that by itself."""
    if answer.version != protocol:
        return f"spoke {answer.version}"
    if answer.status != case.status:
        return f"status {answer.status}, not {case.status}"
    body = answer.body
    if answer.fields.get("content-encoding") == "gzip" and not unpacked and body:
        body = zlib.decompressobj(31).decompress(body)
    if case.body is not None and body != case.body:
        return f"a body of {len(body)} bytes, not the {len(case.body)} that are right"
    if case.said not in body:
        return f"nothing of {case.said!r} in {body[:60]!r}"
    wrong = {name: answer.fields.get(name) for name, value in case.told.items() if answer.fields.get(name) != value}
    return f"fields {wrong}" if wrong else ""


def _told(file: File) -> dict[str, str]:
    return {"content-type": file.content_type, "cache-control": file.cache_control}


def _compressed(path: str, file: File) -> Case:
    return Case("gzip", path, fields={"accept-encoding": "gzip"}, body=file.body, told=_told(file))


def _known(path: str, file: File) -> Case:
    return Case("304", path, 304, fields={**IDENTITY, "if-none-match": f'"{file.etag}"'}, body=b"")


def _part(path: str, file: File, asked: str, first: int, end: int) -> Case:
    told = {"content-range": f"bytes {first}-{end - 1}/{len(file.body)}"}
    return Case("ranges", path, 206, fields={**IDENTITY, "range": asked}, body=file.body[first:end], told=told)
