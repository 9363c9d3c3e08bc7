"""What pages were seen to preload, in bounded memory: what was not asked for the longest is forgotten first."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from edgeproxy.http.headers import Headers

PAGES: Final = 4096
SIZE: Final = 4 * 1024 * 1024  # bytes of keys, fields and tags
OVERHEAD: Final = 512  # bytes, about, that a page takes beside those

# Whether what is known of a page with this key and these tags since this wall time was not purged (PurgeLog.allows).
Allows = Callable[[bytes, Collection[bytes], float], bool]


class Learned:
    """The fields of early hints by the cache's key. ``wall`` tells wall time in seconds."""

    def __init__(self, allows: Allows, wall: Callable[[], float]) -> None:
        self._allows: Allows = allows
        self._wall: Callable[[], float] = wall
        self._pages: dict[bytes, _Page] = {}
        self._size = 0

    def knows(self, key: bytes, link: bytes) -> bool:
        """Whether this is the Link field that was learned from, as that of a stored page is with every hit."""
        page = self._pages.get(key)
        return page is not None and page.link == link

    def learn(self, key: bytes, link: bytes, fields: Headers, tags: tuple[bytes, ...] = ()) -> None:
        """The page has this Link field now, and of it ``fields`` are to be told; there may be none."""
        known = self._pages.get(key)
        if known is not None and known.says(link, fields, tags) and self._current(key, known):
            return
        self.forget(key)
        page = _Page(link, fields, tags, self._wall())
        page.size = OVERHEAD + len(key) + len(link) + sum(map(len, (*fields.values(), *tags)))
        self._pages[key] = page
        self._size += page.size
        while len(self._pages) > PAGES or self._size > SIZE:
            self.forget(next(iter(self._pages)))

    def of(self, key: bytes) -> Headers:
        """What is to be told of the page; nothing if nothing is known, or it was purged since. The fields are not to be
        changed."""
        page = self._pages.get(key)
        if page is None:
            return {}
        if not self._current(key, page):
            self.forget(key)
            return {}
        del self._pages[key]
        self._pages[key] = page
        return page.fields

    def forget(self, key: bytes) -> None:
        """Nothing if it is not known."""
        page = self._pages.pop(key, None)
        if page is not None:
            self._size -= page.size

    def _current(self, key: bytes, page: _Page) -> bool:
        """Whether it was not purged. What was looked at need not be looked at again."""
        now = self._wall()
        if not self._allows(key, page.tags, page.seen):
            return False
        page.seen = now
        return True

    def __len__(self) -> int:
        return len(self._pages)

    def __repr__(self) -> str:
        return f"<Learned {len(self._pages)} pages, {self._size} B>"


class _Page:
    """``seen``: the wall time since which it is known not to have been purged."""

    __slots__ = ("fields", "link", "seen", "size", "tags")

    def __init__(self, link: bytes, fields: Headers, tags: tuple[bytes, ...], seen: float) -> None:
        self.link = link
        self.fields = fields
        self.tags = tags
        self.seen = seen
        self.size = 0

    def says(self, link: bytes, fields: Headers, tags: tuple[bytes, ...]) -> bool:
        return self.link == link and self.fields == fields and self.tags == tags
