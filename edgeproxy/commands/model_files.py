"""The models in a folder as the commands look at them: read, vetted and tried as for serving, and not served."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edgeproxy.config.errors import ConfigErrors
from edgeproxy.config.models import ModelsConfig
from edgeproxy.inference import vet
from edgeproxy.inference.folders import Place, leads_out, places, read_model, shipped
from edgeproxy.inference.manifest import Latest, Manifest, VersionSpec, load
from edgeproxy.inference.trial import Report, Trial, TrialError


class Found(NamedTuple):
    """A version and what became of it. ``number`` is "" where the manifest could not be read; ``content`` the file of
    one that passed, ``reason`` why another did not; ``report`` what its trial found, if it had one."""

    name: str
    number: str = ""
    manifest: Manifest | None = None
    spec: VersionSpec | None = None
    content: bytes = b""
    size: int = 0
    reason: str = ""
    report: Report | None = None


class ModelFiles:
    """The models of a folder; of a configuration's, or those that come with edgeproxy where it names none."""

    def __init__(self, settings: ModelsConfig, folder: Path | None = None) -> None:
        """``folder``: in place of that in the settings. Raises ValueError if it cannot be read."""
        self.settings = settings
        self.root = folder or (shipped() if settings.folder is None else Path(settings.folder))
        try:
            self._places = places(self.root, () if folder else settings.only)
        except OSError as error:
            raise ValueError(f"{self.root} cannot be read: {error.strerror}") from None

    def place(self, name: str) -> Place:
        """Raises ValueError where there is no such model."""
        place = self._places.get(name)
        if place is None:
            raise ValueError(f"there is no model {name!r} in {self.root}; there is {', '.join(self._places) or 'none'}")
        if leads_out(place):
            raise ValueError(f"the manifest of {name!r} lies outside of {self.root}")
        return place

    def manifest(self, name: str) -> Manifest:
        """Raises ValueError and ConfigErrors."""
        return load(self.place(name).folder)

    def vetted(self, names: Sequence[str] = (), *, newest: bool = False) -> Iterator[Found]:
        """All versions of these models, or of all; each read and vetted. Raises ValueError for unknown names."""
        for name in names:
            self.place(name)
        for name in names or self._places:
            try:
                manifest = self.manifest(name)
            except (ConfigErrors, ValueError) as error:
                yield Found(name, reason=str(error))
                continue
            numbers = sorted(manifest.versions, key=int)
            for number in numbers[-1:] if newest else numbers:
                yield self.read(manifest, number)

    def read(self, manifest: Manifest, number: str) -> Found:
        """One version, read and vetted."""
        spec = manifest.versions[number]
        found = Found(manifest.name, number, manifest, spec)
        try:
            content, digest = read_model(self._places[manifest.name], number, self.settings.file_size)
        except FileNotFoundError:
            return found._replace(reason="its file is not there")
        except (OSError, ValueError) as error:
            return found._replace(reason=str(error))
        found = found._replace(size=len(content))
        if digest != spec.sha256:
            return found._replace(reason=f"its file's SHA-256 is {digest}; the manifest has {spec.sha256}")
        return self.vet(found._replace(content=content))

    def vet(self, found: Found) -> Found:
        """A version whose file is there, vetted."""
        manifest = found.manifest
        if manifest is None or not found.content:
            return found
        try:
            facts = vet.read(found.content, control_flow=manifest.control_flow, largest=self.settings.file_size)
            vet.agree(facts, [each.spec for each in manifest.inputs], [each.spec for each in manifest.outputs])
        except vet.VetError as error:
            return found._replace(content=b"", reason=str(error))
        return found

    async def tried(self, found: Sequence[Found]) -> AsyncIterator[Found]:
        """The same versions one by one, those that passed the vet tried as well, in a confined process."""
        trial = Trial(self.settings.memory, self.settings.trial, self.settings.file_size)
        try:
            for each in found:
                if each.manifest is None or each.spec is None or not each.content:
                    yield each
                    continue
                try:
                    report = await trial.judge(each.content, each.manifest, each.spec)
                except TrialError as error:
                    yield each._replace(content=b"", reason=str(error))
                else:
                    yield each._replace(report=report)
        finally:
            await trial.stop()

    def runs_inline(self, found: Found) -> bool:
        """Whether a tried version would run inside the event loop."""
        report = found.report
        return report is not None and report.seconds < self.settings.inline and not report.control_flow


def serves(found: Found, passed: Sequence[Found]) -> bool:
    """Whether a version is among those that its manifest puts into service, of those of its model that ``passed``."""
    manifest = found.manifest
    if manifest is None or found.reason:
        return False
    if not isinstance(manifest.serve, Latest):
        return int(found.number) in manifest.serve
    numbers = sorted((int(each.number) for each in passed if each.name == found.name and not each.reason), reverse=True)
    return int(found.number) in numbers[: manifest.serve.latest]
