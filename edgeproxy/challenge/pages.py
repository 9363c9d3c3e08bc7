"""The pages of challenges, ready but for what is one request's own, and the files they refer to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from edgeproxy.challenge.words import choose, read_words
from edgeproxy.pipeline.memo import Memo

_FOLDER: Final = Path(__file__).parent / "assets"
_TYPES: Final = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}
_SLOT: Final = re.compile(r"\{\{([a-z_.]+)\}\}")

_SCRIPT: Final = '<script src="?{{parameter}}={{page.js}}" nonce="{{nonce}}" defer></script>\n'
_REFRESH: Final = (
    '<noscript><meta http-equiv="refresh" content="{{seconds}};url=?{{parameter}}={{puzzle}}{{rest}}"></noscript>\n'
)
_WAIT: Final = (
    "<noscript>\n<p>{{without_scripts}}</p>\n"
    '<p><a class="button" href="?{{parameter}}={{puzzle}}{{rest}}">{{open}}</a></p>\n</noscript>\n'
)
_REFUSE: Final = "<noscript>\n<p>{{scripts_needed}}</p>\n</noscript>\n"
_AGAIN: Final = '<p><a class="button" href="{{location}}">{{again}}</a></p>\n'


class Kind(NamedTuple):
    """A kind of page: its file, the phrases it is headed and begun with, whether a challenge starts by itself, and
    whether a notice offers to try again."""

    file: str
    heading: str
    text: str
    by_itself: bool = False
    again: bool = False


KINDS: Final = {
    "first": Kind("challenge.html", "heading", "lead", by_itself=True),
    "held": Kind("challenge.html", "heading", "held"),
    "failed": Kind("challenge.html", "heading", "failed"),
    "cookies": Kind("notice.html", "cookies_heading", "cookies", again=True),
    "slow": Kind("notice.html", "slow_heading", "slow", again=True),
    "unsent": Kind("notice.html", "unsent_heading", "unsent"),
}


class Asset(NamedTuple):
    """A file that pages refer to."""

    body: bytes
    content_type: bytes


class Template:
    """Text with slots: what is ``known`` stands in it already."""

    def __init__(self, text: str, known: Mapping[str, str]) -> None:
        for _ in range(2):  # fragments have slots of their own
            text = _SLOT.sub(lambda slot: known.get(slot[1], slot[0]), text)
        pieces = _SLOT.split(text)
        self._texts = [piece.encode() for piece in pieces[::2]]
        self._slots = pieces[1::2]

    def render(self, values: Mapping[str, bytes]) -> bytes:
        """The text with ``values``, which are HTML already, in its slots."""
        parts = [self._texts[0]]
        for slot, text in zip(self._slots, self._texts[1:], strict=True):
            parts += (values[slot], text)
        return b"".join(parts)


class Pages:
    """``parameter``: the query parameter pages ask with. ``wait``: seconds until a page without JavaScript goes on by
    itself, 0 if it is to say that it needs it. ``language``: for visitors who read none of the others."""

    def __init__(self, parameter: str, wait: int, language: str) -> None:
        words = read_words()
        self.assets: dict[bytes, Asset] = {}
        known = {"parameter": parameter, "seconds": str(wait)}
        for file in sorted(_FOLDER.iterdir()):
            if file.suffix in _TYPES:
                known[file.name] = name = _versioned(file)
                self.assets[name.encode()] = Asset(file.read_bytes(), _TYPES[file.suffix])
        files = {name: (_FOLDER / name).read_text(encoding="utf-8") for name in ("challenge.html", "notice.html")}
        frame = (_FOLDER / "frame.html").read_text(encoding="utf-8")
        self._templates = {
            (name, of): _template(frame, files[kind.file], kind, known, words[of], wait)
            for name, kind in KINDS.items()
            for of in words
        }
        self._tags = {of: said["lang"].encode() for of, said in words.items()}
        self._reference = {of: escape(said["reference"]) for of, said in words.items()}
        self._languages: Memo[bytes, str] = Memo(lambda field: choose(field, words, language), 1024, longest=256)

    def language(self, accepted: bytes) -> str:
        """The language for an Accept-Language field, as one of :data:`LANGUAGES`."""
        return self._languages[accepted]

    def tag(self, language: str) -> bytes:
        """The language as Content-Language says it (RFC 5646)."""
        return self._tags[language]

    def page(self, name: str, language: str, *, host: bytes, reference: bytes, **values: bytes) -> bytes:
        """A page of a kind in a language. ``host``, and ``reference`` (b"" for none), are text from the request; the
        other values are HTML: ``nonce``, for challenges ``puzzle`` and ``rest``, for notices ``location``."""
        told = f" · {self._reference[language]} <bdi>{_text(reference)}</bdi>" if reference else ""
        values |= {"host": _text(host).encode(), "reference": told.encode()}
        return self._templates[name, language].render(values)


def _template(
    frame: str, content: str, kind: Kind, known: Mapping[str, str], words: Mapping[str, str], wait: int
) -> Template:
    scripted = kind.file == "challenge.html"
    refresh = _REFRESH if wait and kind.by_itself else ""
    values = {name: escape(phrase) for name, phrase in words.items() if name != "reference"}
    values |= known
    values |= {
        "title": values["title"] if scripted else values[kind.heading],
        "heading": values[kind.heading],
        "text": values[kind.text],
        "start_by": "itself" if kind.by_itself else "hand",
        "noscript": _WAIT if wait else _REFUSE,
        "again_link": _AGAIN if kind.again else "",
    }
    # The frame's slots first: what is put into them has slots to be filled as well.
    whole = frame.replace("{{head}}", refresh + _SCRIPT if scripted else "").replace("{{main}}", content)
    return Template(whole, values)


def _versioned(file: Path) -> str:
    """A name that changes with the content, so that what it names may be kept for good."""
    return f"{file.stem}-{sha256(file.read_bytes()).hexdigest()[:10]}{file.suffix}"


def _text(said: bytes) -> str:
    return escape(said.decode("latin-1"))
