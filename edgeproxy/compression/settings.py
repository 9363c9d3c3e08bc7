"""Settings of the compression stage that are maps of their own: how hard each coding works, at once and later."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from edgeproxy.config.units import Size


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)


class Levels(_Section):
    """How hard each coding works, on its own scale."""

    br: Annotated[int, Field(ge=0, le=11)] = 5
    """Brotli."""

    zstd: Annotated[int, Field(ge=1, le=19)] = 3
    """Zstandard. Levels above 19 need windows that browsers refuse (RFC 9659)."""

    gzip: Annotated[int, Field(ge=1, le=9)] = 3
    """gzip. 1 to 3 are ISA-L's, an eighth of zlib's time for a tenth more bytes; 4 to 9 are zlib's."""


class Background(_Section):
    """How hard each coding works on the better copy of what is kept."""

    br: Annotated[int, Field(ge=0, le=11)] = 11
    """Brotli: a millisecond of CPU time for each kilobyte at 11, a tenth of that at 9."""

    zstd: Annotated[int, Field(ge=1, le=19)] = 19
    """Zstandard."""

    gzip: Annotated[int, Field(ge=1, le=9)] = 9
    """gzip."""

    largest: Annotated[Size, Field(ge=1024, le=64 * 1024 * 1024)] = 2 * 1024 * 1024
    """Bodies that are longer before they are compressed stay as they were first kept."""
