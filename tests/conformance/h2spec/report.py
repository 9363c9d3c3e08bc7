"""docs/h2spec.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.h2spec.cases import CASES
from tests.conformance.h2spec.server import WAYS

PAGE = Path(__file__).parents[3] / "docs" / "h2spec.md"
TEMPLATE = Path(__file__).with_name("page.md")

# What each part and section of h2spec is about.
SECTIONS = {
    "generic/1": "Starting HTTP/2",
    "generic/2": "Streams and multiplexing",
    "generic/3.1": "DATA",
    "generic/3.2": "HEADERS",
    "generic/3.3": "PRIORITY",
    "generic/3.4": "RST_STREAM",
    "generic/3.5": "SETTINGS",
    "generic/3.7": "PING",
    "generic/3.8": "GOAWAY",
    "generic/3.9": "WINDOW_UPDATE",
    "generic/3.10": "CONTINUATION",
    "generic/4": "Requests and answers",
    "generic/5": "HPACK",
    "hpack/2.3.3": "Index address space",
    "hpack/4.2": "Maximum table size",
    "hpack/5.2": "String literals",
    "hpack/6.1": "Indexed fields",
    "hpack/6.3": "Dynamic table size updates",
    "http2/3.5": "Connection preface",
    "http2/4.1": "Frame format",
    "http2/4.2": "Frame size",
    "http2/4.3": "Field compression",
    "http2/5.1": "Stream states",
    "http2/5.1.1": "Stream identifiers",
    "http2/5.1.2": "Stream concurrency",
    "http2/5.3.1": "Stream dependencies",
    "http2/5.4.1": "Connection errors",
    "http2/5.5": "Extensions",
    "http2/6.1": "DATA",
    "http2/6.2": "HEADERS",
    "http2/6.3": "PRIORITY",
    "http2/6.4": "RST_STREAM",
    "http2/6.5": "SETTINGS",
    "http2/6.5.2": "Settings",
    "http2/6.5.3": "Settings are agreed on",
    "http2/6.7": "PING",
    "http2/6.8": "GOAWAY",
    "http2/6.9": "WINDOW_UPDATE",
    "http2/6.9.1": "The window",
    "http2/6.9.2": "The initial window",
    "http2/6.10": "CONTINUATION",
    "http2/7": "Error codes",
    "http2/8.1": "Requests and answers",
    "http2/8.1.2": "Fields",
    "http2/8.1.2.1": "Pseudo-fields",
    "http2/8.1.2.2": "Fields of one connection",
    "http2/8.1.2.3": "Pseudo-fields of requests",
    "http2/8.1.2.6": "Malformed requests",
    "http2/8.2": "Server push",
}


def page(failed: Mapping[str, Sequence[str]]) -> str:
    """The page; ``failed``: for each way the cases that were not passed."""
    ways = list(WAYS)
    rows = []
    for section, about in SECTIONS.items():
        cases = [case.id for case in CASES if case.id.rpartition("/")[0] == section]
        passed = " | ".join(str(sum(each not in failed[way] for each in cases)) for way in ways)
        rows.append(f"| {section} | {about} | {len(cases)} | {passed} |")
    total = " | ".join(f"**{len(CASES) - len(failed[way])}**" for way in ways)
    rows.append(f"| | **all** | **{len(CASES)}** | {total} |")
    missed = [f"* `{each}` ({way}): {_says(each)}" for way in ways for each in failed[way]]
    return TEMPLATE.read_text(encoding="utf-8").format(
        ways="\n".join(f"* *{way}*: {about};" for way, about in WAYS.items())[:-1] + ".",
        rows="\n".join(rows),
        missed="\n".join(missed) or "None.",
    )


def _says(id_: str) -> str:
    return next(case.says for case in CASES if case.id == id_)
