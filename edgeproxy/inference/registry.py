"""The versions of each model that serve: found in folders, tried, loaded, and replaced while others are asked."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeproxy.inference.folders import Place, Signature, leads_out, places, read_model, shipped, signature
from edgeproxy.inference.manifest import ConfigErrors, Latest, Manifest, VersionSpec, load
from edgeproxy.inference.remote import Remotes
from edgeproxy.inference.samples import answer, differs, question
from edgeproxy.inference.session import RunError, Session
from edgeproxy.inference.trial import Trial, TrialError
from edgeproxy.inference.version import Standing, Version
from edgeproxy.tensors import Tensors

if TYPE_CHECKING:
    from edgeproxy.config.models import ModelsConfig
    from edgeproxy.pipeline.middleware import Services

STATES: Final = ("ready", "loading", "refused", "replaced")
START_WITHIN: Final = 30.0  # seconds a start waits for the first look; what takes longer comes into service later
AGAIN: Final = 10.0  # seconds to the next attempt where a version is not to blame; then twice as long each time
AGAIN_MOST: Final = 600.0
_WARM: Final = 5  # runs
_SAID: Final = 1_000  # characters of what is wrong with a manifest
_NONE: Final = Standing("", "", "", "")

logger = logging.getLogger("edgeproxy")


class _RefusedError(Exception):
    """A version that does not come into service. ``again``: whether it may another time."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class _Model:
    """What is known of one model. ``read``: what its files were like when they were read, ``seen``: at the last look;
    ``blamed``: whether a version was then refused, ``retry``: whether for reasons that may pass."""

    def __init__(self) -> None:
        self.manifest: Manifest | None = None
        self.wrong = ""
        self.versions: dict[str, Version] = {}
        self.standings: dict[str, Standing] = {}
        self.read: Signature = {}
        self.seen: Signature = {}
        self.blamed = self.retry = False
        self.failures = 0
        self.again = 0.0

    def due(self, found: Signature, now: float) -> bool:
        """Whether it is to be read: its files are others and stand still, or it has waited long enough."""
        before, self.seen = self.seen, found
        return found == before and (found != self.read or 0 < self.again <= now)


class Registry:
    """``get`` is asked for every question, the rest now and then. ``on_change`` is called with the name of a model
    whose versions have changed."""

    def __init__(
        self, settings: ModelsConfig, services: Services, on_change: Callable[[str], None] = lambda _: None
    ) -> None:
        """Read the manifests there are. Raises ValueError if the folder cannot be used, or has not what it should."""
        self._settings = settings
        self._on_change = on_change
        self._root = shipped() if settings.folder is None else Path(settings.folder)
        self._remotes = Remotes(settings.remote, settings.cache_folder, services)
        self._trial = Trial(settings.memory, settings.trial, settings.file_size)
        self._models: dict[str, _Model] = {}
        self._serving: dict[str, dict[str, Version]] = {}
        self._task: asyncio.Task[None] | None = None
        self._unreadable = False
        try:
            found = self._places()
        except OSError as error:
            raise ValueError(f"models.folder: {self._root} cannot be read: {error.strerror}") from None
        if missing := sorted({*settings.only} - found.keys() - settings.remote.keys()):
            raise ValueError(f"models.only: there is no model {missing[0]!r} in {self._root}")
        for name, place in found.items():
            model = self._models[name] = _Model()
            self._read(model, place)
        about = "Versions of models by what became of them."
        services.metrics.gauge("edgeproxy_model_versions", about, ("state",), self._count, merge="max")

    def get(self, name: str, number: str = "") -> Version | None:
        """The version of this number that serves; of "", the newest."""
        versions = self._serving.get(name)
        return None if versions is None else versions.get(number)

    def manifest(self, name: str) -> Manifest:
        """Raises ValueError with what is wrong: there is none, or not as it should be."""
        model = self._models.get(name)
        if model is not None and model.manifest is not None:
            return model.manifest
        if model is not None:
            raise ValueError(f"the model {name!r} cannot be used: {model.wrong}")
        if name in self._settings.remote:
            raise ValueError(f"the model {name!r} has not been fetched yet; put its manifest into {self._root / name}")
        known = ", ".join(sorted(self._models)) or "none"
        raise ValueError(f"there is no model {name!r} in {self._root}; known are {known}")

    def manifests(self) -> list[Manifest]:
        """Those of all models known, in the order of their names."""
        return [model.manifest for _, model in sorted(self._models.items()) if model.manifest is not None]

    def standings(self) -> list[Standing]:
        """What became of each version, in the order of names and numbers; of a manifest that cannot be read, "" is the
        number."""
        found = [standing for model in self._models.values() for standing in model.standings.values()]
        return sorted(found, key=lambda standing: (standing.model, int(standing.number or 0)))

    async def start(self) -> None:
        """Load what there is; what does not come in does not keep the node from starting."""
        await self._remotes.start()
        first = asyncio.Event()
        self._task = asyncio.create_task(self._run(first))
        try:
            async with asyncio.timeout(START_WITHIN):
                await first.wait()
        except TimeoutError:
            logger.warning("models: not all are loaded yet; going on without those")

    async def stop(self) -> None:
        """Look no more. Who still asks is answered as before."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._trial.stop()
        await self._remotes.stop()

    async def look(self) -> None:
        """Take what has changed in the folders, and stands still."""
        try:
            found = await asyncio.to_thread(self._signatures)
        except OSError as error:
            if not self._unreadable:
                logger.warning("models: %s cannot be read: %s; keeping what there is", self._root, error.strerror)
            self._unreadable = True
            return
        self._unreadable = False
        for name in self._models.keys() - found.keys():
            del self._models[name]
            self._serve(name, {})
            logger.info("models: %s: out of service: it is not there any more", name)
        for name, (place, files) in found.items():
            model = self._models.setdefault(name, _Model())
            if model.due(files, time.monotonic()):
                await self._take(name, model, place, files)
        await self._trial.stop()

    async def _run(self, first: asyncio.Event) -> None:
        await self.look()  # twice, for files have to stand still
        await self.look()
        first.set()
        while True:
            await asyncio.sleep(self._settings.poll)
            await self.look()

    # -- files ------------------------------------------------------------------------------------------------------

    def _places(self) -> dict[str, Place]:
        return places(self._root, self._settings.only) | self._remotes.places()

    def _signatures(self) -> dict[str, tuple[Place, Signature]]:
        return {name: (place, signature(place)) for name, place in self._places().items()}

    @staticmethod
    def _read(model: _Model, place: Place) -> None:
        """The manifest; one that cannot be read leaves the one before."""
        try:
            if leads_out(place):
                raise ValueError("its manifest lies outside of the folder of models")
            model.manifest, model.wrong = load(place.folder), ""
        except (ConfigErrors, ValueError) as error:
            model.wrong = str(error)[:_SAID]

    async def _take(self, name: str, model: _Model, place: Place, files: Signature) -> None:
        """Bring into service what the manifest wants, as far as it passes."""
        await asyncio.to_thread(self._read, model, place)
        before, model.read, model.again = model.read, files, 0.0
        manifest = model.manifest
        if model.wrong or manifest is None:
            self._stand(model, Standing(name, "", "refused", model.wrong))
            return
        model.standings.pop("", None)
        model.blamed = model.retry = False
        wanted, most = _wanted(manifest)
        serving: dict[str, Version] = {}
        for number in wanted:
            unchanged = before.get(number) == files.get(number)
            version = await self._bring(model, place, manifest, number, unchanged=unchanged)
            if version is not None:
                serving[number] = version
                if len(serving) == most:
                    break
        if model.blamed and not serving:  # what the manifest has no more goes on until there is something in its place
            serving = {number: version for number, version in model.versions.items() if number in files}
        model.versions = serving
        self._settle(model, manifest, wanted)
        self._serve(name, serving)

    async def _bring(
        self, model: _Model, place: Place, manifest: Manifest, number: str, *, unchanged: bool
    ) -> Version | None:
        """The version of this number: the one there is if it is still the same, or another that passes, or the one
        there is."""
        name, spec, there = manifest.name, manifest.versions[number], model.versions.get(number)
        if there is not None and unchanged and _same(there, manifest, spec):
            return there._replace(manifest=manifest, spec=spec)
        if number not in model.standings:
            self._stand(model, Standing(name, number, "loading", ""))
        try:
            version = await self._admit(place, manifest, number, there)
        except FileNotFoundError:
            self._stand(model, Standing(name, number, "refused", "its file is not there"))
            return None
        except (_RefusedError, OSError) as error:
            model.blamed = True
            model.retry |= isinstance(error, OSError) or error.again
            refused = Standing(name, number, "refused", str(error))
            serves = Standing(name, number, "ready", f"its file of now is refused: {error}")
            self._stand(model, refused if there is None else serves)
            return there
        how = f", {version.seconds * 1e6:.0f} µs a run, {'inline' if version.inline else 'on threads'}"
        is_new = there is None or there.session is not version.session
        self._stand(model, Standing(name, number, "ready", ""), how if is_new else "")
        return version

    def _settle(self, model: _Model, manifest: Manifest, wanted: list[str]) -> None:
        """Note what became of the versions that were not tried, and when to try again."""
        name, known = manifest.name, manifest.versions.keys()
        for number in model.versions.keys() - known:
            self._stand(model, Standing(name, number, "ready", "out of the manifest, but nothing else there passes"))
        for number in known - model.versions.keys():
            if number not in wanted or model.standings.get(number, _NONE).state != "refused":
                self._stand(model, Standing(name, number, "replaced", "others serve"))
        for number in model.standings.keys() - known - model.versions.keys():
            del model.standings[number]
        model.failures = model.failures + 1 if model.retry else 0
        if model.retry:
            model.again = time.monotonic() + min(AGAIN * 2 ** min(model.failures - 1, 10), AGAIN_MOST)

    async def _admit(self, place: Place, manifest: Manifest, number: str, there: Version | None) -> Version:
        """The version in that folder; the one ``there`` if that is what it is. Raises _RefusedError, OSError."""
        settings, spec = self._settings, manifest.versions[number]
        try:
            content, digest = await asyncio.to_thread(read_model, place, number, settings.file_size)
            if digest != spec.sha256:
                raise _RefusedError(f"its file's SHA-256 is {digest}; the manifest has {spec.sha256}")
            if there is not None and _same(there, manifest, spec):
                return there._replace(manifest=manifest, spec=spec)
            report = await self._trial.judge(content, manifest, spec)
            session, seconds = await asyncio.to_thread(_load, content, settings.threads, manifest, spec)
        except (ValueError, RunError, MemoryError, TrialError) as error:
            again = isinstance(error, MemoryError) or (isinstance(error, TrialError) and error.again)
            raise _RefusedError(str(error) or "out of memory", again=again) from None
        seconds = max(seconds, report.seconds)  # whoever was tried might have lied
        inline = seconds < settings.inline and not report.control_flow
        return Version(manifest, number, spec, session, seconds, inline)

    # -- what is told -----------------------------------------------------------------------------------------------

    def _serve(self, name: str, versions: dict[str, Version]) -> None:
        """Put these versions into service in place of all others of the model."""
        before = self._serving.get(name, {})
        serving = dict(versions)
        if versions:
            serving[""] = versions[max(versions, key=int)]
        others = {other: kept for other, kept in self._serving.items() if other != name}
        self._serving = others | {name: serving} if serving else others
        if before.keys() != serving.keys() or any(before[key].session is not serving[key].session for key in serving):
            self._on_change(name)

    @staticmethod
    def _stand(model: _Model, standing: Standing, how: str = "") -> None:
        """Note what became of a version, and say so if it is news."""
        before = model.standings.get(standing.number)
        model.standings[standing.number] = standing
        if standing == before and not how:
            return
        who = "/".join(filter(None, standing[:2]))
        if standing.state == "refused":
            logger.warning("models: %s: refused: %s", who, standing.reason)
        elif standing.state == "ready" and standing.reason:
            logger.warning("models: %s: serves on: %s", who, standing.reason)
        elif standing.state == "ready":
            logger.info("models: %s: in service%s", who, how)
        elif before is not None:
            logger.info("models: %s: out of service: %s", who, standing.reason)

    def _count(self) -> Iterable[tuple[tuple[str, ...], float]]:
        states = [standing.state for model in self._models.values() for standing in model.standings.values()]
        return [((state,), states.count(state)) for state in STATES]

    def __repr__(self) -> str:
        return f"<Registry {', '.join(f'{name}: {sorted(each)}' for name, each in self._serving.items())}>"


def _wanted(manifest: Manifest) -> tuple[list[str], int]:
    """The versions that may serve, newest first, and how many of them."""
    if isinstance(manifest.serve, Latest):
        return sorted(manifest.versions, key=int, reverse=True), manifest.serve.latest
    return [str(number) for number in sorted(manifest.serve, reverse=True)], len(manifest.serve)


def _same(there: Version, manifest: Manifest, spec: VersionSpec) -> bool:
    """Whether the version needs no other trial than the one it passed."""
    before = there.manifest
    files = there.spec.sha256 == spec.sha256 and there.spec.sample == spec.sample
    ends = before.inputs == manifest.inputs and before.outputs == manifest.outputs
    return files and ends and before.control_flow == manifest.control_flow


def _load(content: bytes, threads: int, manifest: Manifest, spec: VersionSpec) -> tuple[Session, float]:
    """Load it here, and warm it up with its sample; CPU seconds of a run. Raises RunError, ValueError."""
    session = Session(content, threads)
    sample = spec.sample
    asked = question([each.spec for each in manifest.inputs], sample.inputs, sample.seed)
    seconds = math.inf
    told: Tensors = {}
    for _ in range(_WARM):
        began = time.thread_time()
        told = session.run(asked)
        seconds = min(seconds, time.thread_time() - began)
    first = answer(told, {name: len(values) for name, values in sample.outputs.items()})
    if reason := differs(first, sample.outputs, sample.within):
        raise ValueError(reason)
    return session, seconds
