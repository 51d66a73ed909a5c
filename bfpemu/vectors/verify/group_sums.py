"""A dot-product unit from what its accumulator adds on: group sums, or products (spec 12.12)."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np

from bfpemu.arithmetic.fast import Task
from bfpemu.arithmetic.pairs import pair_sums
from bfpemu.arithmetic.rows import Rows
from bfpemu.codec.codes import code_dtype, significands
from bfpemu.formats import BFPSpec, Preset, ReservedExponent
from bfpemu.formats.unit import Accumulator
from bfpemu.reference.group import group_size
from bfpemu.vectors.blocks.facts import Int64Array, Mask
from bfpemu.vectors.dot_answers import answers_of_sums, task_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import Bytes, Fields


def has_group_sums(problem: Problem) -> bool:
    """Return whether products and group sums of a unit are exact, of one-level operands, and its output is a float."""
    unit = problem.dot_unit
    if problem.unit != "dot" or unit is None or problem.float_output is None or problem.b is None:
        return False
    if any(preset.format.sub_block_size is not None for preset in (problem.format, problem.b)):
        return False
    drops_none = unit.product_drop_bits == 0 and unit.product_bits is None
    return drops_none and (unit.sum_bits is None or unit.sum_bits >= widest_sum(problem))


def widest_sum(problem: Problem) -> int:
    """Return the bits of two's complement that hold every group sum.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> from bfpemu.units import unit
    >>> widest_sum(Problem("dot", resolve("4x2"), dot_unit=unit("exact"), elements=2))  # at most 2 * 8 * 8
    9
    """
    a, b, unit = problem.a_flat.format, problem.b_flat.format, problem.dot_unit
    assert unit is not None
    return (group_size(a, b, unit, problem.elements) * _largest_product(a, b)).bit_length() + 1


def _largest_product(a: BFPSpec, b: BFPSpec) -> int:
    return max(abs(x * y) for x in a.significand_ends for y in b.significand_ends)


@dataclasses.dataclass(frozen=True)
class GroupSums:
    """What an accumulator adds, and what belongs to it; arrays of groups have the shape (vectors, groups)."""

    problem: Problem
    task: Task
    addends: Int64Array
    """The exact sum of each group, or its products where each is aligned by itself, shape (vectors, groups, addends).
    Of NaN blocks too, as if their elements were numbers."""
    a_codes: Int64Array
    b_codes: Int64Array
    """Exponent codes of both operands."""
    a_nan: Mask
    b_nan: Mask
    """Whether a group lies in a NaN block."""

    @classmethod
    def of(cls, problem: Problem, stimulus: Fields) -> GroupSums:
        """Return what is added of some vectors."""
        assert problem.b is not None
        task = task_of(problem, stimulus)
        size, count = task.stages.group_size, -(-problem.elements // task.stages.group_size)
        (a, a_codes), (b, b_codes) = (
            _operand(stimulus, side, preset, size, count)
            for side, preset in (("a_", problem.a_flat), ("b_", problem.b_flat))
        )
        products = np.pad(a * b, ((0, 0), (0, count * size - a.shape[1]))).reshape(len(a), count, size)
        addends = products if task.stages.aligns_products else products.sum(axis=2, keepdims=True)
        a_nan, b_nan = (
            codes == (-1 if preset.format.nan_code is None else preset.format.nan_code)
            for codes, preset in ((a_codes, problem.a_flat), (b_codes, problem.b_flat))
        )
        return cls(problem, task, addends, a_codes, b_codes, a_nan, b_nan)

    @cached_property
    def exponents(self) -> Int64Array:
        """The exponents ``k`` of 6.3."""
        specs = self.problem.a_flat.format, self.problem.b_flat.format
        return self.a_codes + self.b_codes - sum(spec.exponent_bias + spec.fraction_bits for spec in specs)

    @cached_property
    def is_nan(self) -> Mask:
        """Which vectors have a NaN block."""
        return any_group(self.a_nan | self.b_nan)

    @property
    def accumulator(self) -> Accumulator:
        """The accumulator of the unit."""
        assert self.problem.dot_unit is not None
        return self.problem.dot_unit.accumulator

    @property
    def are_products(self) -> bool:
        """Whether the accumulator adds products one by one."""
        return bool(self.task.stages.aligns_products)

    @cached_property
    def addend_bits(self) -> int:
        """Bits of two's complement that hold every addend."""
        if not self.are_products:
            return widest_sum(self.problem)
        return _largest_product(self.problem.a_flat.format, self.problem.b_flat.format).bit_length() + 1

    def words(
        self, addends: Int64Array | None = None, exponents: Int64Array | None = None, is_nan: Mask | None = None
    ) -> Bytes:
        """Return the words that the unit makes of these addends, or of others."""
        addends = self.addends if addends is None else addends
        exponents = self.exponents if exponents is None else exponents
        none = np.zeros(len(addends), np.bool_)
        flat = addends.reshape(len(addends), -1)
        left = Rows(flat.astype(np.int64), exponents, self.is_nan if is_nan is None else is_nan)
        right = Rows(np.ones_like(left.significands), np.zeros_like(exponents), none)
        stages = self.task.stages._replace(group_size=addends.shape[2], sum_bits=0)
        sums = pair_sums(self.task._replace(stages=stages, left=left, right=right))
        return self.problem.expected.pack(answers_of_sums(self.problem, sums))


def any_group(mask: Mask) -> Mask:
    """Return which vectors have a group of a mask."""
    found: Mask = np.asarray(mask.any(axis=1))
    return found


def _operand(stimulus: Fields, side: str, preset: Preset, size: int, count: int) -> tuple[Int64Array, Int64Array]:
    """Return the significands of an operand, and the exponent code of each group."""
    spec = preset.format
    codes = stimulus[f"{side}exponents"].astype(np.int64)
    block = spec.block_size
    assert isinstance(block, int)
    elements = significands(stimulus[f"{side}elements"].astype(code_dtype(spec.mantissa_bits)), spec).astype(np.int64)
    if spec.exponent_reserved is ReservedExponent.ZERO:
        is_zero = np.repeat(codes == spec.all_ones_code, block, axis=1)[:, : elements.shape[1]]
        elements = np.where(is_zero, 0, elements)
    return elements, codes[:, np.arange(count) * size // block]
