"""What happens inside a block while it is encoded, for many blocks at once (spec 3.5 to 3.10).

The exact numbers come from the kernels that read them; every other fact is a comparison of integers here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.formats import BFPSpec, Conversion, Encoding, ExponentRule, ReservedExponent
from bfpemu.kernels.source import FINITE, INFINITE, Numbers
from bfpemu.kernels.source_rows import take_rows
from bfpemu.vectors.answers import OPERATIONS, operand_values
from bfpemu.vectors.blocks.source_numbers import numbers_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray, Fields

Mask = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]
UInt64Array = npt.NDArray[np.uint64]

HALF = np.uint64(1 << 63)
FAR = 1 << 40


@dataclass(frozen=True)
class BlockFacts:
    """Facts of blocks; arrays of elements have the shape (blocks, elements of a block), of blocks (blocks,)."""

    problem: Problem
    stimulus: Fields
    """Of the vectors."""
    answer: Fields
    per_vector: int
    """Blocks of a vector."""
    finite: Mask
    infinite: Mask
    negative: Mask
    mantissa: UInt64Array
    """Magnitudes as ``mantissa * 2 ** (top - 64)``, normalised; 0 for zeros and what is not finite."""
    top: Int64Array
    lost: Mask
    """Whether bits below the mantissa are set, of sums."""
    highest: Int64Array
    """``top`` of the block's largest magnitude; far below without one."""
    wanted: Int64Array
    """The exponent that the rule gives before its range (3.6); of `even` and `lower_error` that of `floor`."""
    code: Int64Array
    """The exponent code."""
    is_nan: Mask
    """Whether the block has the reserved code."""
    is_flushed: Mask
    rounds: Mask
    """Whether an element other than zero is rounded at the block's exponent."""
    kept_bits: Int64Array
    """Bits of the integer part in units of the wide element; 0 or less when it is 0."""
    whole: UInt64Array
    rest: UInt64Array
    """The first 64 bits behind the binary point."""
    sticky: Mask
    """Whether any bit after those is set."""

    @property
    def has_number(self) -> Mask:
        """Whether a block has a finite number other than zero."""
        found: Mask = self.highest > -FAR
        return found

    @property
    def nonzero(self) -> Mask:
        """Finite elements other than zero."""
        found: Mask = self.finite & (self.mantissa != 0)
        return found

    @property
    def guard(self) -> Mask:
        """The first bit that is rounded off."""
        found: Mask = self.rest >> np.uint64(63) != 0
        return found

    @property
    def below_guard(self) -> Mask:
        """Whether any bit after the guard bit is set."""
        found: Mask = self.sticky | (self.rest << np.uint64(1) != 0)
        return found


def block_facts(problem: Problem, stimulus: Fields, answer: Fields) -> BlockFacts:
    """Return the facts of the blocks that some vectors of an encoding unit make."""
    return facts_of_numbers(problem, stimulus, answer, *numbers_encoded(problem, stimulus))


def facts_of_numbers(
    problem: Problem, stimulus: Fields, answer: Fields, numbers: Numbers, lost: AnyArray
) -> BlockFacts:
    """Return the facts of the blocks that numbers make, of which some lose bits below 64."""
    spec, conversion = problem.target.format, problem.target.conversion
    blocks, size = problem.result_blocks, problem.target.format.elements_per_block or 1
    kinds = numbers.kinds
    finite, infinite, negative, mantissa, top, cut = (
        by_block(array, blocks, size) for array in (kinds == FINITE, kinds == INFINITE, *numbers[1:], lost)
    )
    mantissa = np.where(finite, mantissa, np.uint64(0))
    highest = np.where(mantissa != 0, top, -FAR).max(axis=1)
    largest = np.where(top == highest[:, None], mantissa | cut, np.uint64(0)).max(axis=1)
    wanted = wanted_exponents(problem, highest, largest)
    code = answer["exponents"].astype(np.int64).reshape(-1)
    is_nan = (code == spec.all_ones_code) & (spec.exponent_reserved is not ReservedExponent.NONE)
    has_number = highest > -FAR
    may_flush = conversion.exponent_rule is not ExponentRule.GIVEN and not spec.use_subnormals
    is_flushed = has_number & may_flush & (wanted < spec.smallest_exponent) & (code == 0)
    if conversion.exponent_rule is ExponentRule.EVEN:
        is_flushed &= ~_any_element(answer, spec, blocks, size)
    unit = (code - spec.exponent_bias - spec.fraction_bits - conversion.post_truncate_bits)[:, None]
    if spec.sub_block_size is not None:
        shifts = answer["shifts"].astype(np.int64).reshape(-1, spec.shifts_per_block)
        unit = unit - np.repeat(shifts, spec.sub_block_size, axis=1)
    kept, whole, rest, sticky = split(mantissa, top, unit)
    return BlockFacts(
        problem,
        stimulus,
        answer,
        blocks,
        finite,
        infinite,
        negative,
        mantissa,
        top,
        cut,
        highest,
        wanted,
        code,
        is_nan,
        is_flushed,
        (mantissa != 0) & ~(is_nan | is_flushed)[:, None],
        kept,
        whole,
        rest,
        sticky | cut,
    )


def split(
    mantissa: UInt64Array, top: Int64Array, unit: Int64Array
) -> tuple[Int64Array, UInt64Array, UInt64Array, Mask]:
    """Divide normalised magnitudes by ``2 ** unit``; return bits of the integer part, it, 64 bits behind it, sticky.

    Examples
    --------
    >>> three_halves = np.array([3 << 62], np.uint64)
    >>> kept, whole, rest, sticky = split(three_halves, np.array([1]), np.array([0]))
    >>> kept.tolist(), whole.tolist(), hex(int(rest[0])), sticky.tolist()
    ([1], [1], '0x8000000000000000', [False])
    """
    bits = np.where(mantissa != 0, top - unit, 0)
    inside = np.clip(bits, 0, 63).astype(np.uint64)
    below = np.clip(-bits, 0, 63).astype(np.uint64)
    # A shift by 64 is two shifts.
    whole = (mantissa >> np.uint64(1)) >> (np.uint64(63) - inside)
    rest = np.where(bits >= 0, mantissa << inside, mantissa >> below)
    lost = (mantissa << np.uint64(1)) << (np.uint64(63) - below)
    sticky = np.where(bits < 0, lost != 0, False)
    is_tiny = -bits >= 64
    rest = np.where(is_tiny, np.uint64(0), rest)
    sticky = np.where(is_tiny, mantissa != 0, sticky)
    is_huge = bits > 63
    whole = np.where(is_huge, np.uint64(1 << 62), whole)
    rest = np.where(is_huge, np.uint64(0), rest)
    return bits, whole, rest, sticky


def numbers_encoded(problem: Problem, stimulus: Fields) -> tuple[Numbers, AnyArray]:
    """Return the exact numbers that are encoded, and which of them lose bits below 64."""
    if problem.unit == "encode":
        words = stimulus["x"].astype(np.uint64)
        return numbers_of(words, problem.kind, problem.target.conversion), np.zeros(words.shape, np.bool_)
    found = [operand_values(problem, stimulus, "a_", problem.a_flat)]
    if problem.b is not None:
        found.append(operand_values(problem, stimulus, "b_", problem.b_flat))
    shape = found[0].kinds.shape
    values, sums = OPERATIONS[problem.unit](*found)
    conversion = problem.target.conversion
    has_lost = sums.lost.shape == shape and not conversion.source_chain
    lost = sums.lost != 0 if has_lost else np.zeros(shape, np.bool_)
    take_rows(kernel_source(problem.source_kind, conversion), kernel_steps(conversion.source_chain), values)
    return values, lost


def by_block(array: AnyArray, blocks: int, size: int) -> AnyArray:
    """Return (vectors, elements) as (vectors * blocks, elements of a block); a short block ends with zeros."""
    missing = blocks * size - array.shape[1]
    padded = np.pad(array, ((0, 0), (0, missing))) if missing else array
    if missing and array.dtype == np.bool_:
        padded[:, array.shape[1] :] = False
    return padded.reshape(-1, size)


def _any_element(answer: Fields, spec: BFPSpec, blocks: int, size: int) -> Any:
    """Return which blocks have an element other than 0 and -0."""
    sign = 1 << spec.magnitude_bits if spec.encoding is Encoding.SIGN_MAGNITUDE else 0
    return by_block(answer["elements"] & ~np.uint64(sign) != 0, blocks, size).any(axis=1)


def wanted_exponents(problem: Problem, highest: Int64Array, largest: UInt64Array) -> Int64Array:
    """Return the exponent of the rule for the largest magnitudes (spec 3.5)."""
    spec, conversion = problem.target.format, problem.target.conversion
    bits = spec.magnitude_bits
    found = highest - bits + spec.fraction_bits + conversion.exponent_offset
    if conversion.exponent_rule is ExponentRule.RCEIL:
        found = found + (largest > np.uint64(spec.largest_significand << (64 - bits)))
    elif conversion.exponent_rule is ExponentRule.CEIL:
        found = found + (largest != HALF)
    return found


def exponent_steps(conversion: Conversion) -> tuple[int, ...]:
    """Return how far the exponent of a block may be from that with which the rule begins (spec 3.5)."""
    return {ExponentRule.EVEN: (0, 1), ExponentRule.LOWER_ERROR: (0, -1)}.get(conversion.exponent_rule, (0,))


def facts_at(problem: Problem, negative: Mask, mantissa: UInt64Array, top: Int64Array, units: Int64Array) -> BlockFacts:
    """Return the facts of numbers, each at a unit of its own, one block of all of them."""
    kept, whole, rest, sticky = split(mantissa, top, units)
    none, one = np.zeros(1, np.bool_), np.zeros(1, np.int64)
    yes = np.ones((1, len(top)), np.bool_)
    return BlockFacts(
        problem=problem,
        stimulus={},
        answer={},
        per_vector=1,
        finite=yes,
        infinite=~yes,
        negative=negative[None],
        mantissa=mantissa[None],
        top=top[None],
        lost=~yes,
        highest=one,
        wanted=one,
        code=one,
        is_nan=none,
        is_flushed=none,
        rounds=yes,
        kept_bits=kept[None],
        whole=whole[None],
        rest=rest[None],
        sticky=sticky[None],
    )
