"""A model file, read before anything else gets to see it: what is dangerous, or cannot serve here, is refused.

Nothing is run and no path followed. The walk is over lengths, so it takes no memory of the file's size; what it does
not know, it refuses, and so is right about the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from edgeproxy.inference.onnx_messages import KEPT, Message, Messages, VetError, short
from edgeproxy.inference.onnx_schema import (
    BITS,
    BY_ATTRIBUTE,
    BY_INPUT,
    CONTRIBUTED,
    CONTROL_FLOW,
    NEWEST_IR,
    NEWEST_SETS,
    STRING,
    SUMMED,
    VALUES,
)
from edgeproxy.inference.protobuf import FIXED32, FIXED64, VARINT, Field, WireError, numbers
from edgeproxy.tensors import ANY, KINDS, Spec

__all__ = ["Declared", "Facts", "VetError", "agree", "read"]

NODES: Final = 100_000
TENSORS: Final = 100_000
DEPTH: Final = 8  # graphs within graphs, and types within types
RANK: Final = 32
ELEMENTS: Final = 100_000_000  # of a tensor whose size is a number in the file
_CONSTANT: Final = 64  # elements of a constant that may be somebody's size
_ENDS: Final = 1000  # inputs, or outputs
_LISTED: Final = 10  # names in a sentence

_KIND_OF: Final = {kind.number: kind.name for kind in KINDS.values()}
_HOLDERS: Final = ((4, "TypeProto.Sequence", 1), (5, "TypeProto.Map", 2), (9, "TypeProto.Optional", 1))
_NUMBERS: Final = {4: FIXED32, 5: VARINT, 7: VARINT, 10: FIXED64, 11: VARINT}


class Declared(NamedTuple):
    """An input or output as the file has it; ``shape``: None where it says nothing, ANY for a free length."""

    name: str
    kind: str
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        return f"{self.name} {self.kind}" if self.shape is None else str(Spec(self.name, self.kind, self.shape))


class Facts(NamedTuple):
    """What is in a file: its version of the format and of the operators, how many nodes, bytes of constants, whether it
    has loops or branches, and what goes in and comes out."""

    ir: int
    opset: int
    nodes: int
    parameters: int
    control_flow: bool
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]


def read(content: bytes, *, control_flow: bool, largest: int) -> Facts:
    """Raises VetError. ``control_flow``: whether it may have any. ``largest``: bytes all its constants may have when
    they are unpacked."""
    try:
        return _Walk(content, control_flow, largest).model()
    except WireError as error:
        raise VetError(f"not an ONNX file, or a damaged one: {error}") from None


def agree(facts: Facts, inputs: Iterable[Spec], outputs: Iterable[Spec]) -> None:
    """Raises VetError unless the file has these inputs and outputs."""
    _agree("inputs", facts.inputs, tuple(inputs), exact=True)
    _agree("outputs", facts.outputs, tuple(outputs), exact=False)


def _agree(what: str, found: tuple[Declared, ...], said: tuple[Spec, ...], *, exact: bool) -> None:
    by_name = {each.name: each for each in found}
    wanted = {each.name for each in said}
    if by_name.keys() != wanted:
        raise VetError(f"its {what} are {_list(by_name)}; the manifest has {_list(wanted)}")
    for spec in said:
        own = by_name[spec.name]
        lengths = [] if own.shape is None else zip(spec.shape, own.shape, strict=False)
        differ = any(a != b and b != ANY and (exact or a != ANY) for a, b in lengths)
        if own.kind != spec.kind or (own.shape is not None and len(own.shape) != len(spec.shape)) or differ:
            raise VetError(f"of its {what}, it has {own}; the manifest says {spec}")


def _list(names: Iterable[str]) -> str:
    shown = [short(name) for name in sorted(names)]
    return ", ".join(shown if len(shown) <= _LISTED else [*shown[:_LISTED], "…"]) or "none"


class _Scope(NamedTuple):
    """The small constants of a graph, by name, and the graph it is in."""

    constants: dict[str, list[float]]
    outer: _Scope | None


class _Walk(Messages):
    def __init__(self, content: bytes, control_flow: bool, largest: int) -> None:
        super().__init__(content)
        self._allowed = control_flow
        self._largest = largest
        self._control_flow = False
        self._nodes = self._tensors = self._bytes = self._constants = 0
        self._sized: list[tuple[str, _Scope, str, list[str]]] = []

    def model(self) -> Facts:
        parts = self.read("ModelProto", self.all)
        if 25 in parts:
            raise VetError("it has functions of its own; write it with them put in place (onnx.inliner)")
        if 20 in parts:
            raise VetError("it has training information, which is not for serving")
        ir = self.whole(parts, 1)
        if not 1 <= ir <= NEWEST_IR:
            raise VetError(f"its IR version is {ir}; taken are 1 to {NEWEST_IR}")
        opset = self._opset(parts.get(8, []))
        if 7 not in parts:
            raise VetError("it has no graph")
        inputs, outputs = self._graph(parts[7][0], "the graph", None, 1)
        self._check_sizes()
        if not outputs:
            raise VetError("the graph: it has no outputs")
        return Facts(ir, opset, self._nodes, self._bytes, self._control_flow, inputs, outputs)

    def _opset(self, imports: list[Field]) -> int:
        found: dict[str, int] = {}
        for each in imports:
            parts = self.read("OperatorSetIdProto", each)
            domain, version = self._domain(parts, 1), self.whole(parts, 2)
            newest = NEWEST_SETS.get(domain)
            if newest is not None and not 1 <= version <= newest:
                raise VetError(f"its opset of {domain or 'ai.onnx'} is {version}; taken are 1 to {newest}")
            found[domain] = version
        if not found:
            raise VetError("it names no opset")
        return found.get("", 0)

    # -- graphs -----------------------------------------------------------------------------------------------------

    def _graph(
        self, place: Field, where: str, outer: _Scope | None, depth: int
    ) -> tuple[tuple[Declared, ...], tuple[Declared, ...]]:
        """The inputs that have to be given, and the outputs."""
        if depth > DEPTH:
            raise VetError(f"{where}: graphs within graphs, more than {DEPTH} deep")
        scope = _Scope({}, outer)
        inputs: list[Field] = []
        outputs: list[Field] = []
        given: set[str] = set()
        for part in self.fields("GraphProto", place):
            if part.number == 1:
                self._node(part, where, scope, depth)
            elif part.number == 5:
                name, _ = self._tensor(part, f"{where}: initializer", scope)
                given.add(name)
            elif part.number == 15:
                given.add(self._sparse(part, f"{where}: sparse initializer"))
            elif part.number in {11, 12}:
                ends = inputs if part.number == 11 else outputs
                ends.append(part)
                if len(ends) > _ENDS:
                    raise VetError(f"{where}: it has more than {_ENDS} inputs, or outputs")
            elif part.number == 13:
                self._type_of(self.read("ValueInfoProto", part), where)
        if depth > 1:
            for each in (*inputs, *outputs):
                self._type_of(self.read("ValueInfoProto", each), where)
            return (), ()
        declared = [self._declared(each, where) for each in inputs]
        return tuple(each for each in declared if each.name not in given), tuple(
            self._declared(each, where) for each in outputs
        )

    def _node(self, place: Field, graph: str, scope: _Scope, depth: int) -> None:
        self._nodes += 1
        if self._nodes > NODES:
            raise VetError(f"it has more than {NODES} nodes")
        parts = self.read("NodeProto", place)
        operator, domain = self.text(parts, 4), self._domain(parts, 7)
        where = f"{graph}: node {self._nodes} ({short(operator)})"
        if domain not in NEWEST_SETS or (domain == "com.microsoft" and operator not in CONTRIBUTED):
            raise VetError(f"{where}: the operator {short(domain)}:{short(operator)} is not among those taken")
        if operator in CONTROL_FLOW:
            self._branch(where)
        outputs = parts.get(2, [])
        for each in parts.get(5, []):
            name, values = self._attribute(each, where, scope, depth)
            if name in BY_ATTRIBUTE:
                self._check_size(f"{where}: attribute {name!r}", values, summed=name in SUMMED)
            if operator == "Constant" and values and outputs:
                self._keep_constant(scope, self.show(outputs[0]), values)
        if operator in BY_INPUT and not domain:
            names = [self.show(each) for each in parts.get(1, [])[:8]]
            self._constants += 1
            self._sized.append((where, scope, operator, names))

    def _branch(self, where: str) -> None:
        self._control_flow = True
        if not self._allowed:
            raise VetError(f"{where}: loops and branches need `control_flow: true` in the manifest")

    def _attribute(self, place: Field, node: str, scope: _Scope, depth: int) -> tuple[str, list[float]]:
        """Its name, and its numbers if they are few."""
        parts = self.read("AttributeProto", place)
        name = self.text(parts, 1)
        where = f"{node}: attribute {short(name)}"
        values = [float(self.whole(parts, 3))] if 3 in parts else []
        for number, kind in ((7, FIXED32), (8, VARINT)):
            if sum(each.elements for each in parts.get(number, [])) <= _CONSTANT:
                values += [value for each in parts.get(number, []) for value in numbers(self.content, each, kind)]
        for each in (*parts.get(5, []), *parts.get(10, [])):
            values += self._tensor(each, where, None)[1]
        for each in (*parts.get(22, []), *parts.get(23, [])):
            self._sparse(each, where)
        for each in (*parts.get(14, []), *parts.get(15, [])):
            self._type(each, where, 1)
        for each in (*parts.get(6, []), *parts.get(11, [])):
            self._branch(where)
            self._graph(each, where, scope, depth + 1)
        return name, values

    # -- tensors ----------------------------------------------------------------------------------------------------

    def _tensor(self, place: Field, above: str, scope: _Scope | None) -> tuple[str, list[float]]:
        """Its name, and its values if they are few; those are kept in a scope."""
        self._tensors += 1
        if self._tensors > TENSORS:
            raise VetError(f"it has more than {TENSORS} tensors")
        parts = self.read("TensorProto", place)
        name, kind = self.text(parts, 8), self.whole(parts, 2)
        where = f"{above} {short(name)}"
        if 13 in parts or self.whole(parts, 14):
            raise VetError(f"{where}: its values are in another file; none is opened")
        if 3 in parts:
            raise VetError(f"{where}: it is only a segment of a tensor")
        if kind not in BITS:
            raise VetError(f"{where}: {kind} is no type of values")
        elements = self._elements(parts, 1, where)
        self._room(where, elements, kind)
        stored = [number for number in VALUES if parts.get(number)]
        if len(stored) + (9 in parts) > 1:
            raise VetError(f"{where}: its values are given twice")
        if 9 in parts:
            raw = parts[9][0]
            length = raw.end - raw.start
            if kind == STRING or length != (elements * BITS[kind] + 7) // 8:
                raise VetError(f"{where}: it has {length} bytes for {elements} elements")
            return name, self._constant(scope, name, self._raw(raw, kind, elements))
        count = sum(each.elements for number in stored for each in parts[number])
        if any(kind not in VALUES[number] for number in stored):
            raise VetError(f"{where}: its values are not of its type")
        if count != (math.ceil(elements * VALUES[stored[0]][kind]) if stored else 0) or (elements and not stored):
            raise VetError(f"{where}: it has {count} values for {elements} elements")
        values: list[float] = []
        if elements <= _CONSTANT and stored and stored[0] in _NUMBERS:
            listed = parts[stored[0]]
            values = [value for each in listed for value in numbers(self.content, each, _NUMBERS[stored[0]])]
        return name, self._constant(scope, name, values)

    def _sparse(self, place: Field, above: str) -> str:
        parts = self.read("SparseTensorProto", place)
        if 1 not in parts or 2 not in parts:
            raise VetError(f"{above}: it has no values, or no indices")
        name, _ = self._tensor(parts[1][0], above, None)
        self._tensor(parts[2][0], f"{above}: indices", None)
        where = f"{above} {short(name)}"
        self._room(where, self._elements(parts, 3, where), 15)  # it will be dense, of whatever type: of the largest
        return name

    def _domain(self, parts: Message, number: int) -> str:
        domain = self.text(parts, number)
        return "" if domain == "ai.onnx" else domain

    def _elements(self, parts: Message, number: int, where: str) -> int:
        dims = parts.get(number, [])
        if sum(each.elements for each in dims) > RANK:
            raise VetError(f"{where}: it has more than {RANK} dimensions")
        lengths = [int(length) for each in dims for length in numbers(self.content, each, VARINT)]
        if min(lengths, default=0) < 0:
            raise VetError(f"{where}: a dimension is negative")
        return math.prod(lengths)

    def _room(self, where: str, elements: int, kind: int) -> None:
        self._bytes += (elements * BITS[kind] + 7) // 8
        if self._bytes > self._largest:
            raise VetError(f"{where}: with it, the constants have {self._bytes} bytes; taken are {self._largest}")

    def _raw(self, place: Field, kind: int, elements: int) -> list[float]:
        name = _KIND_OF.get(kind, "")
        if elements > _CONSTANT or name not in {"INT32", "INT64", "FP32", "FP64"}:
            return []
        import numpy as np

        content = self.content[place.start : place.end]
        return [float(value) for value in np.frombuffer(content, KINDS[name].dtype)]

    # -- sizes ------------------------------------------------------------------------------------------------------

    def _constant(self, scope: _Scope | None, name: str, values: list[float]) -> list[float]:
        if scope is not None and values:
            self._keep_constant(scope, name, values)
        return values

    def _keep_constant(self, scope: _Scope, name: str, values: list[float]) -> None:
        self._constants += 1
        if self._constants > KEPT:
            raise VetError(f"it has more than {KEPT} constants")
        scope.constants[name] = values

    def _check_sizes(self) -> None:
        """What is as large as a constant says, now that all constants are known."""
        for where, scope, operator, names in self._sized:
            given = [_known(scope, name) for name in names]
            if operator == "Range":
                first, last, step = ([*each, 0.0][0] for each in (*given, [], [], [])[:3])
                if all(given[:3]) and step:
                    self._check_size(where, [(last - first) / step], summed=False)
                continue
            for at in BY_INPUT[operator]:
                if at < len(given):
                    self._check_size(f"{where}: input {at + 1}", given[at], summed=operator in SUMMED)

    @staticmethod
    def _check_size(where: str, values: list[float], *, summed: bool) -> None:
        lengths = [max(abs(value), 1.0) for value in values]
        size = sum(lengths) if summed else math.prod(lengths)
        if not size <= ELEMENTS:
            raise VetError(f"{where}: it asks for {size:.3g} elements; taken are {ELEMENTS}")

    # -- types ------------------------------------------------------------------------------------------------------

    def _declared(self, place: Field, where: str) -> Declared:
        parts = self.read("ValueInfoProto", place)
        name = self.text(parts, 1)
        found = self._type_of(parts, where)
        if found is None:
            raise VetError(f"{where}: {short(name)} is no tensor (of a classifier, write it with zipmap=False)")
        kind, shape = found
        if kind not in _KIND_OF:
            raise VetError(f"{where}: {short(name)} is of a type that cannot be sent ({kind})")
        return Declared(name, _KIND_OF[kind], shape)

    def _type_of(self, value: Message, where: str) -> tuple[int, tuple[int, ...] | None] | None:
        return self._type(value[2][0], where, 1) if 2 in value else None

    def _type(self, place: Field, where: str, depth: int) -> tuple[int, tuple[int, ...] | None] | None:
        """A tensor's type of values and its shape; None if it is another type."""
        if depth > DEPTH:
            raise VetError(f"{where}: types within types, more than {DEPTH} deep")
        parts = self.read("TypeProto", place)
        for number, holder, inner in _HOLDERS:
            for each in parts.get(number, []):
                for held in self.read(holder, each).get(inner, []):
                    self._type(held, where, depth + 1)
        if 1 not in parts:
            return None
        tensor = self.read("TypeProto.Tensor", parts[1][0])
        if 2 not in tensor:
            return self.whole(tensor, 1), None
        dims = self.read("TensorShapeProto", tensor[2][0]).get(1, [])
        if len(dims) > RANK:
            raise VetError(f"{where}: a value has more than {RANK} dimensions")
        return self.whole(tensor, 1), tuple(self._dimension(each) for each in dims)

    def _dimension(self, place: Field) -> int:
        parts = self.read("Dimension", place)
        length = self.whole(parts, 1) if 1 in parts else ANY
        return length if length > 0 else ANY


def _known(scope: _Scope | None, name: str) -> list[float]:
    while scope is not None:
        if name in scope.constants:
            return scope.constants[name]
        scope = scope.outer
    return []
