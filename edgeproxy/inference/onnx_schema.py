"""What an ONNX file is made of, as far as it has to be known for walking over it (onnx.proto of ONNX 1.23)."""

from __future__ import annotations

from typing import Final

from edgeproxy.inference.protobuf import BYTES, FIXED32, FIXED64, VARINT

# By message, the number of each field: what it is (whole number, float, double; bytes, which texts and messages are as
# well), with * for many.
FIELDS: Final[dict[str, dict[int, str]]] = {
    "ModelProto": {
        **dict.fromkeys((1, 5), "int"),  # ir_version, model_version
        **dict.fromkeys((2, 3, 4, 6, 7), "bytes"),  # producer, its version, domain, doc_string, graph
        **dict.fromkeys((8, 14, 20, 25, 26), "bytes*"),  # opset_import, metadata, training, functions, devices
    },
    "OperatorSetIdProto": {1: "bytes", 2: "int"},
    "GraphProto": {
        **dict.fromkeys((1, 5, 11, 12, 13, 14, 15, 16), "bytes*"),
        **dict.fromkeys((2, 10), "bytes"),  # name, doc_string
    },
    "NodeProto": {
        **dict.fromkeys((1, 2, 5, 9, 10), "bytes*"),  # inputs, outputs, attributes, metadata, devices
        **dict.fromkeys((3, 4, 6, 7, 8), "bytes"),  # name, op_type, doc_string, domain, overload
    },
    "AttributeProto": {
        **dict.fromkeys((1, 4, 5, 6, 13, 14, 21, 22), "bytes"),  # name, s, t, g, doc, tp, ref_attr_name, sparse_tensor
        **dict.fromkeys((3, 20), "int"),
        **dict.fromkeys((9, 10, 11, 15, 23), "bytes*"),  # strings, tensors, graphs, type_protos, sparse_tensors
        2: "float",
        7: "float*",
        8: "int*",
    },
    "TensorProto": {
        **dict.fromkeys((2, 14), "int"),  # data_type, data_location
        **dict.fromkeys((1, 5, 7, 11), "int*"),  # dims, int32_data, int64_data, uint64_data
        **dict.fromkeys((3, 8, 9, 12), "bytes"),  # segment, name, raw_data, doc_string
        **dict.fromkeys((6, 13, 16), "bytes*"),  # string_data, external_data, metadata
        4: "float*",
        10: "double*",
    },
    "SparseTensorProto": {1: "bytes", 2: "bytes", 3: "int*"},  # values, indices, dims
    "ValueInfoProto": {1: "bytes", 2: "bytes", 3: "bytes", 4: "bytes*"},  # name, type, doc_string, metadata
    "TypeProto": dict.fromkeys((1, 4, 5, 6, 7, 8, 9), "bytes"),  # tensor, sequence, map, denotation, opaque, ...
    "TypeProto.Sequence": {1: "bytes"},
    "TypeProto.Map": {1: "int", 2: "bytes"},
    "TypeProto.Optional": {1: "bytes"},
    "TypeProto.Tensor": {1: "int", 2: "bytes"},  # elem_type, shape
    "TensorShapeProto": {1: "bytes*"},
    "Dimension": {1: "int", 2: "bytes", 3: "bytes"},  # dim_value, dim_param, denotation
}

WIRES: Final = {"int": VARINT, "float": FIXED32, "double": FIXED64, "bytes": BYTES}

# By message, its lists of numbers, with the wire type of an element.
LISTS: Final = {
    message: {number: WIRES[what[:-1]] for number, what in known.items() if what[-1] == "*" and what != "bytes*"}
    for message, known in FIELDS.items()
}

STRING: Final = 8

# TensorProto.DataType: bits of an element.
BITS: Final = {
    **dict.fromkeys((25, 26), 2),
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
    STRING: 0,
}

# TensorProto's lists of values: the types that may be given there, with how many values an element has.
_SMALL: Final = (2, 3, 4, 5, 6, 9, 10, 16, 17, 18, 19, 20, 24)
VALUES: Final[dict[int, dict[int, float]]] = {
    4: {1: 1, 14: 2},
    5: dict.fromkeys(_SMALL, 1.0) | dict.fromkeys((21, 22, 23), 0.5) | dict.fromkeys((25, 26), 0.25),
    6: {STRING: 1},
    7: {7: 1},
    10: {11: 1, 15: 2},
    11: {12: 1, 13: 1},
}

# The newest that onnxruntime 1.31 takes; what is not in this table it may not have at all.
NEWEST_IR: Final = 13
NEWEST_SETS: Final = {"": 26, "ai.onnx.ml": 5, "com.microsoft": 1}

# Of com.microsoft, what quantising and fusing leave behind. The rest of it reads files (EPContext), runs graphs of its
# own (BeamSearch), or is for accelerators.
CONTRIBUTED: Final = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulNBits"),
        *("QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearConv", "QLinearGlobalAveragePool"),
        *("QLinearLeakyRelu", "QLinearMul", "QLinearReduceMean", "QLinearSigmoid", "QLinearSoftmax", "QLinearWhere"),
        *("QGemm", "QAttention", "QEmbedLayerNormalization", "DynamicQuantizeLSTM"),
        *("BiasGelu", "FastGelu", "FusedConv", "FusedGemm", "FusedMatMul", "Gelu", "QuickGelu"),
        *("Attention", "EmbedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
    }
)

CONTROL_FLOW: Final = frozenset({"If", "Loop", "Scan", "SequenceMap"})

# Operators whose outputs are as large as a number given to them says: the places of such inputs, each a shape, a
# factor for each axis, or a length.
BY_INPUT: Final = {
    **dict.fromkeys(("ConstantOfShape", "BlackmanWindow", "HammingWindow", "HannWindow"), (0,)),
    **dict.fromkeys(("Expand", "Tile", "OneHot", "Upsample", "CenterCropPad", "Col2Im", "DFT"), (1,)),
    "MaxUnpool": (2,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (1, 2, 3),
}

# Attributes of the same kind, of any operator.
BY_ATTRIBUTE: Final = frozenset(
    {"shape", "output_shape", "output_padding", "pads", "paddings", "sample_size", "scales"}
)

# Of both, what adds up rather than multiplies.
SUMMED: Final = frozenset({"Pad", "pads", "paddings", "output_padding"})
