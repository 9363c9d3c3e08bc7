"""How long Hypothesis looks: briefly and the same way in every run, or long and anew where a test is marked slow."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile(
    "quick", max_examples=250, deadline=None, database=None, derandomize=True, suppress_health_check=_CHECKS
)
settings.load_profile("quick")
