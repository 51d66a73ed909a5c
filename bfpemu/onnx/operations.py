"""The operations of the fake quantiser as nodes of a graph: all on integers, so a runtime may flush what it likes."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto, helper

from bfpemu.bitwise.operations import Kernel
from bfpemu.onnx.graph import BOOL, INTEGERS, UNSIGNED, Length, Value

FLOATS = {
    "float64": int(TensorProto.DOUBLE),
    "float32": int(TensorProto.FLOAT),
    "float16": int(TensorProto.FLOAT16),
    "bfloat16": int(TensorProto.BFLOAT16),
}
"""dtype -> as ONNX numbers it."""
_NAMES = {kind: name for name, kind in FLOATS.items()}


class GraphOperations:
    """`bfpemu.bitwise.Operations` on values of a graph (spec 14.2, 16.4).

    `BitShift` is there for unsigned integers alone, so values go there and back by their bits.
    """

    @property
    def lanes(self) -> tuple[int, ...]:
        """Graphs have both lanes."""
        return (32, 64)

    def dtype_name(self, values: Value) -> str:
        """Return the name of the dtype."""
        return _NAMES.get(values.kind) or TensorProto.DataType.Name(values.kind).lower()

    def shape(self, values: Value) -> tuple[Length, ...]:
        """Return the lengths of the axes."""
        return values.shape

    def to_words(self, values: Value, lane: int) -> Value:
        """Return the bits, sign-extended."""
        return values.same_bits(INTEGERS[values.lane]).cast(INTEGERS[lane])

    def to_floats(self, words: Value, dtype_name: str) -> Value:
        """Return floats of these bits."""
        kind = FLOATS[dtype_name]
        width = 8 * int(helper.tensor_dtype_to_np_dtype(kind).itemsize)
        return words.cast(INTEGERS[width]).same_bits(kind)

    def integers(self, values: Value, lane: int) -> Value:
        """Return a mask or integers in the lane."""
        return values.cast(INTEGERS[lane])

    def where(self, mask: Value, this: Value | int, other: Value | int) -> Value:
        """Select."""
        beside = this if isinstance(this, Value) else other
        assert isinstance(beside, Value)
        this, other = beside.beside(this), beside.beside(other)
        if beside.kind == BOOL:  # runtimes select between numbers
            return (mask & this) | (~mask & other)
        return mask.node("Where", this, other, kind=beside.kind)

    def minimum(self, values: Value, other: Value | int) -> Value:
        """Return the smaller of each pair."""
        return values.node("Min", values.beside(other))

    def maximum(self, values: Value, other: Value | int) -> Value:
        """Return the larger of each pair."""
        return values.node("Max", values.beside(other))

    def shift_left(self, values: Value | int, count: Value | int) -> Value:
        """Shift."""
        beside = values if isinstance(values, Value) else count
        assert isinstance(beside, Value)
        unsigned = UNSIGNED[beside.lane]
        bits, places = (beside.beside(each).same_bits(unsigned) for each in (values, count))
        return bits.node("BitShift", places, direction="LEFT").same_bits(beside.kind)

    def shift_right(self, values: Value, count: Value | int) -> Value:
        """Shift with the sign: 2**(lane-1) more is no negative number, and what it becomes is taken off again."""
        unsigned, sign = UNSIGNED[values.lane], 1 << (values.lane - 1)
        places = values.beside(count).same_bits(unsigned)
        bits = values.same_bits(unsigned)
        offset = bits.scalar(sign)
        shifted = (bits ^ offset).node("BitShift", places, direction="RIGHT")
        offset = (
            bits.scalar(sign >> count) if isinstance(count, int) else offset.node("BitShift", places, direction="RIGHT")
        )
        return (shifted - offset).same_bits(values.kind)

    def multiply(self, words: Value, factor: int) -> Value:
        """Return the low 32 bits of a product, which unsigned integers keep."""
        bits = words.same_bits(UNSIGNED[32])
        return bits.node("Mul", bits.scalar(factor % (1 << 32))).same_bits(words.kind)

    def largest(self, words: Value, axes: tuple[int, ...]) -> Value:
        """Return the maximum along axes, which stay."""
        return _reduced(words, "ReduceMax", axes)

    def total(self, words: Value, axes: tuple[int, ...]) -> Value:
        """Return the sum along axes, which stay."""
        return _reduced(words, "ReduceSum", axes)

    def split_axis(self, words: Value, axis: int, sizes: tuple[int, ...]) -> Value:
        """Make several axes of one."""
        kept = list(enumerate(words.shape))
        return _reshaped(words, [*kept[:axis], *((-1, size) for size in sizes), *kept[axis + 1 :]])

    def merge_axes(self, words: Value, axis: int, count: int) -> Value:
        """Make one axis of several."""
        kept = list(enumerate(words.shape))
        merged = math.prod(length or 0 for length in words.shape[axis : axis + count])
        return _reshaped(words, [*kept[:axis], (-1, merged), *kept[axis + count :]])

    def pad_axis(self, words: Value, axis: int, count: int, filler: int) -> Value:
        """Append a filler along an axis."""
        axes = len(words.shape)
        pads = words.graph.integers(*(0,) * axes, *(count if number == axis else 0 for number in range(axes)))
        name = words.graph.add("Pad", words.name, pads, words.scalar(filler).name)
        length = words.shape[axis]
        assert length is not None
        return Value(words.graph, name, words.kind, (*words.shape[:axis], length + count, *words.shape[axis + 1 :]))

    def cut_axis(self, words: Value, axis: int, length: int) -> Value:
        """Return the start of an axis."""
        graph = words.graph
        name = graph.add("Slice", words.name, graph.integers(0), graph.integers(length), graph.integers(axis))
        return Value(graph, name, words.kind, (*words.shape[:axis], length, *words.shape[axis + 1 :]))

    def insert_axis(self, words: Value, axis: int) -> Value:
        """Return the array with one more axis."""
        name = words.graph.add("Unsqueeze", words.name, words.graph.integers(axis))
        return Value(words.graph, name, words.kind, (*words.shape[:axis], 1, *words.shape[axis:]))

    def flatten(self, values: Value) -> Value:
        """Return one axis in C order."""
        name = values.graph.add("Reshape", values.name, values.graph.integers(-1))
        lengths = [length for length in values.shape if length is not None]
        total = math.prod(lengths) if len(lengths) == len(values.shape) else None
        return Value(values.graph, name, values.kind, (total,))

    def reshape_like(self, words: Value, values: Value) -> Value:
        """Return the shape of `values`."""
        shape = values.graph.add("Shape", values.name)
        name = words.graph.add("Reshape", words.name, shape, allowzero=1)
        return Value(words.graph, name, words.kind, values.shape)

    def positions(self, values: Value) -> Value:
        """Count the elements in C order; a cast keeps the low bits."""
        graph = values.graph
        start, step = (graph.constant(np.array(number, np.int64)) for number in (0, 1))
        count = graph.add("Range", start, graph.add("Size", values.name), step)
        counted = Value(graph, count, INTEGERS[64], (None,)).same_bits(UNSIGNED[64]).cast(UNSIGNED[32])
        return self.reshape_like(counted.same_bits(INTEGERS[32]), values)

    def kept(self, arrays: tuple[Value, ...]) -> tuple[Value, ...]:
        """Return the values: each is the output of a node, which runs once."""
        return arrays

    def fused(self, kernel: Kernel, *arrays: Value) -> Value:
        """Call the kernel; a runtime fuses what it likes."""
        found: Value = kernel(self, *arrays)
        return found


def _reduced(words: Value, operator: str, axes: tuple[int, ...]) -> Value:
    """Return what an operator makes of the elements along axes, which stay."""
    name = words.graph.add(operator, words.name, words.graph.integers(*axes), keepdims=1)
    shape = tuple(1 if axis in axes else length for axis, length in enumerate(words.shape))
    return Value(words.graph, name, words.kind, shape)


def _reshaped(words: Value, axes: list[tuple[int, Length]]) -> Value:
    """Return a value in axes of a known length, or of that of one of its own axes, whose number comes with it."""
    graph = words.graph
    lengths = [length for _, length in axes if length is not None]
    if len(lengths) == len(axes):
        shape = graph.integers(*lengths)
    else:
        parts = [
            graph.add("Shape", words.name, start=axis, end=axis + 1) if length is None else graph.integers(length)
            for axis, length in axes
        ]
        shape = graph.add("Concat", *parts, axis=0)
    name = graph.add("Reshape", words.name, shape, allowzero=1)
    return Value(graph, name, words.kind, tuple(length for _, length in axes))
