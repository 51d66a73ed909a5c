"""Faults of multipliers of blocks: in the operands, their products, and the products' exponents (spec 12.12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from bfpemu.arithmetic.integers import wrapped
from bfpemu.formats import BFPSpec, Encoding
from bfpemu.vectors.blocks.facts import Int64Array, Mask
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.integers import Integers, Operand, encoder_of, largest_size, operand
from bfpemu.vectors.verify.register_faults import register_faults
from bfpemu.vectors.verify.shift_faults import shift_faults
from bfpemu.vectors.verify.staged_encoder import Fault, is_staged
from bfpemu.vectors.words import Bytes, Fields

_WIDEST_PRODUCT = 58

_Sides = tuple[tuple[Int64Array, BFPSpec], tuple[Int64Array, BFPSpec]]
"""Elements of both operands, and their formats."""


def multiplier_faults(problem: Problem, stimulus: Fields, right: Fields) -> Iterator[Fault]:
    """Yield faults of the unit `multiply`, and the words that come of each.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("multiply", resolve("4x2"))
    >>> stimulus = {"a_elements": np.array([[4, 4]]), "a_exponents": np.array([[127]])}
    >>> stimulus |= {"b_elements": np.array([[12, 4]]), "b_exponents": np.array([[127]])}
    >>> right = {"elements": np.array([[12, 4]]), "exponents": np.array([[126]])}
    >>> faults = dict(multiplier_faults(problem, stimulus, right))
    >>> faults["the sign of a product is that of a"]().tolist()
    [[68, 126]]
    """
    if problem.unit != "multiply" or problem.b is None or not is_staged(problem):
        return
    sizes = [largest_size(preset.format) for preset in (problem.a_flat, problem.b_flat)]
    bits = (sizes[0] * sizes[1]).bit_length()
    if bits > _WIDEST_PRODUCT:
        return
    a, b = operand(problem, stimulus, "a_", problem.a_flat), operand(problem, stimulus, "b_", problem.b_flat)
    exact = _integers(a, b, a.elements * b.elements)
    encoder = encoder_of(problem, stimulus, right, exact)
    if not np.array_equal(encoder.words(), problem.expected.pack(right)):
        return

    def words(make: Callable[[], Integers], more: int = 0) -> Bytes:
        found = encoder_of(problem, stimulus, right, make())
        return found.words(found.facts.wanted + more)

    for text, make in (*_signs(a, b, exact), *_operands(problem, a, b), *_products(problem, a, b)):
        yield text, partial(words, make)
    for missing in range(1, min(bits, 3)):
        text = f"the magnitude of a product, {missing} bit{'s' * (missing > 1)} too short, wraps"
        short = exact._replace(size=exact.size & np.uint64((1 << (bits - missing)) - 1))
        yield text, partial(words, partial(Integers, *short))
        more = f", and the exponent is {missing} too large, as leading zeros are counted from there"
        yield f"{text}{more}", partial(words, partial(Integers, *short), missing)
    yield from register_faults(encoder, exact, bits)
    yield from shift_faults(encoder, exact, bits)


def _integers(a: Operand, b: Operand, products: Int64Array) -> Integers:
    return Integers(np.abs(products).astype(np.uint64), products < 0, a.unit + b.unit)


def _signs(a: Operand, b: Operand, exact: Integers) -> Iterator[tuple[str, Callable[[], Integers]]]:
    a_negative, b_negative = a.elements < 0, b.elements < 0
    signs: dict[str, Mask] = {
        "the sign of a product is that of a": a_negative,
        "the sign of a product is that of b": b_negative,
        "the product of two negative elements is negative": a_negative | b_negative,
        "only the product of two negative elements is negative": a_negative & b_negative,
    }
    for text, negative in signs.items():
        yield text, partial(exact._replace, negative=negative)


def _operands(problem: Problem, a: Operand, b: Operand) -> Iterator[tuple[str, Callable[[], Integers]]]:
    """Yield products of which one factor, or both, loses the upper bit of its magnitude, or its sign."""
    assert problem.b is not None
    sides = [(a.elements, problem.format.format.mantissa_bits), (b.elements, problem.b.format.mantissa_bits)]
    changes: list[tuple[str, Callable[[Int64Array, int], Int64Array]]] = [
        ("the least element of {} counts as 0", lambda x, bits: np.where(x == -1 << (bits - 1), 0, x)),
        ("elements of {} are read as unsigned", lambda x, bits: x & ((1 << bits) - 1)),
        ("magnitudes of {} lose their upper bit, and the next is taken for a sign", _with_short_magnitudes),
    ]
    for text, change in changes:
        a_other, b_other = (change(*side) for side in sides)
        for which, x, y in (("a", a_other, b.elements), ("b", a.elements, b_other), ("a and b", a_other, b_other)):
            yield text.format(which), partial(_integers, a, b, x * y)


def _with_short_magnitudes(elements: Int64Array, bits: int) -> Int64Array:
    return np.sign(elements) * wrapped(np.abs(elements), max(bits - 1, 1))


def _products(problem: Problem, a: Operand, b: Operand) -> Iterator[tuple[str, Callable[[], Integers]]]:
    """Yield products whose exponents wrap, and those of a multiplier bit by bit that loses signs."""
    assert problem.b is not None
    exact = _integers(a, b, a.elements * b.elements)
    bits = max(problem.format.format.exponent_bits, problem.b.format.exponent_bits)
    wraps = (a.codes + b.codes >> bits) << bits
    yield f"the sum of the exponent codes wraps in {bits} bits", partial(exact._replace, unit=exact.unit - wraps)
    a_side, b_side = sides = ((a.elements, problem.format.format), (b.elements, problem.b.format))
    yield from _partial_products(a, b, sides)
    for name, (factor, of_factor), (other, of_other) in (("b", a_side, b_side), ("a", b_side, a_side)):
        for register in (of_factor.mantissa_bits + 1, of_factor.mantissa_bits + 2):
            text = f"partial sums of {register} bits are shifted without their sign, bit by bit of {name}"
            make = partial(_bit_by_bit, factor, other, register, of_other.mantissa_bits)
            yield text, partial(_of_partial_sums, a, b, make)


def _partial_products(a: Operand, b: Operand, sides: _Sides) -> Iterator[tuple[str, Callable[[], Integers]]]:
    """Yield products of which one partial product is missing, or has another weight or sign."""
    for name, factor, (other, spec) in (("b", a.elements, sides[1]), ("a", b.elements, sides[0])):
        is_signed = spec.encoding is Encoding.TWOS_COMPLEMENT and spec.has_sign
        for place in range(spec.mantissa_bits if is_signed else spec.magnitude_bits):
            is_last = is_signed and place == spec.mantissa_bits - 1
            size = other if is_signed else np.abs(other)
            weight = np.where(size >> place & 1 != 0, 1 << place, 0) * (-1 if is_last else 1)
            weight = weight if is_signed else weight * np.sign(other)
            changes = {"is not added": -weight, "has twice its weight": weight}
            if place:
                changes["has half its weight"] = -(weight >> 1)
            if is_last:
                changes["is added, not subtracted"] = -2 * weight
            for text, change in changes.items():
                product = factor * (other + change)
                yield f"the partial product of bit {place} of {name} {text}", partial(_integers, a, b, product)


def _of_partial_sums(a: Operand, b: Operand, make: Callable[[], Int64Array]) -> Integers:
    return _integers(a, b, make())


def _bit_by_bit(factor: Int64Array, other: Int64Array, register: int, places: int) -> Int64Array:
    """Return products of a multiplier that adds a factor for each bit of the other, and shifts the sum in a register.

    Of the other's two's complement, the sign bit is subtracted; the sum moves to the right with a 0 behind it.
    """
    high, low = np.zeros_like(factor), np.zeros_like(factor)
    mask = (1 << register) - 1
    for place in range(places):
        addend = np.where(other >> place & 1 != 0, factor, 0)
        total = wrapped(high - addend if place == places - 1 else high + addend, register)
        if place < places - 1:
            low |= (total & 1) << place
            high = (total & mask) >> 1
    return (total << (places - 1)) + low
