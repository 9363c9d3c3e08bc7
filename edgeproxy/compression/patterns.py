"""What a dictionary is for: the ``match`` of Use-As-Dictionary, a URL Pattern without regular expressions (RFC 9842
§2.1.1).

Understood are paths of literal text, ``*`` for anything and ``:name`` for one segment or a part of one, and a query of
literal text and ``*``. Whatever else the URL Pattern Standard (WHATWG) knows, groups, modifiers and escapes, is
refused: a dictionary that is not used costs bytes, one that is used for another URL than its client means, an answer.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 512
MOST_WILDCARDS: Final = 8

# What stands for itself in a pattern and in a URL alike (RFC 3986 §2, less what either of them gives a meaning).
_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9._~!$&,;=@/-]|%[0-9A-Fa-f]{2})*")
_NAME: Final = re.compile(r":([A-Za-z_$][A-Za-z0-9_$]*)")
_NAME_AT_END: Final = re.compile(r":[A-Za-z_$][A-Za-z0-9_$]*\Z")
_DOTS: Final = frozenset((".", ".."))


class PatternError(ValueError):
    """A pattern that is none, or that this server does not understand."""


class Pattern:
    """One pattern, as the answer at ``site`` (scheme and authority) and ``target`` gave it. Matching takes time
    proportional to the target's length. Raises PatternError."""

    __slots__ = ("_path", "_query", "text")

    def __init__(self, text: str, site: str = "", target: str = "/") -> None:
        if not 0 < len(text) <= LONGEST:
            raise PatternError(f"a pattern has 1 to {LONGEST} characters")
        self.text = text
        if site and text.startswith(site + "/"):
            text = text[len(site) :]
        path, mark, query = text.partition("?")
        if not path or path.startswith("//"):
            raise PatternError("a pattern has a path, and no host but the site's own")
        if mark and (path.endswith("*") or _NAME_AT_END.search(path)):
            raise PatternError("a question mark behind * or a name is a modifier, which is not understood")
        folder = "" if path.startswith("/") else target.partition("?")[0].rpartition("/")[0] + "/"
        if not folder.isascii():
            raise PatternError("a relative pattern is for a URL in ASCII")
        self._path: re.Pattern[bytes] = _compile(re.escape(folder), path, names=True)
        self._query: re.Pattern[bytes] | None = _compile("", query, names=False) if mark else None

    def covers(self, target: bytes) -> bool:
        """Whether a request for this target, path and query as they are on the wire, is one it is for."""
        path, _, query = target.partition(b"?")
        if self._path.fullmatch(path) is None:
            return False
        return self._query is None or self._query.fullmatch(query) is not None

    def __repr__(self) -> str:
        return f"<Pattern {self.text}>"


def _compile(before: str, text: str, *, names: bool) -> re.Pattern[bytes]:
    """A pattern as a regular expression that never goes back over what a wildcard has taken: of literal text behind
    one, the first place will do, and behind the last, the end."""
    if _DOTS.intersection(text.split("/")):
        raise PatternError("a pattern has no . or .. for a segment")
    head, *rest = text.split("*")
    if len(rest) > MOST_WILDCARDS:
        raise PatternError(f"a pattern has at most {MOST_WILDCARDS} wildcards")
    if "" in rest[:-1]:
        raise PatternError("** is not understood")
    pieces = [before, _named(head, whole=not rest) if names else _literal(head)]
    pieces += [f"(?>.*?{_literal(piece)})" for piece in rest[:-1]]
    pieces += [f".*{_literal(piece)}" for piece in rest[-1:]]
    return re.compile("".join(pieces).encode(), re.DOTALL)


def _named(text: str, *, whole: bool) -> str:
    """The part before the first wildcard, in which names may stand: one a segment, and none in the segment that the
    wildcard stands in, so that there is one way to read a path. ``whole``: there is no wildcard."""
    found = [match[1] for match in _NAME.finditer(text)]
    if len(set(found)) < len(found):
        raise PatternError("a name stands in a pattern once")
    segments = text.split("/")
    most = [1] * len(segments) if whole else [1] * (len(segments) - 1) + [0]
    if any(len(_NAME.findall(segment)) > allowed for segment, allowed in zip(segments, most, strict=True)):
        raise PatternError("a segment has one name or wildcards")
    literals = _NAME.split(text)[::2]
    return "[^/]+".join(map(_literal, literals))


def _literal(text: str) -> str:
    if _LITERAL.fullmatch(text) is None:
        raise PatternError(f"{text!r} is not understood: a pattern has *, :name and literal text")
    return re.escape(text)
