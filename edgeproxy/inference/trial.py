"""A version is tried before it serves: loaded and asked its sample, in a process that can do no harm (ADR 0008)."""

from __future__ import annotations

import asyncio
import json
import math
import signal
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from edgeproxy.confined.child import Child
from edgeproxy.inference.manifest import Manifest, VersionSpec
from edgeproxy.inference.samples import differs
from edgeproxy.inference.trial_process import ANSWER, JOB, SAID

_MODULE: Final = "edgeproxy.inference.trial_process"
# All there is: no secret of ours, no switch of others. One thread does, and needs no arenas beside its own.
_ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_SLOWER: Final = 4  # how much longer than its CPU time a trial may take, on a machine that has other things to do
_GRACE: Final = 5.0  # seconds more
_GONE: Final = 1.0  # seconds for a process whose socket has ended to end as well
_HEAD: Final = 2_000  # bytes of an answer beside the values of outputs
_VALUE: Final = 40  # bytes of one of those, as JSON
_TEXT: Final = 1_000  # the same where they are texts


class TrialError(Exception):
    """A version that did not pass; the text says why. ``again``: whether that was not its fault, so far as is known."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class Report(NamedTuple):
    """What a trial found: CPU seconds of a run, whether the graph has loops or branches, nodes, opset, and bytes of
    constants."""

    seconds: float
    control_flow: bool
    nodes: int
    opset: int
    parameters: int


class Trial:
    """Tries versions one after the other, in one process as long as that lives.

    ``memory``: bytes of address space it has. ``seconds``: CPU time a version may take. ``largest``: bytes of its
    constants.
    """

    def __init__(self, memory: int, seconds: float, largest: int) -> None:
        self._memory = memory
        self._seconds = seconds
        self._largest = largest
        self._turn = asyncio.Lock()
        self._child: Child | None = None

    async def judge(self, content: bytes, manifest: Manifest, spec: VersionSpec) -> Report:
        """Raises TrialError."""
        wanted = {name: len(values) for name, values in spec.sample.outputs.items()}
        job = {
            "control_flow": manifest.control_flow,
            "inputs": [each.spec for each in manifest.inputs],
            "largest": self._largest,
            "outputs": [each.spec for each in manifest.outputs],
            "seconds": self._seconds,
            "seed": spec.sample.seed,
            "values": spec.sample.inputs,
            "wanted": wanted,
        }
        texts = {each.name for each in manifest.outputs if each.kind == "BYTES"}
        most = _HEAD + sum(count * (_TEXT if name in texts else _VALUE) for name, count in wanted.items())
        async with self._turn:
            said = await self._ask(json.dumps(job).encode(), content, most)
        report, told = _believed(said)
        if reason := differs(told, spec.sample.outputs, spec.sample.within):
            raise TrialError(reason)
        return report

    async def stop(self) -> None:
        """End the process; the next version gets another one."""
        child, self._child = self._child, None
        if child is not None:
            await child.end()

    async def _ask(self, order: bytes, content: bytes, most: int) -> Any:
        child = await self._started()
        within = self._seconds * _SLOWER + _GRACE
        try:
            async with asyncio.timeout(within):
                await child.send(JOB.pack(len(order), len(content)) + order, content)
                (length,) = ANSWER.unpack(await child.receive(ANSWER.size))
                if length > most:
                    raise ValueError("out of all proportion")
                return json.loads(await child.receive(length))
        except TimeoutError:
            await self.stop()
            raise TrialError(f"its trial did not end within {within:g} s", again=True) from None
        except (OSError, EOFError):
            status = await child.ended(_GONE)
            await self.stop()
            raise self._ended(status) from None
        except (ValueError, RecursionError):
            await self.stop()
            raise TrialError("what its trial told makes no sense") from None
        except BaseException:  # it is still at a version nobody waits for
            await self.stop()
            raise

    async def _started(self) -> Child:
        child = self._child
        if child is not None and child.runs:
            return child
        await self.stop()
        try:
            self._child = await Child.run(_MODULE, self._memory, environment=_ENVIRONMENT)
        except (OSError, EOFError, TimeoutError) as error:
            said = str(error) or type(error).__name__
            raise TrialError(f"the process to try it in did not start: {said}", again=True) from None
        return self._child

    def _ended(self, status: int | None) -> TrialError:
        """Why the process is gone, by its exit status."""
        if status == -signal.SIGXCPU:
            return TrialError(f"it took more than {self._seconds:g} s of CPU time")
        if status == -signal.SIGKILL:  # of the kernel, which was out of memory, or of somebody
            return TrialError("the process it was tried in was killed", again=True)
        name = "" if status is None or status >= 0 else f" by {signal.Signals(-status).name}"
        return TrialError(f"it ended the process it was tried in{name}")

    def __repr__(self) -> str:
        return f"<Trial {self._child!r}>"


def _believed(said: Any) -> tuple[Report, Mapping[str, list[Any]]]:
    """What was told, as far as it has the form it must have: a model may have taken over whoever told it. Raises
    TrialError."""
    try:
        if "reason" in said:
            raise TrialError(str(said["reason"])[:SAID])
        seconds, outputs = float(said["seconds"]), said["outputs"]
        numbers = [int(said[key]) for key in ("nodes", "opset", "parameters")]
        if not 0 <= seconds < math.inf or not all(isinstance(values, list) for values in outputs.values()):
            raise ValueError
        return Report(seconds, bool(said["control_flow"]), *numbers), outputs
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise TrialError("what its trial told makes no sense") from None
