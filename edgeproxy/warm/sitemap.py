"""Sitemaps and their indexes (sitemaps.org), read without following anything a document declares."""

from __future__ import annotations

from typing import NamedTuple
from xml.parsers import expat

LARGEST = 52_428_800  # bytes of one sitemap, unpacked: the protocol's own limit
MOST = 50_000  # entries of one sitemap or index: the protocol's own limit

_NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


class Sitemap(NamedTuple):
    """``urls`` are pages, ``sitemaps`` what an index names."""

    urls: list[str]
    sitemaps: list[str]


def parse(document: bytes) -> Sitemap:
    """What a document lists. Raises ValueError with what is wrong."""
    if len(document) > LARGEST:
        raise ValueError(f"a sitemap has at most {LARGEST // 2**20} MiB")
    reader = _Reader()
    try:
        reader.parser.Parse(document, True)
    except expat.ExpatError as error:
        raise ValueError(f"not well-formed XML: {error}") from None
    if reader.root not in {"urlset", "sitemapindex"}:
        raise ValueError(f"a sitemap begins with urlset or sitemapindex, not with {reader.root}")
    return Sitemap(reader.found["url"], reader.found["sitemap"])


class _Reader:
    """Collects the text of ``loc`` directly below ``url`` and ``sitemap``, in the protocol's namespace or none."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {"url": [], "sitemap": []}
        self.root = ""
        self._path: list[str] = []
        self._text: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = _refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        self._path.append(local if namespace in {"", _NAMESPACE} else name)
        self._text.clear()
        if len(self._path) == 1:
            self.root = local

    def _data(self, data: str) -> None:
        if self._path[-1] == "loc":
            self._text.append(data)

    def _end(self, _name: str) -> None:
        if len(self._path) == 3 and self._path[2] == "loc" and self._path[1] in self.found:
            entries = self.found[self._path[1]]
            if len(entries) >= MOST:
                raise ValueError(f"a sitemap has at most {MOST} entries")
            entries.append("".join(self._text).strip())
        self._path.pop()


def _refuse_doctype(*_: object) -> None:
    """Entities are declared there, and a sitemap needs none."""
    raise ValueError("a document type declaration has no place in a sitemap")
