"""What is to be asked for: URLs from a list, a sitemap or an access log of ours, told apart by how they begin."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

from edgeproxy.cache.key import of_url
from edgeproxy.warm import sitemap

MOST = 1_000_000  # URLs of one source
LINE = 65_536  # bytes of one line; longer ones are none of ours

_GZIP = b"\x1f\x8b"
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_COMBINED = re.compile(rb'\S+ \S+ \S+ \[[^\]]*\] "(?P<method>\S+) (?P<target>\S+) HTTP/[0-9.]+" (?P<status>[0-9]{3}) ')


class Source(NamedTuple):
    """``urls`` in the order in which they are to be asked for, each once; ``sitemaps`` are to be read too; ``skipped``
    counts lines of a log that name nothing to ask for."""

    urls: list[str]
    sitemaps: list[str]
    skipped: int = 0


def read(stream: io.BufferedReader, base: str | None = None) -> Source:
    """What a file holds, packed with gzip or not. ``base``: scheme and host of log lines that name none.

    Raises ValueError with what is wrong, OSError or EOFError if it cannot be read.
    """
    if stream.peek(2)[:2] == _GZIP:
        stream = io.BufferedReader(gzip.GzipFile(fileobj=stream))
    beginning = stream.peek(LINE).removeprefix(b"\xef\xbb\xbf").lstrip()
    if beginning[:1] == b"<":
        listed = sitemap.parse(stream.read(sitemap.LARGEST + 1))
        return Source(_each_once(listed.urls), _each_once(listed.sitemaps))
    if beginning[:1] == b"{" or _COMBINED.match(beginning):
        return _logged(stream, base)
    return Source(_listed(stream), [])


def normalised(url: str) -> str:
    """A URL as keys have it, without a fragment. Raises ValueError."""
    return of_url(quote(url.partition("#")[0], safe=_PRINTABLE)).decode("ascii")


def _each_once(urls: list[str]) -> list[str]:
    return list(dict.fromkeys(normalised(url) for url in urls))


def _lines(stream: io.BufferedReader) -> Iterator[bytes]:
    """Lines without their end; of a line that is too long nothing."""
    whole = True
    while line := stream.readline(LINE):
        ends = line.endswith(b"\n") or len(line) < LINE
        if whole and ends:
            yield line.strip()
        whole = ends


def _listed(stream: io.BufferedReader) -> list[str]:
    urls: dict[str, None] = {}
    for number, line in enumerate(_lines(stream), 1):
        text = line.decode("utf-8-sig", "replace")
        if not text or text.startswith("#"):
            continue
        try:
            urls[normalised(text)] = None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if len(urls) > MOST:
            raise ValueError(f"more than {MOST} URLs")
    return list(urls)


def _logged(stream: io.BufferedReader, base: str | None) -> Source:
    """The URLs of a log that were answered to a GET, the one asked for most often first."""
    site = None if base is None else normalised(base).removesuffix("/")
    asked: Counter[str] = Counter()
    skipped = 0
    for line in _lines(stream):
        try:
            url = _from_json(line) if line[:1] == b"{" else _from_combined(line, site)
        except _NoHostError:
            raise ValueError("lines of the combined format name no host; give it with --base") from None
        except (ValueError, KeyError, TypeError):
            url = None
        if url is None or (len(asked) >= MOST and url not in asked):
            skipped += 1
        else:
            asked[url] += 1
    return Source([url for url, _ in asked.most_common()], [], skipped)


class _NoHostError(Exception):
    """A line can only be read with a base."""


def _from_json(line: bytes) -> str | None:
    fields = json.loads(line)
    if fields["method"] != "GET" or not _answered(fields["status"]) or _is_altered(fields["target"]):
        return None
    return normalised(f"{fields['scheme']}://{fields['host']}{fields['target']}")


def _from_combined(line: bytes, site: str | None) -> str | None:
    match = _COMBINED.match(line)
    if match is None or match["method"] != b"GET" or not _answered(int(match["status"])):
        return None
    if site is None:
        raise _NoHostError
    target = match["target"].decode("ascii")
    return None if _is_altered(target) else normalised(site + target)


def _answered(status: int) -> bool:
    return 200 <= status < 400


def _is_altered(target: str) -> bool:
    """Whether a log shows it otherwise than it was sent: cut, masked, escaped."""
    return target.endswith("...") or "***" in target or "\\" in target
