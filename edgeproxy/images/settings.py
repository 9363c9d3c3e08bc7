"""Settings of the images stage that are maps of their own: what a picture may cost, and where it is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgeproxy.config.units import Duration, Size
from edgeproxy.images.plan import Bounds, Craft


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)


class LimitSettings(_Section):
    """What one picture may cost. What is over is passed on as it is."""

    source: Annotated[Size, Field(ge=1_000, le=200_000_000)] = 20_000_000
    """The largest file that is read."""

    pixels: Annotated[int, Field(ge=10_000, le=500_000_000)] = 50_000_000
    """Pixels of all frames together, before anything is decoded."""

    side: Annotated[int, Field(ge=16, le=30_000)] = 12_000
    """Pixels of the longer side, of the picture and of the variant."""

    avif_side: Annotated[int, Field(ge=16, le=16_384)] = 4_096
    """Pixels of the longer side from which on another format is taken in place of AVIF, whose encoders take longest."""

    frames: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Frames of a moving picture."""

    memory: Annotated[Size, Field(ge=100_000_000, le=16_000_000_000)] = 1_000_000_000
    """Memory of one process (`RLIMIT_AS`)."""

    time: Annotated[Duration, Field(ge=0.1, le=120)] = 10
    """How long a variant may wait, and how long it may take: 100ms to 2m. A process that takes longer is ended."""

    def bounds(self) -> Bounds:
        """As the engine takes them."""
        return Bounds(self.source, self.pixels, self.side, self.frames, self.memory, self.time)


class StudioSettings(_Section):
    """Where pictures are made: processes, of each worker."""

    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """Variants made at a time, a worker. One more process, of the lowest priority, makes better copies."""

    queue: Annotated[int, Field(ge=0, le=1_024)] = 32
    """How many may wait for that. For more the original is passed on."""

    engine: Literal["auto", "pillow", "vips"] = "auto"
    """What makes pictures smaller: `auto` takes libvips where pyvips is installed, for all it can do, else Pillow."""

    quality: Annotated[int, Field(ge=1, le=100)] = 80
    """The quality where none is asked for, on JPEG's scale; other formats are made to look the same."""

    likeness: Annotated[float, Field(ge=0, le=1)] = 0
    """Where no quality is asked for, take the lowest that keeps this structural similarity (SSIM) to the picture:
    0.95 is hard to tell from it, 0.98 very hard. It takes up to four encodings. 0 for none."""

    avif_speed: Annotated[int, Field(ge=0, le=10)] = 6
    """How quickly AVIF is encoded where nobody waits for it: 0 is smallest, 10 quickest."""

    hurry: bool = True
    """Whether what takes long to encode well (AVIF, PNG) is first made quickly, and the better copy in the background,
    which then takes its place in the cache. Otherwise the first who asks waits for it."""

    def craft(self) -> Craft:
        """As the engine takes it."""
        return Craft(self.quality, self.avif_speed, self.engine)
