"""The names crawlers and tools go by, read from the files in ``data``.

A name counts where a word begins and ends: ``curl`` is in ``libfoo/1 curl/8``, not in ``MyCurlyApp``. So names are
looked up by the words of an agent, which takes no longer however many names there are, and nobody can make it long.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_DATA = Path(__file__).with_name("data")
_WORD = re.compile(r"[a-z0-9]+")

# The categories of a tool; who has another one is a crawler.
_TOOLS = frozenset(("http-library", "browser-automation", "load-test", "scanner"))
UNLISTED = "unlisted"

# How crawlers' names end, and what is none: a telephone.
_ENDINGS = ("bot", "crawler", "spider")
_NO_CRAWLER = "cubot"


class Named(NamedTuple):
    """A crawler or tool an agent names: its name, ``crawler`` or ``tool``, and its category."""

    name: str
    kind: str
    category: str


class Catalogue:
    """``files`` hold lines of a text and a category, the first one counts."""

    def __init__(self, *files: Path) -> None:
        self._texts: dict[str, Named] = {}
        self._by_word: dict[str, list[str]] = {}
        for file in files:
            for line in file.read_text(encoding="utf-8").splitlines():
                if not line.startswith("#"):
                    self._add(*line.split("\t"))

    def _add(self, text: str, category: str) -> None:
        word = _WORD.search(text)
        if word is None or text in self._texts:
            return
        name = text.strip("^/ ")
        known = next((own for own in (self._texts.get(name), self._texts.get("^" + name)) if own), None)
        self._texts[text] = known or Named(name, "tool" if category in _TOOLS else "crawler", category)
        self._by_word.setdefault(word[0], []).append(text)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(named.name for named in self._texts.values())

    @property
    def categories(self) -> frozenset[str]:
        return frozenset(named.category for named in self._texts.values()) | {UNLISTED}

    def find(self, agent: str) -> Named | None:
        """The longest name in an agent, which is in lower case; a crawler that is not listed by the word it ends in."""
        longest, unlisted = "", ""
        for word in _WORD.finditer(agent):
            said = word[0]
            for text in self._by_word.get(said, ()):
                if len(text) > len(longest) and _stands(text, agent, word.start()):
                    longest = text
            if said.endswith(_ENDINGS) and said != _NO_CRAWLER:
                unlisted = said
        if longest:
            return self._texts[longest]
        return Named(unlisted, "crawler", UNLISTED) if unlisted else None

    def __repr__(self) -> str:
        return f"<Catalogue of {len(self._texts)} texts>"


def _stands(text: str, agent: str, start: int) -> bool:
    """Whether a text stands in an agent, its first word at ``start``, and ends where a word ends."""
    if text[0] == "^":
        if start:
            return False
        text = text[1:]
    end = start + len(text)
    return agent.startswith(text, start) and not (text[-1].isalnum() and agent[end : end + 1].isalnum())


CATALOGUE = Catalogue(_DATA / "products.txt", _DATA / "crawlers.txt")
