"""A model file is read for what is dangerous in it, and nothing of it is run."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.inference import onnx_messages, vet
from edgeproxy.inference.vet import Declared, Facts, VetError, agree, read
from edgeproxy.tensors import ANY, Spec
from tests.support.onnx_bytes import (
    Graph,
    Tensor,
    announced,
    attribute,
    classifier,
    external,
    field,
    glutton,
    graph,
    identity,
    logistic,
    loop,
    model,
    nested,
    node,
    tensor,
    value_info,
    varint,
)

LARGEST = 1_000_000
X, Y = Spec("x", "FP32", (ANY, 4)), Spec("y", "FP32", (ANY, 4))


def looked_at(content: bytes, *, control_flow: bool = False) -> Facts:
    return read(content, control_flow=control_flow, largest=LARGEST)


def holding(*tensors: bytes, nodes: tuple[bytes, ...] = ()) -> bytes:
    """A model with these constants."""
    return model(graph([node("Identity", ["x"], ["y"]), *nodes], [X], [Y], tensors))


def doing(*nodes: bytes, constants: tuple[bytes, ...] = ()) -> bytes:
    return holding(*constants, nodes=nodes)


def test_what_is_in_a_file_is_told() -> None:
    assert looked_at(logistic()) == Facts(
        8,
        17,
        2,
        20,
        False,
        (Declared("features", "FP32", (ANY, 4)),),
        (Declared("score", "FP32", (ANY, 1)),),
    )


def test_a_constant_that_is_named_among_the_inputs_is_none() -> None:
    given_too = [Spec("w", "FP32", (4,)), X]
    content = model(graph([node("Add", ["x", "w"], ["y"])], given_too, [Y], [tensor("w", [1, 2, 3, 4])]))
    assert [each.name for each in looked_at(content).inputs] == ["x"]


@pytest.mark.parametrize("content", [loop(), nested(3)])
def test_loops_and_branches_need_leave(content: bytes) -> None:
    with pytest.raises(VetError, match="need `control_flow: true` in the manifest"):
        looked_at(content)
    assert looked_at(content, control_flow=True).control_flow


def test_a_graph_in_any_operator_is_a_branch() -> None:
    inner = graph([], [], [])
    with pytest.raises(VetError, match="control_flow"):
        looked_at(doing(node("Relu", ["x"], ["z"], surprise=inner)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "its IR version is 0; taken are 1 to 13"),
        (b"\x7fELF" + bytes(60), "not an ONNX file"),
        (identity()[:-3], "not an ONNX file, or a damaged one: at byte"),
        (identity()[:40], "it breaks off"),
        (identity() + b"\x00", "0 is no field's number"),
        (identity() + field(99, 1), "ModelProto has no field 99"),
        (identity() + field(7, b""), "field 7 of ModelProto is given twice"),
        (field(7, 5) + identity(), "field 7 of ModelProto is not what it must be"),
        (field(1, 8) + field(8, field(2, 17)), "it has no graph"),
        (field(1, 8) + field(7, b""), "it names no opset"),
        (model(graph([], [X], [])), "the graph: it has no outputs"),
        (model(graph([node("Identity", ["x"], ["y"])], [X], [Y]), ir=14), "its IR version is 14"),
        (model(graph([node("Identity", ["x"], ["y"])], [X], [Y]), opset=27), "its opset of ai.onnx is 27"),
        (model(graph([], [X], [Y]), domains={"ai.onnx.ml": 6}), "its opset of ai.onnx.ml is 6"),
        (identity() + field(25, field(1, "f")), "it has functions of its own"),
        (identity() + field(20, b""), "it has training information"),
    ],
)
def test_what_is_no_file_for_here_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(VetError) as refused:
        looked_at(content)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("domain", "operator"),
    [
        ("org.evil", "Relu"),
        ("com.microsoft", "EPContext"),
        ("com.microsoft", "BeamSearch"),
        ("ai.onnx.training", "Adam"),
        ("ai.onnx.preview", "Relu"),
    ],
)
def test_operators_of_others_are_refused(domain: str, operator: str) -> None:
    with pytest.raises(VetError, match=f"the operator '{domain}':'{operator}' is not among those taken"):
        looked_at(doing(node(operator, ["x"], ["z"], domain)))


@pytest.mark.parametrize(
    ("domain", "operator"), [("ai.onnx", "Relu"), ("com.microsoft", "QLinearAdd"), ("ai.onnx.ml", "Scaler")]
)
def test_the_usual_ones_are_taken(domain: str, operator: str) -> None:
    assert looked_at(doing(node(operator, ["x"], ["z"], domain))).nodes == 2


@pytest.mark.parametrize("location", ["/etc/passwd", "../../secret", "http://example.com/w", "*/_ORT_MEM_ADDR_/*", ""])
def test_values_in_other_files_are_refused_wherever_they_stand(location: str) -> None:
    far = external("w", location)
    told = "'w': its values are in another file; none is opened"
    within = Graph(field(5, bytes(far)))
    sparse = field(1, bytes(far)) + field(2, bytes(tensor("i", [0], "INT64"))) + field(3, 1)
    for content in (
        holding(far),
        doing(node("Constant", [], ["w"], value=far)),
        doing(node("Relu", ["x"], ["z"]) + field(5, field(1, "many") + field(10, bytes(far)))),
        doing(node("Relu", ["x"], ["z"]) + field(5, field(1, "sparse") + field(22, sparse))),
        doing(node("Relu", ["x"], ["z"]) + field(5, field(1, "sparse") + field(23, sparse))),
        doing(node("If", ["x"], ["w"], then_branch=within)),
        model(Graph(field(15, sparse) + graph([], [X], [Y]))),
    ):
        with pytest.raises(VetError) as refused:
            looked_at(content, control_flow=True)
        assert told in str(refused.value)


def test_saying_so_is_enough() -> None:
    """Either of the two marks, without the other."""
    for mark in (field(14, 1), field(14, 2), field(13, field(1, "location") + field(2, "w"))):
        with pytest.raises(VetError, match="in another file"):
            looked_at(holding(tensor("w", [1.0]) + mark))


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (announced("w", [25_000_000_000]), "with it, the constants have 100000000000 bytes; taken are 1000000"),
        (announced("w", [1 << 40, 1 << 40]), "taken are 1000000"),
        (announced("w", [250_001], bytes(1_000_004)), "the constants have 1000004 bytes"),
        (announced("w", [2, 3], bytes(20)), "it has 20 bytes for 6 elements"),
        (announced("w", [2, 3]), "it has 0 bytes for 6 elements"),
        (announced("w", [-1], bytes(4)), "a dimension is negative"),
        (announced("w", [1] * 33, bytes(4)), "more than 32 dimensions"),
        (announced("w", [1], bytes(4), number=99), "99 is no type of values"),
        (announced("w", [1], b"text", number=8), "it has 4 bytes for 1 elements"),
        (tensor("w", [1.0]) + field(3, b""), "it is only a segment"),
        (tensor("w", [1.0]) + field(4, bytes(4)), "its values are given twice"),
        (field(1, 1) + field(2, 1) + field(8, "w"), "it has 0 values for 1 elements"),
        (field(1, 1) + field(2, 1) + field(8, "w") + field(7, varint(1)), "its values are not of its type"),
        (field(1, 2) + field(2, 1) + field(8, "w") + field(4, bytes(12)), "it has 3 values for 2 elements"),
    ],
)
def test_constants_are_as_large_as_they_say(one: bytes, said: str) -> None:
    with pytest.raises(VetError) as refused:
        looked_at(holding(one))
    assert said in str(refused.value)
    assert "the graph: initializer 'w'" in str(refused.value)


def test_constants_count_together() -> None:
    many = [announced(f"w{at}", [100_000], bytes(400_000)) for at in range(3)]
    with pytest.raises(VetError, match="'w2': with it, the constants have 1200000 bytes"):
        looked_at(holding(*many))


def test_sparse_constants_count_as_they_will_be() -> None:
    few = field(1, bytes(tensor("w", [1.0]))) + field(2, bytes(tensor("i", [0], "INT64")))
    looked_at(model(Graph(field(15, few + field(3, 100)) + graph([], [X], [Y]))))
    with pytest.raises(VetError, match="sparse initializer 'w': with it, the constants have 16000000000012 bytes"):
        looked_at(model(Graph(field(15, few + field(3, 1_000_000) + field(3, 1_000_000)) + graph([], [X], [Y]))))
    with pytest.raises(VetError, match="it has no values, or no indices"):
        looked_at(model(Graph(field(15, field(3, 1)) + graph([], [X], [Y]))))


@pytest.mark.parametrize(
    "one",
    [
        field(1, 3) + field(2, 1) + field(8, "w") + field(4, bytes(12)),
        field(1, 2) + field(2, 7) + field(8, "w") + field(7, varint(-5) + varint(1 << 40)),
        field(1, 2) + field(2, 3) + field(8, "w") + field(5, varint(-5) + varint(3)),
        field(1, 3) + field(2, 22) + field(8, "w") + field(9, bytes(2)),  # INT4: two in a byte
        field(1, 3) + field(2, 22) + field(8, "w") + field(5, varint(1) + varint(2)),
        field(1, 2) + field(2, 8) + field(8, "w") + field(6, "one") + field(6, "two"),
        field(1, 1) + field(2, 15) + field(8, "w") + field(10, bytes(16)),  # COMPLEX128: two doubles
        field(1, 0) + field(2, 1) + field(8, "w"),
    ],
)
def test_values_are_taken_in_each_of_their_forms(one: bytes) -> None:
    looked_at(holding(one))


@pytest.mark.parametrize(
    "content",
    [
        doing(node("ConstantOfShape", ["s"], ["z"]), constants=(tensor("s", [100_000, 100_000], "INT64"),)),
        doing(node("Expand", ["x", "s"], ["z"]), constants=(tensor("s", [1 << 62], "INT64"),)),
        doing(node("Tile", ["x", "s"], ["z"]), constants=(tensor("s", [20_000, 20_000], "INT64"),)),
        doing(node("OneHot", ["x", "s", "v"], ["z"]), constants=(tensor("s", 1 << 40, "INT64"),)),
        doing(node("Resize", ["x", "", "s"], ["z"]), constants=(tensor("s", [1, 1, 20_000, 20_000]),)),
        doing(node("Resize", ["x", "", "", "s"], ["z"]), constants=(tensor("s", [20_000, 20_000], "INT64"),)),
        doing(node("Resize", ["x", "", "s"], ["z"]), constants=(tensor("s", [np.inf]),)),
        doing(node("Resize", ["x", "", "s"], ["z"]), constants=(tensor("s", [np.nan]),)),
        doing(node("Pad", ["x", "s"], ["z"]), constants=(tensor("s", [0, 1 << 40], "INT64"),)),
        doing(node("Range", ["a", "b", "c"], ["z"]), constants=tuple(
            tensor(name, value, "INT64") for name, value in (("a", 0), ("b", 1 << 50), ("c", 1))
        )),
        doing(node("RandomNormal", [], ["z"], shape=[100_000, 100_000])),
        doing(node("MaxPool", ["x"], ["z"], pads=[1 << 40, 0])),
        doing(node("Constant", [], ["s"], value=tensor("", [1 << 40], "INT64")), node("Expand", ["x", "s"], ["z"])),
        doing(node("Constant", [], ["s"], value_ints=[1 << 40, 5]), node("Tile", ["x", "s"], ["z"])),
        doing(
            node("ConstantOfShape", ["s"], ["z"]),
            constants=(Tensor(field(1, 1) + field(2, 7) + field(8, "s") + field(7, varint(1 << 40))),),
        ),
    ],
)  # fmt: skip
def test_sizes_that_are_numbers_in_the_file_have_a_bound(content: bytes) -> None:
    with pytest.raises(VetError, match=r"node \d+ .*it asks for .* elements; taken are 100000000"):
        looked_at(content)


def test_a_size_from_outside_is_known_within_a_branch() -> None:
    branch = graph([node("Expand", ["x", "s"], ["z"])], [], [Spec("z", "FP32", (ANY,))])
    content = doing(node("If", ["c"], ["z"], then_branch=branch), constants=(tensor("s", [1 << 40], "INT64"),))
    with pytest.raises(VetError, match="it asks for"):
        looked_at(content, control_flow=True)


def test_ordinary_sizes_are_taken() -> None:
    looked_at(
        doing(
            node("Pad", ["x", "p"], ["a"]),
            node("MaxPool", ["x"], ["b"], pads=[112, 112, 112, 112]),
            node("Resize", ["x", "", "s"], ["c"]),
            constants=(tensor("p", [112] * 8, "INT64"), tensor("s", [1.0, 1.0, 2.0, 2.0])),
        )
    )
    looked_at(glutton(1 << 40))  # worked out in running: the trial's memory is what stops it


def test_depth_has_a_bound() -> None:
    looked_at(nested(vet.DEPTH - 1), control_flow=True)
    with pytest.raises(VetError, match="graphs within graphs, more than 8 deep"):
        looked_at(nested(vet.DEPTH), control_flow=True)
    with pytest.raises(VetError, match="more than 8 deep"):
        looked_at(nested(60), control_flow=True)
    kind = field(1, field(1, 1))
    for _ in range(200):
        kind = field(4, field(1, kind))
    odd = Graph(graph([], [X], [Y]) + field(13, field(1, "v") + field(2, kind)))
    with pytest.raises(VetError, match="types within types, more than 8 deep"):
        looked_at(model(odd))


@pytest.mark.parametrize(
    ("bound", "most", "content", "said"),
    [
        ((vet, "NODES"), 3, doing(*[node("Relu", ["x"], ["z"])] * 3), "more than 3 nodes"),
        ((vet, "TENSORS"), 3, holding(*[tensor("w", [1.0])] * 4), "more than 3 tensors"),
        ((vet, "KEPT"), 3, holding(*[tensor("w", [1.0])] * 4), "more than 3 constants"),
        ((onnx_messages, "PARTS"), 20, holding(*[tensor("w", [1.0])] * 4), "more than 20 parts"),
        ((onnx_messages, "KEPT"), 5, doing(node("Sum", ["x"] * 6, ["z"])), "a NodeProto of more than 5 parts"),
        ((vet, "_ENDS"), 2, model(graph([], [X, X, X], [Y])), "more than 2 inputs, or outputs"),
    ],
)
def test_counts_have_bounds(
    monkeypatch: pytest.MonkeyPatch, bound: tuple[object, str], most: int, content: bytes, said: str
) -> None:
    looked_at(content)
    monkeypatch.setattr(*bound, most)
    with pytest.raises(VetError, match=said):
        looked_at(content)


def test_names_have_a_bound_and_are_cut_in_sentences() -> None:
    with pytest.raises(VetError, match="a name of 10001 bytes"):
        looked_at(holding(tensor("w" * 10_001, [1.0])))
    with pytest.raises(VetError) as refused:
        looked_at(holding(external("w" * 9_000, "x")))
    assert len(str(refused.value)) < 200


def test_memory_does_not_grow_with_the_file() -> None:
    content = model(graph([node("Identity", ["x"], ["y"])], [X], [Y], [tensor("w", np.zeros(5_000_000))]))
    floats = field(1, "f") + (b"\x3d" + bytes(4)) * 500_000  # as trees have them, unpacked
    trees = model(graph([node("Relu", ["x"], ["y"]) + field(5, floats)], [X], [Y]))
    for file in (content, trees):
        tracemalloc.start()
        read(file, control_flow=False, largest=100_000_000)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 500_000


def test_what_is_no_tensor_is_refused_as_input_and_output() -> None:
    sequence = field(4, field(1, field(5, field(1, 7))))
    odd = Graph(graph([], [X], []) + field(12, field(1, "probabilities") + field(2, sequence)))
    with pytest.raises(VetError, match=r"'probabilities' is no tensor .*zipmap=False"):
        looked_at(model(odd))
    odd = Graph(graph([], [X], []) + field(12, field(1, "y") + field(2, field(1, field(1, 16)))))
    with pytest.raises(VetError, match=r"'y' is of a type that cannot be sent \(16\)"):
        looked_at(model(odd))


SCORE = looked_at(logistic())


def test_the_manifest_and_the_file_agree() -> None:
    agree(SCORE, [Spec("features", "FP32", (ANY, 4))], [Spec("score", "FP32", (ANY, 1))])
    agree(SCORE, [Spec("features", "FP32", (1, 4))], [Spec("score", "FP32", (1, ANY))])
    unsaid = SCORE._replace(outputs=(Declared("score", "FP32", None),))
    agree(unsaid, [Spec("features", "FP32", (ANY, 4))], [Spec("score", "FP32", (ANY, 1))])


@pytest.mark.parametrize(
    ("given", "told", "said"),
    [
        (Spec("x", "FP32", (ANY, 4)), None, "its inputs are 'features'; the manifest has 'x'"),
        (None, Spec("y", "FP32", (ANY, 1)), "its outputs are 'score'; the manifest has 'y'"),
        (Spec("features", "FP64", (ANY, 4)), None, "it has features FP32[?, 4]; the manifest says features FP64[?, 4]"),
        (Spec("features", "FP32", (ANY, 5)), None, "the manifest says features FP32[?, 5]"),
        (Spec("features", "FP32", (ANY, ANY)), None, "the manifest says features FP32[?, ?]"),
        (Spec("features", "FP32", (4,)), None, "the manifest says features FP32[4]"),
        (None, Spec("score", "FP32", (ANY, 2)), "of its outputs, it has score FP32[?, 1]"),
    ],
)
def test_where_they_do_not_it_is_said(given: Spec | None, told: Spec | None, said: str) -> None:
    with pytest.raises(VetError) as refused:
        agree(SCORE, [given or Spec("features", "FP32", (ANY, 4))], [told or Spec("score", "FP32", (ANY, 1))])
    assert said in str(refused.value)


GOOD = (logistic(), loop(), nested(2), classifier([[1, 2], [3, 4]]), holding(tensor("w", [1, 2], "INT64")))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(GOOD), st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from("sdic")):
            case "s":
                damaged[at] = data.draw(st.integers(0, 255))
            case "d":
                del damaged[at : at + data.draw(st.integers(1, 8))]
            case "i":
                damaged[at:at] = data.draw(st.binary(max_size=12))
            case "c":
                del damaged[at:]
        if not damaged:
            break
    try:
        facts = read(bytes(damaged), control_flow=data.draw(st.booleans()), largest=LARGEST)
    except VetError:
        return
    assert facts.outputs


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for wrapped in (content, model(Graph(content)), model(graph([content], [X], [Y])), holding(content)):
        try:
            looked_at(wrapped, control_flow=True)
        except VetError:
            continue


def test_attributes_and_values_of_every_kind_are_walked() -> None:
    """The fields that no other file here has."""
    own = attribute("s", "text") + field(9, "more") + field(15, field(1, field(1, 1))) + field(14, field(1, b""))
    part = node("Relu", ["x"], ["z"]) + field(5, own) + field(9, field(1, "k")) + field(10, b"")
    noted = Graph(graph([part], [X], [Y]) + field(13, value_info(X)) + field(14, b"") + field(16, b""))
    assert looked_at(model(noted)).nodes == 1
