"""A loaded model file, ready to run."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
from onnxruntime import (
    InferenceSession,
    OrtAllocatorType,
    OrtArenaCfg,
    OrtMemoryInfo,
    OrtMemType,
    RunOptions,
    SessionOptions,
    create_and_register_allocator,
)

from edgeproxy.tensors import ANY, BY_WORD, Array, Spec, Tensors

_FATAL: Final = 4  # of onnxruntime's severities: its log is a stream of its own on stderr, its errors are raised
_SAID: Final = 300  # characters of what the runtime says
_PLACE: Final = re.compile(r"/onnxruntime_src/\S+:\d+ [^)]*\)(?: const)? ")  # where in its source it says so


# One store of memory for all sessions of the process, which grows by what is asked for: each would have one of its own,
# that doubles.
create_and_register_allocator(
    OrtMemoryInfo("Cpu", OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, OrtMemType.DEFAULT),
    OrtArenaCfg({"arena_extend_strategy": 1}),  # kSameAsRequested
)


class RunError(Exception):
    """A run failed, or was stopped."""


class Stop:
    """Ends the run it was given to, from any thread, when the graph's next node is due."""

    __slots__ = ("options",)

    def __init__(self) -> None:
        self.options = RunOptions()
        self.options.log_severity_level = _FATAL

    def now(self) -> None:
        self.options.terminate = True


class Session:
    """A loaded file. Runs may overlap, on any threads."""

    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]

    def __init__(self, model: bytes, threads: int = 1) -> None:
        """Raises RunError: what the runtime says of a file it cannot load."""
        options = SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL
        # A thread that spins takes the core that other requests wait for.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.use_env_allocators", "1")
        try:
            self._session = InferenceSession(
                model, options, providers=["CPUExecutionProvider"], enable_fallback=0, read_config_from_model=0
            )
        except Exception as error:  # noqa: BLE001 -- the runtime's errors have no base of their own
            raise RunError(_said(error)) from None
        self._session._model_bytes = None  # noqa: SLF001 -- it would hold the file for as long as it lives
        self.inputs = _specs(self._session.get_inputs())
        self.outputs = _specs(self._session.get_outputs())
        self._names = [spec.name for spec in self.outputs]
        self._quiet = Stop().options
        self._bound: _Bound | None = None
        self._bindable = all(spec.kind != "BYTES" for spec in (*self.inputs, *self.outputs))

    def run(self, tensors: Tensors, stop: Stop | None = None) -> Tensors:
        """By output. BYTES are str, both ways. ``tensors`` have been checked. Raises RunError."""
        try:
            answers = self._session.run(self._names, tensors, self._quiet if stop is None else stop.options)
        except Exception as error:  # noqa: BLE001
            raise RunError(_said(error)) from None
        return dict(zip(self._names, answers, strict=True))

    def run_here(self, tensors: Tensors) -> Tensors:
        """The same on the event loop's thread, and on no other: a single row goes through buffers that stay bound to
        the model, which saves half a microsecond of the four that the smallest take. Raises RunError."""
        bound = self._bound
        if bound is not None and bound.fits(tensors):
            try:
                return bound.run()
            except Exception:  # noqa: BLE001 -- perhaps the shape of an output hangs on values: unbound, it may
                self._bound, self._bindable = None, False
        answers = self.run(tensors)
        if self._bindable and self._bound is None and all(_is_row(array) for array in tensors.values()):
            self._bound = _Bound(self._session, tensors, answers)
        return answers

    def __repr__(self) -> str:
        return f"<Session {', '.join(map(str, self.inputs))} → {', '.join(map(str, self.outputs))}>"


class _Bound:
    """Buffers that a session reads one question from, and writes its answer to."""

    def __init__(self, session: InferenceSession, question: Tensors, answer: Tensors) -> None:
        self._session = session
        self._inputs = {name: np.empty_like(array, order="C") for name, array in question.items()}
        self._outputs = {name: np.empty_like(array, order="C") for name, array in answer.items()}
        self._binding = session.io_binding()
        for name, buffer in self._inputs.items():
            self._binding.bind_cpu_input(name, buffer)
        for name, buffer in self._outputs.items():
            shape = list(buffer.shape)
            self._binding.bind_output(name, "cpu", 0, buffer.dtype.type, shape, buffer.ctypes.data)

    def fits(self, tensors: Tensors) -> bool:
        """Whether the question has the bound shapes; its values are then in the buffers."""
        for name, buffer in self._inputs.items():
            array = tensors[name]
            if array.shape != buffer.shape:
                return False
            buffer[...] = array
        return True

    def run(self) -> Tensors:
        self._session.run_with_iobinding(self._binding)  # with options, its wrapper takes 30 µs to look into them
        return {name: buffer.copy() for name, buffer in self._outputs.items()}


def _is_row(array: Array) -> bool:
    return array.ndim == 0 or array.shape[0] == 1


def _specs(arguments: Any) -> tuple[Spec, ...]:
    specs = []
    for argument in arguments:
        kind = BY_WORD.get(argument.type)
        if kind is None:
            raise RunError(f"{argument.name!r} is a {argument.type}, which nothing here can make")
        shape = tuple([length if isinstance(length, int) and length >= 0 else ANY for length in argument.shape])
        specs.append(Spec(argument.name, kind.name, shape))
    return tuple(specs)


def _said(error: Exception) -> str:
    """In one line of bounded length: it may quote what the file says."""
    text = _PLACE.sub("", " ".join(str(error).split()))
    return text if len(text) <= _SAID else text[: _SAID - 1] + "…"
