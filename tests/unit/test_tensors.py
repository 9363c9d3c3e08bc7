"""What is given to a model is just what it wants, or it is said what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproxy.tensors import ANY, BY_WORD, KINDS, Spec, TensorError, check

SPECS = (Spec("pixels", "UINT8", (ANY, 8, 8)), Spec("scale", "FP32", (1,)))


def given(**changes: object) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {"pixels": np.zeros((2, 8, 8), np.uint8), "scale": np.ones(1, np.float32)} | changes  # type: ignore[return-value]


def test_what_fits_is_taken() -> None:
    check(SPECS, given())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"more": np.zeros(1)}, "there is no input 'more'; known are pixels, scale"),
        ({"scale": np.ones(1)}, "input 'scale' is FP32, not FP64"),
        ({"scale": np.ones(1, np.complex64)}, "input 'scale' is FP32, not complex64"),
        ({"pixels": np.zeros((8, 8), np.uint8)}, "wanted is pixels UINT8[?, 8, 8]"),
        ({"pixels": np.zeros((1, 8, 9), np.uint8)}, "has the shape [1, 8, 9]"),
    ],
)
def test_what_does_not_is_refused_by_name(changes: dict[str, object], said: str) -> None:
    with pytest.raises(TensorError) as refused:
        check(SPECS, given(**changes))
    assert said in str(refused.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(TensorError, match="input 'scale' is missing"):
        check(SPECS, {"pixels": np.zeros((1, 8, 8), np.uint8)})


def test_the_table_is_one_to_one() -> None:
    assert len(BY_WORD) == len(KINDS) == len({kind.number for kind in KINDS.values()})
    assert all(kind.size == (0 if name == "BYTES" else kind.dtype.itemsize) for name, kind in KINDS.items())
