"""Values of a graph that is being written: arrays without numbers, whose operators write nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

Length: TypeAlias = int | None
"""Of an axis; None where only the run knows it."""

BOOL = int(TensorProto.BOOL)
INTEGERS = {16: int(TensorProto.INT16), 32: int(TensorProto.INT32), 64: int(TensorProto.INT64)}
UNSIGNED = {32: int(TensorProto.UINT32), 64: int(TensorProto.UINT64)}


@dataclass
class GraphBuilder:
    """The nodes of one graph or function body, and the constants that they share."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[Any, str] = field(default_factory=dict)

    def value(self, name: str, kind: int, shape: tuple[Length, ...]) -> Value:
        """Return an input of the graph."""
        return Value(self, name, kind, shape)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Write a node of one output, and return the output's name."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, array: npt.NDArray[Any]) -> str:
        """Return the name of a constant; equal ones are written once."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = self.add("Constant", value=numpy_helper.from_array(array))
        return self.constants[key]

    def integers(self, *numbers: int) -> str:
        """Return the name of a list of axes, lengths or positions."""
        return self.constant(np.array(numbers, np.int64))


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """An array of integers or a mask whose numbers only the run will know."""

    graph: GraphBuilder
    name: str
    kind: int
    """The dtype, as ONNX numbers them."""
    shape: tuple[Length, ...]

    @property
    def is_mask(self) -> bool:
        """Whether the elements are true or false."""
        return self.kind == BOOL

    @property
    def lane(self) -> int:
        """Bits of an integer."""
        return int(helper.tensor_dtype_to_np_dtype(self.kind).itemsize) * 8

    def node(self, operator: str, *others: Value, kind: int | None = None, **attributes: Any) -> Value:
        """Return what an elementwise operator makes of this value and others of its kind."""
        name = self.graph.add(operator, self.name, *(other.name for other in others), **attributes)
        shape = self.shape
        for other in others:
            shape = broadcast(shape, other.shape)
        return Value(self.graph, name, self.kind if kind is None else kind, shape)

    def scalar(self, number: int) -> Value:
        """Return an integer as a value of this kind."""
        dtype = helper.tensor_dtype_to_np_dtype(self.kind)
        return Value(self.graph, self.graph.constant(np.array(number, dtype)), self.kind, ())

    def beside(self, other: Value | int) -> Value:
        """Return what stands on the other side of an operator as a value."""
        return other if isinstance(other, Value) else self.scalar(other)

    def cast(self, kind: int) -> Value:
        """Return the same numbers in another dtype; what is there already stays."""
        return self if kind == self.kind else self.node("Cast", kind=kind, to=kind)

    def same_bits(self, kind: int) -> Value:
        """Return the same bits in a dtype of the same width."""
        return self if kind == self.kind else self.node("BitCast", kind=kind, to=kind)

    def _bitwise(self, operator: str, other: Value | int) -> Value:
        return self.node(operator if self.is_mask else f"Bitwise{operator}", self.beside(other))

    def _compared(self, operator: str, other: Value | int) -> Value:
        return self.node(operator, self.beside(other), kind=BOOL)

    def __add__(self, other: Value | int) -> Value:
        return self.node("Add", self.beside(other))

    def __radd__(self, other: int) -> Value:
        return self.scalar(other) + self

    def __sub__(self, other: Value | int) -> Value:
        return self.node("Sub", self.beside(other))

    def __rsub__(self, other: int) -> Value:
        return self.scalar(other) - self

    def __neg__(self) -> Value:
        return self.node("Neg")

    def __mul__(self, other: Value | int) -> Value:
        return self.node("Mul", self.beside(other))

    def __and__(self, other: Value | int) -> Value:
        return self._bitwise("And", other)

    def __or__(self, other: Value | int) -> Value:
        return self._bitwise("Or", other)

    def __xor__(self, other: Value | int) -> Value:
        return self._bitwise("Xor", other)

    def __invert__(self) -> Value:
        return self.node("Not" if self.is_mask else "BitwiseNot")

    def __lt__(self, other: Value | int) -> Value:
        return self._compared("Less", other)

    def __le__(self, other: Value | int) -> Value:
        return self._compared("LessOrEqual", other)

    def __gt__(self, other: Value | int) -> Value:
        return self._compared("Greater", other)

    def __ge__(self, other: Value | int) -> Value:
        return self._compared("GreaterOrEqual", other)

    def __eq__(self, other: Value | int) -> Value:  # type: ignore[override]
        return self._compared("Equal", other)

    def __ne__(self, other: Value | int) -> Value:  # type: ignore[override]
        return ~self._compared("Equal", other)

    __hash__: Callable[[Value], int] = object.__hash__  # type: ignore[assignment]


def broadcast(one: tuple[Length, ...], other: tuple[Length, ...]) -> tuple[Length, ...]:
    """Return the shape of an elementwise operation.

    Examples
    --------
    >>> broadcast((None, 3, 1), (1, 32))
    (None, 3, 32)
    """
    axes = max(len(one), len(other))
    pairs = zip((1,) * (axes - len(one)) + one, (1,) * (axes - len(other)) + other, strict=True)
    return tuple(b if a == 1 else a if b in (1, None) else b for a, b in pairs)
