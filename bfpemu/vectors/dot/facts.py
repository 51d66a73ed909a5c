"""What the stages of a dot product held, and bins by name (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bfpemu.formats.unit import AccumulatorKind, FloatFormat
from bfpemu.reference.dot import DotResult
from bfpemu.reference.trace import GroupStep, JoinStep, Register, ResultStep, Scaled, Step
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.traced import TracedVector
from bfpemu.vectors.words import Fields


class DotFacts(NamedTuple):
    """Dot products with the traces of their stages; a vector has several where its results make a block."""

    stimulus: Fields
    """Of every dot product, its own row `a` too."""
    results: Sequence[DotResult]
    turned: Int64Array
    """Whether a vector's blocks in the opposite order give another result."""
    vectors: Sequence[TracedVector]
    block: BlockFacts | None = None
    """Of the results, where they make a block."""


class Number(NamedTuple):
    """``integer * 2 ** exponent``."""

    integer: int
    exponent: int

    @property
    def top(self) -> int:
        """``floor(log2)`` of the magnitude, which is not 0."""
        return abs(self.integer).bit_length() - 1 + self.exponent


DotFamily = Family[DotFacts]

Names = Iterable[str]


def named_family(
    names: Sequence[str],
    bins: Callable[[DotFacts, int], Iterator[str]],
    absent: Callable[[str], str | None] = lambda _: None,
) -> DotFamily:
    """Return a family of a function that yields the names of the bins of one vector."""
    names = list(dict.fromkeys(names))
    places = {name: number for number, name in enumerate(names)}

    def find(facts: DotFacts) -> Int64Array:
        found = [
            sorted({places[name] for name in bins(facts, row) if name in places}) for row in range(len(facts.results))
        ]
        width = max((len(row) for row in found), default=0)
        return np.array([row + [-1] * (width - len(row)) for row in found], np.int64).reshape(len(found), width)

    return Family(names, find, lambda number: absent(names[number]))


def value_of(register: Register, problem: Problem) -> Number | None:
    """Return the number that a register holds, or None for what is not finite."""
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator
    if register is None:
        return None
    if isinstance(register, Scaled):
        return Number(register.integer, register.exponent or 0)
    if accumulator.kind is AccumulatorKind.FIXED:
        return Number(register, accumulator.lsb_exponent)
    assert accumulator.format is not None
    return float_value(register, accumulator.format)


def float_value(pattern: int, format: FloatFormat) -> Number | None:
    """Return the number of a bit pattern, or None for an infinity and NaN.

    Examples
    --------
    >>> from bfpemu.formats.unit import FLOAT_FORMATS
    >>> float_value(0xbfc00000, FLOAT_FORMATS["fp32"])
    Number(integer=-12582912, exponent=-23)
    """
    point = format.fraction_bits
    field, fraction = pattern >> point & ((1 << format.exponent_bits) - 1), pattern & ((1 << point) - 1)
    if field == (1 << format.exponent_bits) - 1:
        return None
    magnitude = fraction | (1 << point if field else 0)
    sign = -1 if pattern >> (point + format.exponent_bits) else 1
    return Number(sign * magnitude, max(field, 1) - format.bias - point)


def converted(addend: Number, step: Step, problem: Problem) -> Number | None:
    """Return a group sum as it is added: as the float that it became, None for no number, or as it is."""
    register = step.converted if isinstance(step, GroupStep) else None
    return value_of(register, problem) if isinstance(register, int) else addend


def normalised(step: Step, problem: Problem) -> Number | None:
    """Return the sum that an `aligned` accumulator rounds to its float, or None where there is none."""
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator
    if accumulator.kind is not AccumulatorKind.ALIGNED or accumulator.format is None or isinstance(step, ResultStep):
        return None
    if step.aligned is None or step.aligned_exponent is None:
        return None
    return Number(sum(step.aligned), step.aligned_exponent)


def additions(result: DotResult, problem: Problem) -> Iterator[tuple[Number, Number, Step]]:
    """Yield (accumulator before, addend, step) of every addition of two finite numbers."""
    for step in result.trace:
        if isinstance(step, GroupStep) and step.accumulator_before is not None:
            before, addend = value_of(step.accumulator_before, problem), Number(step.group_sum, step.exponent)
        elif isinstance(step, JoinStep):
            before, other = value_of(step.left, problem), value_of(step.right, problem)
            if other is None:
                continue
            addend = other
        else:
            continue
        if before is not None:
            yield before, addend, step


def addends(result: DotResult, problem: Problem) -> Iterator[tuple[Number, Number, Step]]:
    """Yield the same as what the accumulator's adder takes: a `float` one takes group sums that became such floats."""
    assert problem.dot_unit is not None
    is_float = problem.dot_unit.accumulator.kind is AccumulatorKind.FLOAT
    for before, addend, step in additions(result, problem):
        other = converted(addend, step, problem) if is_float else addend
        if other is not None:
            yield before, other, step


def exact_sum(x: Number, y: Number) -> Number:
    """Return the exact sum of two numbers."""
    low = min(x.exponent, y.exponent)
    return Number((x.integer << (x.exponent - low)) + (y.integer << (y.exponent - low)), low)


def float_unit(exact: Number, format: FloatFormat) -> int:
    """Return the place of the last bit that a float keeps of a number other than 0."""
    return max(exact.top, 1 - format.bias) - format.fraction_bits
