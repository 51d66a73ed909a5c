"""Sums, differences and products of elements, and from format to format, with one rounding (spec 6.12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bfpemu.errors import DataError
from bfpemu.formats import Conversion, Preset
from bfpemu.reference.decode import round_to_float
from bfpemu.reference.float_format import add_values
from bfpemu.reference.source import read_float
from bfpemu.reference.tensor import EncodedTensor, encode_values, tensor_values
from bfpemu.reference.value import NAN, ZERO, Value, infinity, number


@dataclass(frozen=True, slots=True)
class Target:
    """What results are encoded in: a preset's format and conversion, along an axis (spec 6.12)."""

    preset: Preset
    axis: int | None = -1
    exponents: Sequence[int] | None = None
    """Exponents, not codes, for the rule `given`."""
    random_words: Sequence[int] | None = None
    """One for each element, for the rounding `stochastic`."""


def add(a: EncodedTensor, b: EncodedTensor, target: Target) -> EncodedTensor:
    """Return ``a + b`` (spec 6.12)."""
    return _combined(sum_of, a, b, target)


def subtract(a: EncodedTensor, b: EncodedTensor, target: Target) -> EncodedTensor:
    """Return ``a - b`` (spec 6.12)."""
    return _combined(lambda x, y: sum_of(x, negative_of(y)), a, b, target)


def multiply(a: EncodedTensor, b: EncodedTensor, target: Target) -> EncodedTensor:
    """Return ``a * b``, element by element (spec 6.12)."""
    return _combined(product_of, a, b, target)


def negate(a: EncodedTensor, target: Target) -> EncodedTensor:
    """Return ``-a`` (spec 6.12)."""
    return _encoded([negative_of(x) for x in _operands(a)], a, target)


def relu(a: EncodedTensor, target: Target) -> EncodedTensor:
    """Return ``a``, with +0 for what is negative (spec 6.12)."""
    return _encoded([ZERO if x.negative else x for x in _operands(a)], a, target)


def requantize(a: EncodedTensor, target: Target) -> EncodedTensor:
    """Return ``a`` in another format, or along another axis (spec 6.12)."""
    return _encoded(_operands(a), a, target)


def sum_of(x: Value, y: Value) -> Value:
    """Return the exact sum; a sum of zeros of one sign keeps it, any other zero is +0 (spec 6.12)."""
    total = add_values(x, y).result
    both_negative = x.negative and y.negative
    return number(0, negative=both_negative) if total == ZERO else total


def product_of(x: Value, y: Value) -> Value:
    """Return the exact product with the sign of a product, also of zero; infinity times 0 is NaN (spec 6.12)."""
    negative = x.negative != y.negative
    if x.is_finite and y.is_finite:
        return number(x.magnitude * y.magnitude, negative=negative)
    has_zero = any(value.is_finite and value.magnitude == 0 for value in (x, y))
    return NAN if x.is_nan or y.is_nan or has_zero else infinity(negative=negative)


def negative_of(x: Value) -> Value:
    """Return the value with the other sign, zero's too; NaN stays (spec 6.12)."""
    return x if x.is_nan else Value(x.kind, not x.negative, x.magnitude)


def _operands(a: EncodedTensor) -> list[Value]:
    """Return the values of a tensor; a NaN has neither sign nor fraction here (spec 6.12)."""
    return [NAN if x.is_nan else x for x in tensor_values(a)]


def _combined(
    function: Callable[[Value, Value], Value], a: EncodedTensor, b: EncodedTensor, target: Target
) -> EncodedTensor:
    """Encode a function of the values of two tensors, or raise DataError ``operand-shape`` (spec 6.12)."""
    if a.shape != b.shape:
        raise DataError("operand-shape", f"operands must have one shape (spec 6.12), got {a.shape} and {b.shape}")
    pairs = zip(_operands(a), _operands(b), strict=True)
    return _encoded([function(x, y) for x, y in pairs], a, target)


def _encoded(values: Sequence[Value], a: EncodedTensor, target: Target) -> EncodedTensor:
    """Encode exact values in the shape of `a` (spec 6.12)."""
    return encode_values(
        [as_source(x, target.preset.conversion) for x in values],
        a.shape,
        target.preset,
        target.axis,
        exponents=target.exponents,
        random_words=target.random_words,
    )


def as_source(x: Value, conversion: Conversion) -> Value:
    """Return a source value; NaN and infinities are read as those of float32 (spec 3.3, 6.12)."""
    return x if x.is_finite else read_float(round_to_float(x, "float32"), "float32", conversion)
