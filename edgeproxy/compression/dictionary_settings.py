"""Settings of dictionaries, and what is built of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from edgeproxy.compression.arrivals import Arrivals
from edgeproxy.compression.choice import Choice
from edgeproxy.compression.dictionaries import Dictionaries
from edgeproxy.compression.offers import Offer
from edgeproxy.compression.patterns import Pattern
from edgeproxy.compression.shelf import Bounds, Shelf
from edgeproxy.config.units import Duration, Size
from edgeproxy.config.values import FolderPath, Many, writable

if TYPE_CHECKING:
    from edgeproxy.pipeline.middleware import Services

FOLDER = "dictionaries"  # in the folder that the node's workers share

# What a page asks for as text (https://fetch.spec.whatwg.org/#concept-request-destination).
Destination = Literal[
    "document", "frame", "iframe", "json", "manifest", "script", "serviceworker", "sharedworker", "style", "worker"
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)


def _pattern(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"{text!r} does not begin with a slash")
    Pattern(text)
    return text


def _rule(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class DictionaryRule(_Section):
    """Answers that are dictionaries for each other."""

    path: Annotated[str, AfterValidator(_pattern)]
    """Their URLs: `/assets/app.*.js`. `*` is anything, `:name` a segment or a part of one; it goes out as it stands
    here."""

    destinations: Annotated[tuple[Destination, ...], Many] = ()
    """What for, where clients say so: `script`, `style`, `document`. All if it names none."""

    def offer(self) -> Offer:
        """What Use-As-Dictionary says by this rule."""
        return Offer(self.path, self.destinations)


class DictionarySettings(_Section):
    """Which answers are kept as dictionaries, how many, and for how long."""

    match: Annotated[tuple[Annotated[DictionaryRule, BeforeValidator(_rule)], ...], Many] = ()
    """Kept answers that are dictionaries for each other's later versions: `/assets/app.*.js`, or
    `{path: /assets/app.*.js, destinations: [script]}`. One entry for each file that gets new names, the first that fits
    counts. Answers in which the origin says `Use-As-Dictionary` itself are dictionaries without it."""

    level: Annotated[int, Field(ge=1, le=19)] = 9
    """How hard Zstandard works with a dictionary: at 9 some 10 ms for a megabyte."""

    versions: Annotated[int, Field(ge=1, le=64)] = 4
    """How many dictionaries for the same URLs are kept: each may make a copy of each answer."""

    largest: Annotated[Size, Field(ge=1024, le=8 * 1024 * 1024)] = 2 * 1024 * 1024
    """Longer answers are no dictionaries."""

    size: Annotated[Size, Field(ge=1024 * 1024)] = 64 * 1024 * 1024
    """How many bytes of dictionaries the node keeps."""

    number: Annotated[int, Field(ge=1, le=4096)] = 256
    """How many dictionaries the node keeps. Those that were not asked for longest go first."""

    keep: Annotated[Duration, Field(ge=60)] = 30 * 86_400
    """How long a dictionary is kept. Clients let go of theirs when it is no longer fresh."""

    folder: FolderPath | None = None
    """Where they are kept, if not in memory: a folder of this node that outlasts restarts."""

    def build(self, choice: Choice, services: Services) -> Dictionaries | None:
        """What does the work; None where nothing is served. Raises ValueError if the folder cannot be used."""
        if self.folder is not None:
            folder = writable(self.folder, "dictionaries.folder")
        elif services.folder is not None:
            folder = services.folder / FOLDER
        else:
            return None
        shelf = Shelf(folder, Bounds(self.size, self.number, self.versions, self.keep))
        arrivals = Arrivals(shelf, [rule.offer() for rule in self.match], self.largest, services)
        return Dictionaries(shelf, arrivals, choice, self.level, services)
