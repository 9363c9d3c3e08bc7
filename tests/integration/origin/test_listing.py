"""The endpoints' file of a proxy that runs."""

from __future__ import annotations

import json

import pytest

from tests.support.client import ask
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, request


@pytest.mark.slow
def test_the_running_proxy_follows_its_file_and_goes_on_with_a_damaged_one(tmp_path):
    file = tmp_path / "endpoints.json"
    with Site() as first, Site() as second:
        file.write_text(json.dumps([first.url]))
        config = {"pools": {"site": {"endpoints_file": str(file)}}, "routes": [{"name": "all", "pool": "site"}]}
        with EdgeProcess(config) as edge:

            def answered() -> bool:
                (answer,) = ask(edge.address, request()).final
                return answer.status == 200

            assert answered()
            file.write_text("[")
            wait_until(lambda: "the endpoints stay as they were" in edge.logs(), "the damaged file is told of")
            assert answered()
            assert second.requests == []
            file.write_text(json.dumps([second.url]))
            wait_until(lambda: answered() and bool(second.requests), "requests go to the other endpoint")
            assert answered()
