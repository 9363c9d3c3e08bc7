"""What the API's paths ask for."""

from __future__ import annotations

import pytest

from edgeproxy.inference.paths import METHODS, Call, find


@pytest.mark.parametrize(
    ("path", "call"),
    [
        (b"", Call("server")),
        (b"/", Call("server")),
        (b"/health/live", Call("live")),
        (b"/health/ready", Call("ready")),
        (b"/repository/index", Call("index")),
        (b"/models/m", Call("model", "m")),
        (b"/models/m/ready", Call("model ready", "m")),
        (b"/models/a.b_c-1/infer", Call("infer", "a.b_c-1")),
        (b"/models/m/predict", Call("predict", "m")),
        (b"/models/m/versions/12", Call("model", "m", "12")),
        (b"/models/m/versions/12/ready", Call("model ready", "m", "12")),
        (b"/models/m/versions/12/infer", Call("infer", "m", "12")),
        (b"/models/ready", Call("model", "ready")),
    ],
)
def test_a_path_is_a_call(path: bytes, call: Call) -> None:
    assert find(path) == call
    assert call.action in METHODS


@pytest.mark.parametrize(
    "path",
    [
        *(b"/health", b"/health/live/", b"/models", b"/models/", b"/models/m/", b"/models//infer", b"/models/../infer"),
        *(b"/models/m/versions", b"/models/m/versions/", b"/models/m/versions/0", b"/models/m/versions/x/infer"),
        *(b"/models/m/load", b"/models/m/infer/", b"/models/" + b"m" * 65, b"/models/m%2Finfer", b"/models/\xff"),
        *(b"/repository/models/m/load", b"/models/m/versions/1111111111", b"/models/m\n"),
    ],
)
def test_other_paths_are_none(path: bytes) -> None:
    assert find(path) is None
