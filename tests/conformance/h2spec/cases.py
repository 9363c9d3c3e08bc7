"""All cases, in the order of their numbers."""

from __future__ import annotations

from tests.conformance.h2spec import compression, framing, generic, messages
from tests.conformance.h2spec.steps import Case

CASES: tuple[Case, ...] = (*generic.CASES, *compression.CASES, *framing.CASES, *messages.CASES)
