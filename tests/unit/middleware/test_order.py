"""The order of the built-in stages."""

from __future__ import annotations

import importlib
import pkgutil

import middleware

NAMES = [name for name, _ in middleware.ORDER]


def test_every_built_in_stage_stands_in_the_order_once_with_a_reason() -> None:
    files = {module.name for module in pkgutil.iter_modules(middleware.__path__)}
    assert files == set(NAMES)
    assert len(NAMES) == len(set(NAMES))
    assert all(reason for _, reason in middleware.ORDER)


def test_a_stage_is_called_what_its_file_is_called() -> None:
    for module in pkgutil.iter_modules(middleware.__path__):
        stages = vars(importlib.import_module(f"middleware.{module.name}")).values()
        names = {stage.__dict__["name"] for stage in stages if isinstance(stage, type) and "name" in stage.__dict__}
        assert module.name in names


def test_the_cache_ends_what_hits_pass_and_the_request_id_is_first() -> None:
    assert (NAMES[0], NAMES[-2:]) == ("request_id", ["cache", "early_hints"])


def test_stages_stand_behind_what_they_rely_on() -> None:
    for earlier, later in (
        ("client_address", "access_rules"),
        ("client_address", "rate_limit"),
        ("security_headers", "redirects"),
        ("cors", "jwt"),
        ("cors", "redirects"),
        ("jwt", "rate_limit"),
        ("rate_limit", "headers"),
        ("headers", "compression"),
    ):
        assert NAMES.index(earlier) < NAMES.index(later), (earlier, later)
