"""The process in which models are tried: files in at a socket, what came of them out, and nothing else within reach.

    python -m edgeproxy.inference.trial_process DESCRIPTOR MEMORY

A job is two lengths (32 and 64 bits), what is asked as JSON, and the file; an answer is a length and JSON. A byte says
that it is ready. It ends when the other end of the socket does, and when a job takes more CPU time than it may.
"""

from __future__ import annotations

import json
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from edgeproxy.confined.inside import confine, limit_time, receive, say_ready, seal

JOB: Final = struct.Struct(">IQ")
ANSWER: Final = struct.Struct(">I")
SAID: Final = 300  # characters of a reason

_ROUNDS: Final = 15
_ENOUGH: Final = 0.5  # seconds of measuring
_ROUND: Final = 0.001  # seconds of one round, of as many runs as fit

_NICENESS: Final = 5
_ENDS: Final = ("inputs", "outputs")


def main(descriptor: int, memory: int) -> None:
    """Serve jobs until the socket ends."""
    link = socket.socket(fileno=descriptor)
    confine(memory, _NICENESS)
    judge = _ready()
    seal(threads=False)
    say_ready(link)
    while (lengths := receive(link, JOB.size)) is not None:
        told, length = JOB.unpack(lengths)
        order, content = receive(link, told), receive(link, length)
        if order is None or content is None:
            return
        job = json.loads(order)
        limit_time(job["seconds"])
        said = json.dumps(judge(job, content)).encode()
        del content
        link.sendall(ANSWER.pack(len(said)) + said)


def _ready() -> Callable[[dict[str, Any], bytes], dict[str, Any]]:
    """What a job is done with, and all it will ever load."""
    import numpy.random  # noqa: F401 -- loaded when it is first named

    from edgeproxy.inference import samples, vet
    from edgeproxy.inference.session import RunError, Session
    from edgeproxy.tensors import Spec, TensorError, check

    def judge(job: dict[str, Any], content: bytes) -> dict[str, Any]:
        try:
            facts = vet.read(content, control_flow=job["control_flow"], largest=job["largest"])
            inputs, outputs = ([Spec(name, kind, tuple(shape)) for name, kind, shape in job[key]] for key in _ENDS)
            vet.agree(facts, inputs, outputs)
            asked = samples.question(inputs, job["values"], job["seed"])
            session = Session(content)
            told = session.run(asked)
            check(outputs, told, "output")
            seconds = measured(lambda: session.run(asked))
            answer = samples.answer(told, job["wanted"])
        except (vet.VetError, TensorError) as error:
            return {"reason": str(error)[:SAID]}
        except (RunError, MemoryError) as error:
            return {"reason": f"it cannot be run: {error or 'out of memory'}"[:SAID]}
        return {
            "control_flow": facts.control_flow,
            "nodes": facts.nodes,
            "opset": facts.opset,
            "parameters": facts.parameters,
            "outputs": answer,
            "seconds": seconds,
        }

    return judge


def measured(run: Callable[[], object]) -> float:
    """CPU seconds of one run: the median of some rounds, of many runs where they are short.

    By the thread's clock: under a limit of CPU time the process' own one moves with the kernel's ticks.
    """
    began = time.thread_time()
    run()
    first = max(time.thread_time() - began, 1e-6)
    times = max(1, min(200, int(_ROUND / first)))
    rounds: list[float] = []
    while len(rounds) < _ROUNDS and time.thread_time() - began < _ENOUGH:
        start = time.thread_time()
        for _ in range(times):
            run()
        rounds.append((time.thread_time() - start) / times)
    return statistics.median(rounds) if rounds else first


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
