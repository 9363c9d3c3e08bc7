"""What a model says of itself: ``models/<name>/manifest.yaml``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from edgeproxy.config.document import Document
from edgeproxy.config.errors import ConfigErrors, Loc
from edgeproxy.config.load import read_file
from edgeproxy.config.phrases import TEXT_WANTED, phrase
from edgeproxy.config.section import Section
from edgeproxy.config.units import Duration
from edgeproxy.config.values import Many, Name
from edgeproxy.inference.samples import FRACTIONS, array, question
from edgeproxy.tensors import ANY, KINDS, Spec, TensorError

__all__ = ["FILE", "ConfigErrors", "InputSpec", "Latest", "Manifest", "OutputSpec", "Sample", "VersionSpec", "load"]

FILE = "manifest.yaml"


def _kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"{name!r} is no type; known are {', '.join(KINDS)}")
    return name


def _shape(lengths: tuple[int, ...]) -> tuple[int, ...]:
    if any(length < ANY or length == 0 for length in lengths):
        raise ValueError("lengths are positive, or -1 for any")
    return lengths


def _number(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise ValueError("a version is a whole number: 1, 2, 3")
    return text


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("a SHA-256 has 64 digits, 0 to 9 and a to f")
    return text


Kind = Annotated[str, AfterValidator(_kind)]
Shape = Annotated[tuple[int, ...], Field(max_length=8), AfterValidator(_shape)]
Task = Literal[
    "score", "anomaly", "text-classification", "image-classification", "object-detection", "recommendation", "other"
]
Number = int | float
Faults = Iterator[tuple[Loc, str]]  # key paths, and what is wrong there
Values = Annotated[list[Any], Field(max_length=100_000)]


class Pixels(Section):
    """A picture as an input: decoded, made to fit, and its bytes 0 to 255 taken as ``(byte / 255 - mean) / deviation``
    (``UINT8`` inputs take them as they are)."""

    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)
    channels: Literal["grey", "rgb"] = "rgb"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    fit: Literal["stretch", "cover", "pad"] = "cover"
    invert: bool = False
    """Whether dark is high: for ink on paper."""
    mean: Annotated[tuple[float, ...], Many] = (0.0,)
    deviation: Annotated[tuple[float, ...], Many] = (1.0,)


class InputSpec(Section):
    """One input. Without ``pixels`` and ``features`` it is given as a tensor."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    kind: Kind
    shape: Shape
    """Lengths; -1 is any, as the first one it is the batch."""
    pixels: Pixels | None = None
    features: str | None = None
    """The function of ``edgeproxy.features`` whose numbers these are, with its version: ``text/1``, ``head/1``."""

    @property
    def spec(self) -> Spec:
        return Spec(self.name, self.kind, self.shape)


class OutputSpec(Section):
    """One output, and what it means."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    kind: Kind
    shape: Shape
    labels: Annotated[tuple[str, ...], Field(max_length=10_000)] = ()
    """What the places along the last axis are called."""
    softmax: bool = False
    """Whether these are logits, which become probabilities before they are told."""
    top: int = Field(5, ge=1, le=100)
    """How many labels are told, the likeliest first."""

    @property
    def spec(self) -> Spec:
        return Spec(self.name, self.kind, self.shape)


class Sample(Section):
    """A question and its answer. A version that answers otherwise does not serve."""

    seed: int | None = None
    """In place of ``inputs``: ``numpy.random.default_rng(seed)``, in the order of the inputs, ``integers(0, 256)`` for
    UINT8, ``integers(0, 2)`` for other whole numbers, ``random()`` for the rest; free lengths are 1."""
    inputs: dict[str, Values] = Field({})
    """By input, flat; free lengths are 1."""
    outputs: dict[str, Values]
    """By output, flat: the first values of each."""
    within: float = Field(1e-3, gt=0)
    """How far an answer may be off."""


class Histogram(Section):
    """Where one number of the training data lay, for telling drift: ``edges`` ascending, shares of what lies below the
    first, between, and from the last on."""

    edges: Annotated[tuple[float, ...], Field(min_length=1, max_length=64)]
    shares: Annotated[tuple[float, ...], Field(min_length=2, max_length=65)]


class VersionSpec(Section):
    """One version: its file is ``<version>/model.onnx``."""

    sha256: Annotated[str, AfterValidator(_digest)]
    sample: Sample
    quality: dict[str, Number | str] = Field({})
    """What was measured, on data it had not seen."""
    histograms: dict[str, Histogram] = Field({})
    """By what ``edgeproxy.features`` calls a number, or ``output[i]``."""


class Latest(Section):
    """So many of the newest versions serve."""

    latest: int = Field(1, ge=1, le=16)


class Batch(Section):
    """Questions put together into one run, where that pays."""

    most: int = Field(ge=2, le=1024)
    wait: Duration = Field(0.001, ge=0, le=1)
    """How long the first waits for others."""


class Manifest(Section):
    """A model. ``versions`` by number; the newest that passes answers whoever names none."""

    name: Name
    task: Task
    about: Annotated[str, Field(min_length=1, max_length=500)]
    licence: Annotated[str, Field(min_length=1, max_length=100)]
    data: Annotated[str, Field(min_length=1, max_length=500)]
    """What it was trained on, with the licence of that; "none" for weights drawn at random, to measure latency."""
    inputs: Annotated[tuple[InputSpec, ...], Field(min_length=1, max_length=32)]
    outputs: Annotated[tuple[OutputSpec, ...], Field(min_length=1, max_length=32)]
    versions: Annotated[dict[Annotated[str, AfterValidator(_number)], VersionSpec], Field(min_length=1)]
    serve: Latest | Annotated[tuple[int, ...], Field(min_length=1, max_length=16)] = Latest()
    """``latest: n``, or the versions by number."""
    budget: Duration = Field(0.1, ge=0.0001, le=60)
    """How long a question may take here, waiting included; then it goes further in."""
    pure: bool = True
    """Whether the same question always has the same answer, which may then be kept."""
    batch: Batch | None = None
    concurrency: int = Field(1, ge=1, le=64)
    """How many runs at a time, of those that do not run inline."""
    queue: int = Field(32, ge=0, le=10_000)
    """How many more may wait."""
    control_flow: bool = False
    """Whether its graph may have loops and branches; it then never runs inline."""
    default: dict[str, Values] | None = None
    """By output, flat: what is answered, marked as such, when nobody can be asked. Not given: 503."""

    @model_validator(mode="after")
    def _fits(self) -> Manifest:
        for group in (self.inputs, self.outputs):
            names = [each.name for each in group]
            if len(set(names)) < len(names):
                raise ValueError("two inputs or two outputs have one name")
        known = {output.name for output in self.outputs}
        if self.default is not None and self.default.keys() != known:
            raise ValueError("default: names all outputs and nothing else")
        return self


def load(folder: Path) -> Manifest:
    """The manifest in a model's folder. Raises ConfigErrors with all that is wrong, each with its line."""
    file = folder / FILE
    document = Document(read_file(file), str(file), {})
    manifest, found = _validated(document.data)
    if [loc for loc, _, text_wanted in found if text_wanted and document.take_text(loc)]:
        manifest, found = _validated(document.data)
    errors = [*document.errors, *(document.error(loc, message) for loc, message, _ in found)]
    if manifest is not None:
        if manifest.name != folder.name:
            errors.append(document.error(("name",), f"is not the folder's name, {folder.name!r}"))
        errors += [document.error(loc, message) for loc, message in faults(manifest)]
    if errors or manifest is None:
        raise ConfigErrors(sorted(set(errors), key=lambda error: (error.line, error.column, error.message)))
    return manifest


def faults(manifest: Manifest) -> Faults:
    """What does not fit together in a manifest, each with the key path it stands at."""
    for at, given in enumerate(manifest.inputs):
        yield from _below(("inputs", at), _input_faults(given))
    for at, told in enumerate(manifest.outputs):
        yield from _below(("outputs", at), _output_faults(told))
    if isinstance(manifest.serve, tuple):
        for at, chosen in enumerate(manifest.serve):
            if str(chosen) not in manifest.versions:
                yield ("serve", at), f"there is no version {chosen}; known are {', '.join(manifest.versions)}"
    if manifest.batch is not None:
        for spec in (*(given.spec for given in manifest.inputs), *(told.spec for told in manifest.outputs)):
            if spec.shape[:1] != (ANY,):
                yield ("batch",), f"needs a free first length, -1, everywhere; {spec} has none"
    if manifest.default is not None:
        yield from _below(("default",), _told_faults(manifest.default, manifest, exact=True))
    for number, version in manifest.versions.items():
        yield from _below(("versions", number, "sample"), _sample_faults(version.sample, manifest))
        yield from _below(("versions", number, "histograms"), _histogram_faults(version.histograms))


def _below(place: Loc, found: Faults) -> Faults:
    return (((*place, *loc), message) for loc, message in found)


def _validated(data: Any) -> tuple[Manifest | None, list[tuple[Loc, str, bool]]]:
    """The manifest, or what is wrong with it: where, what, and whether the text as written may be right."""
    try:
        return Manifest.model_validate(data), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A list whose only entries are wrong counts as empty; that it is so is no second mistake.
        above = {each["loc"][:depth] for each in found for depth in range(len(each["loc"]))}
        first = [each for each in found if each["loc"] not in above]
        return None, [(each["loc"], phrase(each, Manifest), each["type"] in TEXT_WANTED) for each in first]


def _input_faults(given: InputSpec) -> Faults:
    pixels = given.pixels
    if pixels is None:
        return
    if given.features is not None:
        yield ("features",), "an input is made of pixels, or of features"
    channels = 3 if pixels.channels == "rgb" else 1
    size = pixels.width * pixels.height * channels
    if given.kind == "BYTES" or math.prod(length for length in given.shape if length != ANY) != size:
        yield (
            ("pixels",),
            f"are {size} numbers, {pixels.width} x {pixels.height} x {channels}; {given.spec} takes others",
        )
    for key, values in (("mean", pixels.mean), ("deviation", pixels.deviation)):
        if len(values) not in {1, channels} or (key == "deviation" and 0 in values):
            yield ("pixels", key), f"needs one number, or one for each of {channels} channels, and no deviation is 0"


def _output_faults(told: OutputSpec) -> Faults:
    if told.labels and (not told.shape or told.shape[-1] not in {ANY, len(told.labels)}):
        yield ("labels",), f"are {len(told.labels)}, for an axis of another length: {told.spec}"
    if told.softmax and told.kind not in FRACTIONS:
        yield ("softmax",), f"makes probabilities of fractions, not of {told.kind}"


def _sample_faults(sample: Sample, manifest: Manifest) -> Faults:
    if sample.seed is not None and sample.inputs:
        yield ("inputs",), "are given, and a seed to draw them by"
    elif sample.seed is None and sample.inputs.keys() != {given.name for given in manifest.inputs}:
        yield ("inputs",), f"must be those of the model: {', '.join(given.name for given in manifest.inputs)}"
    else:
        for given in manifest.inputs:
            try:
                question([given.spec], sample.inputs, sample.seed)
            except TensorError as error:
                yield ("inputs" if sample.seed is None else "seed",), str(error)
    if not sample.outputs:
        yield ("outputs",), "must not be empty"
    yield from _below(("outputs",), _told_faults(sample.outputs, manifest, exact=False))


def _told_faults(values: dict[str, Values], manifest: Manifest, *, exact: bool) -> Faults:
    """Of values by output: all of them, or the first ones."""
    specs = {told.name: told.spec for told in manifest.outputs}
    for name, flat in values.items():
        spec = specs.get(name)
        if spec is None:
            yield (name,), f"there is no such output; known are {', '.join(specs)}"
            continue
        try:
            array(spec if exact else Spec(name, spec.kind, (len(flat),)), flat)
        except TensorError as error:
            yield (name,), str(error)


def _histogram_faults(histograms: dict[str, Histogram]) -> Faults:
    for name, (edges, shares) in ((name, (each.edges, each.shares)) for name, each in histograms.items()):
        if any(low >= high for low, high in pairwise(edges)):
            yield (name, "edges"), "must ascend"
        if len(shares) != len(edges) + 1:
            yield (name, "shares"), f"are {len(shares)}; {len(edges)} edges make {len(edges) + 1}"
        if min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=0.01):
            yield (name, "shares"), "must be 0 or more, and 1 together"
