"""Tensors as JSON values and as bytes: there and back, and what is refused before memory is taken for it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from edgeproxy.oip import wire
from edgeproxy.oip.wire import from_bytes, from_json, read, to_bytes, write
from edgeproxy.tensors import ANY, KINDS, Array, Spec, TensorError

NUMBERS = [name for name in KINDS if name != "BYTES"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def arrays(name: str) -> st.SearchStrategy[Array]:
    """Finite arrays of a kind, of up to three dimensions; some have nothing in them."""
    elements: st.SearchStrategy[Any] | None = TEXTS if name == "BYTES" else None
    if KINDS[name].dtype.kind == "f":
        elements = st_np.from_dtype(KINDS[name].dtype, allow_nan=False, allow_infinity=False)
    return st_np.arrays(
        KINDS[name].dtype, st_np.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), elements=elements
    )


def entry(data: Any = None, shape: Any = (2,), kind: Any = "FP32", **more: Any) -> dict[str, Any]:
    told = {"name": "x", "shape": list(shape), "datatype": kind, "data": data, **more}
    return {name: value for name, value in told.items() if value is not None}


def refusal(entries: Any, rest: bytes = b"", spec: Spec | None = None, longest: int = 10) -> str:
    with pytest.raises(TensorError) as refused:
        read("input", entries, memoryview(rest), None if spec is None else {spec.name: spec}, longest)
    return str(refused.value)


@given(st.data())
def test_every_kind_comes_back_as_it_went(data: st.DataObject) -> None:
    tensors = {}
    binary = {}
    for name in data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=4, unique=True)):
        tensors[name] = data.draw(arrays(name))
        binary[name] = name == "FP16" or data.draw(st.booleans())
    entries, parts = write("input", tensors, binary)
    back = read("input", json.loads(json.dumps(entries)), memoryview(b"".join(parts)))
    assert back.keys() == tensors.keys()
    for name, array in tensors.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        np.testing.assert_array_equal(back[name], array)


def test_bytes_are_little_endian_and_row_major_whatever_the_array_was() -> None:
    array = np.arange(6, dtype="<i4").reshape(2, 3).T
    assert bytes(to_bytes(array)) == np.array([0, 3, 1, 4, 2, 5], "<i4").tobytes()


def test_texts_stand_behind_their_lengths() -> None:
    assert bytes(to_bytes(np.array(["é", ""], object))) == b"\x02\0\0\0\xc3\xa9\0\0\0\0"


def test_values_may_be_nested_as_the_shape_is() -> None:
    flat = from_json("x", KINDS["INT8"], (2, 1, 2), [1, 2, 3, 4])
    assert from_json("x", KINDS["INT8"], (2, 1, 2), [[[1, 2]], [[3, 4]]]).tolist() == flat.tolist()
    assert flat.tolist() == [[[1, 2]], [[3, 4]]]


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ((2, 2), [[1, 2, 3], [4]]),
        ((2, 2), [[1, 2], 3]),
        ((2, 2), [[1], [2], [3], [4]]),
        ((4,), [[1, 2], [3, 4]]),
        ((2, 2), [[[1], [2]], [[3], [4]]]),
        ((2, 2), [1, 2, 3]),
        ((2, 2), []),
        ((2, 2), [[], []]),
        ((2, 2), "abcd"),
        ((2, 2), {"0": 1}),
        ((2, 2), None),
    ],
)
def test_values_that_are_not_as_the_shape_says_are_refused(shape: tuple[int, ...], data: Any) -> None:
    with pytest.raises(TensorError, match=r"^x"):
        from_json("x", KINDS["INT8"], shape, data)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("UINT8", value) for value in (-1, 256, 10**30, 1.0, True, "1", None)),
        *(("INT64", value) for value in (2**63, -(2**63) - 1, 1.5)),
        *(("UINT64", value) for value in (2**64, -1)),
        *(("FP32", value) for value in (1e39, -1e39, float("inf"), float("nan"), 10**400, True, "1", None)),
        *(("FP64", value) for value in (float("inf"), 10**400)),
        *(("BOOL", value) for value in (0, 1, "true", None)),
        *(("BYTES", value) for value in (1, None, "\ud800")),
        ("FP16", 1.0),
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode(),
)
def test_values_beyond_their_kind_are_refused(kind: str, value: Any) -> None:
    with pytest.raises(TensorError, match=f"^x .*{kind}"):
        from_json("x", KINDS[kind], (2,), [value, value])


def test_the_ends_of_each_kind_are_taken() -> None:
    for name in ("UINT8", "INT64", "UINT64"):
        ends = [int(np.iinfo(KINDS[name].dtype).min), int(np.iinfo(KINDS[name].dtype).max)]
        assert from_json("x", KINDS[name], (2,), ends).tolist() == ends
    most = float(np.finfo(np.float32).max)
    assert from_json("x", KINDS["FP32"], (3,), [most, -most, 7]).tolist() == [most, -most, 7.0]


@pytest.mark.parametrize("kind", NUMBERS)
def test_bytes_that_are_not_as_the_shape_says_are_refused(kind: str) -> None:
    for count in (KINDS[kind].size * 3 - 1, KINDS[kind].size * 3 + 1, 0):
        with pytest.raises(TensorError, match=r"^x has \d+ bytes; the shape \[3\] has"):
            from_bytes("x", KINDS[kind], (3,), memoryview(bytes(count)))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x01\0\0\0a", "too few bytes for 2 texts"),
        (b"\x01\0\0\0a\x02\0\0\0a", "each behind its length"),
        (b"\xff\xff\xff\xffab\0\0", "each behind its length"),
        (b"\0\0\0\0\0\0\0\0\0", "each behind its length"),
        (b"\x05\0\0\0abcde\0", "each behind its length"),
        (b"\x01\0\0\0\xff\0\0\0\0", "UTF-8"),
    ],
)
def test_texts_that_are_not_as_their_lengths_say_are_refused(content: bytes, why: str) -> None:
    with pytest.raises(TensorError, match=f"^x .*{why}"):
        from_bytes("x", KINDS["BYTES"], (2,), memoryview(content))


def test_a_byte_that_is_neither_true_nor_false_is_refused() -> None:
    assert from_bytes("x", KINDS["BOOL"], (2,), memoryview(b"\0\1")).tolist() == [False, True]
    with pytest.raises(TensorError, match="no BOOL"):
        from_bytes("x", KINDS["BOOL"], (2,), memoryview(b"\0\2"))


def test_arrays_lie_where_a_processor_wants_them() -> None:
    content = memoryview(b"!" + np.array([1, 2], "<f8").tobytes())
    array = from_bytes("x", KINDS["FP64"], (2,), content[1:])
    assert array.flags.aligned
    assert array.tolist() == [1, 2]


def test_a_tensor_is_what_its_spec_says() -> None:
    spec = Spec("x", "FP32", (ANY, 2))
    assert "no input 'x'" in refusal([entry([1, 2], (1, 2))], spec=spec._replace(name="y"))
    assert refusal([entry([1, 2], (1, 2), "INT8")], spec=spec) == "input 'x' is FP32, not INT8"
    for shape in ((2,), (1, 3), (0, 2), (1, 1, 2)):
        assert "wanted is x FP32[?, 2]" in refusal([entry([], shape)], spec=spec)


def test_a_free_length_has_a_bound_that_a_fixed_one_has_not() -> None:
    free, fixed = Spec("x", "UINT8", (ANY,)), Spec("x", "UINT8", (11,))
    assert "longer than 10" in refusal([entry([1] * 11, (11,), "UINT8")], spec=free)
    assert len(read("input", [entry([1] * 11, (11,), "UINT8")], memoryview(b""), {"x": fixed}, 10)["x"]) == 11


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (None, "list of 1 to 64"),
        ({}, "list of 1 to 64"),
        ([], "list of 1 to 64"),
        ([entry([1, 2])] * 65, "list of 1 to 64"),
        ([1], "no name"),
        ([{"name": 1}], "no name"),
        ([{"name": "n" * 129}], "no name"),
        ([entry([1, 2])] * 2, "there twice"),
        ([entry([1, 2], kind="FP8")], "no datatype known here; known are BOOL"),
        ([entry([1, 2], kind=[])], "no datatype"),
        ([{"name": "x", "datatype": "FP32", "shape": 2}], "no shape"),
        ([entry([1, 2], (2.0,))], "no shape"),
        ([entry([1, 2], (True, 2))], "no shape"),
        ([entry([1, 2], (1,) * 9)], "no shape"),
        ([entry([1, 2], (-1,))], "a shape no tensor has"),
        ([entry([1, 2], (2**62, 2**62))], "a shape no tensor has"),
        ([entry([1, 2], (2**40,) * 8)], "has 2 values; the shape"),
        ([entry(None, parameters={"shared_memory_region": "a"})], "has no data"),
        ([entry([1, 2], parameters={"binary_data_size": 0})], "data beside them"),
        *(
            ([entry(None, parameters={"binary_data_size": size})], "no binary_data_size")
            for size in (-1, 1, "0", True, 1e3)
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_entries_that_are_none_are_refused_with_the_reason(entries: Any, why: str) -> None:
    assert why in refusal(entries)


def test_a_huge_shape_costs_no_memory() -> None:
    announced = entry(None, (2**40, 2**20), parameters={"binary_data_size": 4})
    assert f"has 4 bytes; the shape [{2**40}, {2**20}] has {2**62}" in refusal([announced], bytes(4))
    texts = entry(None, (2**40,), "BYTES", parameters={"binary_data_size": 4})
    assert "too few bytes" in refusal([texts], bytes(4))


def test_bytes_that_belong_to_nothing_are_refused() -> None:
    assert "there are 1 bytes behind" in refusal([entry([1, 2])], b"!")


def test_what_json_cannot_say_is_not_written_but_as_bytes() -> None:
    for array, why in (
        (np.array([np.nan]), "not finite"),
        (np.array([-np.inf], np.float32), "not finite"),
        (np.array([1], np.float16), "FP16, which goes as binary data only"),
        (np.array([1j]), "does not travel: complex128"),
    ):
        with pytest.raises(TensorError, match=f"^output 'y' .*{why}"):
            write("output", {"y": array}, {"y": False})
    entries, parts = write("output", {"y": np.array([np.nan])}, {"y": True})
    assert np.isnan(read("output", entries, memoryview(b"".join(parts)))["y"]).all()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "y", ""]) | JSON,
        "shape": st.lists(st.integers(-1, 4) | st.integers(), max_size=4) | JSON,
        "datatype": st.sampled_from(list(KINDS)) | JSON,
        "data": st.lists(JSON, max_size=4) | JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 9) | JSON}) | JSON,
    },
)


@given(st.lists(ENTRIES, max_size=3) | JSON, st.binary(max_size=9), st.sampled_from(list(KINDS)), st.booleans())
def test_entries_of_strangers_raise_nothing_else(entries: Any, rest: bytes, kind: str, known: bool) -> None:
    specs = {"x": Spec("x", kind, (ANY, 2)), "y": Spec("y", kind, (2,))} if known else None
    try:
        tensors = read("input", entries, memoryview(rest), specs, 8)
    except TensorError:
        pass
    else:
        assert 0 < len(tensors) <= len(entries)


def test_the_most_tensors_of_a_message_are_taken() -> None:
    entries = [entry([1, 2]) | {"name": str(number)} for number in range(wire.MOST)]
    assert len(read("input", entries, memoryview(b""))) == wire.MOST
