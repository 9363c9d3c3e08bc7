"""The counter a limit's settings call for."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from edgeproxy.limits.accounts import RegionLimiter
from edgeproxy.limits.gcra import Limiter
from edgeproxy.limits.lease import Terms
from edgeproxy.limits.limiter import Counter
from edgeproxy.limits.node import NodeLimiter
from edgeproxy.limits.region import Region
from edgeproxy.limits.window import Window

if TYPE_CHECKING:
    from edgeproxy.limits.settings import LimitSettings
    from edgeproxy.pipeline.middleware import Services


def build_counter(settings: LimitSettings, services: Services) -> Counter:
    """A counter of the settings' scope and algorithm, not started yet. Limits of the same name and settings are the
    same limit, to all workers of the node or of the region."""
    count, period = settings.rate.count, settings.rate.period
    if settings.algorithm == "window":
        return Window(period, count, settings.keys)
    interval, quota = period / count, settings.quota
    if settings.scope == "node":
        name = _digest(settings).hex()
        return NodeLimiter(interval, quota, settings.keys, services.secret, services.folder, name)
    if settings.scope == "region":
        batch = settings.batch or max(2, int(quota / 10))
        terms = Terms(interval, quota, batch - batch // 2, batch // 2, settings.share or 0.0)
        home = services.region or Region(services.clock, services.metrics)
        return RegionLimiter(terms, settings.keys, _digest(settings), home)
    return Limiter(interval, quota, settings.keys)


def _digest(settings: LimitSettings) -> bytes:
    return blake2b(settings.model_dump_json().encode(), digest_size=16).digest()
