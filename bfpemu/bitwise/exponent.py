"""The shared exponents of all blocks (spec 3.3, 3.5, 3.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bfpemu.bitwise.blocks import Blocks
from bfpemu.bitwise.operations import Array, Operations
from bfpemu.bitwise.plan import Plan
from bfpemu.bitwise.reading import Numbers
from bfpemu.bitwise.rounding import bit_length
from bfpemu.formats import (
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    ReservedExponent,
)


@dataclass(frozen=True, slots=True)
class Maximum:
    """The largest finite magnitudes of blocks or sub-blocks, normalised (spec 3.5)."""

    significand: Array
    """Between ``2 ** (width - 1)`` and ``2 ** width``, or 0."""
    top: Array
    """``floor(log2 amax)``; far below every exponent for a maximum of 0."""
    width: int


@dataclass(frozen=True, slots=True)
class Specials:
    """What NaN and infinities make of each block, by the policies that act after the chain (spec 3.3)."""

    nan: Array
    """Where every element becomes NaN: a NaN block, or an error that a traced program cannot raise."""
    zero: Array
    """Where every element becomes +0: the all-ones code of a format that reserves it for zeros."""
    infinite: Array
    """Where an infinity is left."""


@dataclass(frozen=True, slots=True)
class Exponents:
    """The exponent of each block, and what else became of it."""

    exponent: Array
    flushed: Array
    """Where all significands are 0, but for infinities under `saturate_element` (spec 3.5, 3.6)."""
    nan: Array
    """Where the exponent makes every element NaN (spec 3.6, 14.5)."""


_FAR_BELOW = -(1 << 20)
"""Below every exponent of a number or a format."""


def maximum_of(do: Operations, numbers: Numbers, axes: tuple[int, ...]) -> Maximum:
    """Return the largest magnitudes along `axes`: the largest top, and the largest significand that has it."""
    length = bit_length(do, numbers.significand, numbers.width)
    tops = do.where(length == 0, _FAR_BELOW, numbers.exponent + length - 1)
    top = do.largest(tops, axes)
    aligned = do.shift_left(numbers.significand, numbers.width - length)
    significand = do.largest(do.where(tops == top, aligned, 0), axes)
    return Maximum(significand, top, numbers.width)


def maximum_of_blocks(do: Operations, maximum: Maximum, axes: tuple[int, ...]) -> Maximum:
    """Return the maxima of blocks from those of their sub-blocks."""
    top = do.largest(maximum.top, axes)
    significand = do.largest(do.where(maximum.top == top, maximum.significand, 0), axes)
    return Maximum(significand, top, maximum.width)


def exponent_over_top(plan: Plan) -> int:
    """Return what the rule `floor` adds to ``floor(log2 amax)``; other rules add at most one more (spec 3.5)."""
    spec = plan.preset.format
    return 1 - spec.magnitude_bits + spec.fraction_bits + plan.preset.conversion.exponent_offset


def exponent_from_maximum(do: Operations, maximum: Maximum, plan: Plan) -> Array:
    """Return the exponent that the largest magnitude alone gives, offset included (spec 3.5)."""
    spec, conversion = plan.preset.format, plan.preset.conversion
    base = maximum.top + exponent_over_top(plan)
    if conversion.exponent_rule is ExponentRule.CEIL:
        larger = maximum.significand != (1 << (maximum.width - 1))
    elif conversion.exponent_rule is ExponentRule.RCEIL and spec.magnitude_bits < maximum.width:
        # A significand of no more bits than the largest element has can not be above it.
        larger = maximum.significand > (spec.largest_significand << (maximum.width - spec.magnitude_bits))
    else:
        return base
    return base + do.integers(larger, plan.lane)


def any_of(do: Operations, mask: Array, axes: tuple[int, ...], lane: int) -> Array:
    """Return where a mask holds for any element along `axes`, which stay."""
    return do.largest(do.integers(mask, lane), axes) != 0


def specials_of(do: Operations, is_nan: Array, is_infinite: Array, blocks: Blocks, plan: Plan) -> Specials:
    """Return what NaN and infinities among the elements make of each block (spec 3.3, 14.5).

    Short blocks must have been filled up by NaN under the policy `zero_unless_all`.
    """
    spec, conversion = plan.preset.format, plan.preset.conversion
    axes, reserved = blocks.inner_axes, spec.exponent_reserved
    infinite = any_of(do, is_infinite, axes, plan.lane)
    nothing = infinite & ~infinite
    nan = zero = nothing
    if conversion.nan is NanPolicy.ZERO_UNLESS_ALL:
        only_nan = ~any_of(do, ~is_nan, axes, plan.lane)
        if reserved is ReservedExponent.ZERO:
            zero = only_nan
        else:
            nan = only_nan
    elif conversion.nan in (NanPolicy.BLOCK, NanPolicy.ERROR):
        nan = any_of(do, is_nan, axes, plan.lane)
    if conversion.infinity in (InfinityPolicy.BLOCK, InfinityPolicy.ERROR):
        nan = nan | infinite
    if conversion.infinity in (InfinityPolicy.BLOCK, InfinityPolicy.ERROR, InfinityPolicy.ZERO):
        infinite = nothing
    return Specials(nan, zero, infinite)


def exponents_of(
    do: Operations,
    maximum: Maximum,
    infinite: Array,
    plan: Plan,
    *,
    given: Array | None = None,
    revised: Callable[[Array], Array] | None = None,
) -> Exponents:
    """Return the exponent of each block after 3.6.

    Parameters
    ----------
    do : Operations
    maximum : Maximum
        Of the blocks.
    infinite : mask
        The blocks with an infinity that saturates.
    plan : Plan
    given : integers of the lane, optional
        Exponents, for the rule `given`.
    revised : callable, optional
        For rules that look at all elements once more: from the exponents of `floor` to those of the rule.
    """
    spec, conversion = plan.preset.format, plan.preset.conversion
    smallest, largest = spec.smallest_exponent, spec.largest_exponent
    all_zero = maximum.significand == 0
    if given is not None:
        outside = (given < smallest) | (given > largest)
        exponent = do.minimum(do.maximum(given, smallest), largest)
        return Exponents(exponent, outside & ~outside, outside)
    wanted = exponent_from_maximum(do, maximum, plan)
    if revised is not None:
        wanted = revised(wanted)
    takes_largest = infinite if conversion.infinity is InfinityPolicy.SATURATE else infinite & all_zero
    wanted = do.where(takes_largest, largest, wanted)
    empty = all_zero & ~takes_largest
    too_large = (wanted > largest) & ~empty
    nan = too_large & ~too_large if conversion.exponent_overflow is ExponentOverflow.SATURATE else too_large
    flushed = empty if spec.use_subnormals else empty | (wanted < smallest)
    exponent = do.minimum(do.maximum(wanted, smallest), largest)
    if conversion.zero_exponent is not None:
        exponent = do.where(empty, conversion.zero_exponent, exponent)
    else:
        exponent = do.where(empty, smallest, exponent)
    return Exponents(exponent, flushed, nan)


def shift_codes_of(do: Operations, parts: Maximum, infinite: Array, found: Exponents, plan: Plan) -> Array:
    """Return the shift code of each sub-block, from its maximum and whether it holds an infinity (spec 3.10)."""
    largest = plan.preset.format.largest_shift
    shift = found.exponent - exponent_from_maximum(do, parts, plan)
    shift = do.minimum(do.maximum(shift, 0), largest)
    shift = do.where(parts.significand == 0, largest, shift)
    if plan.preset.conversion.infinity is InfinityPolicy.SATURATE:
        shift = do.where(infinite, 0, shift)
    return do.where(found.flushed, 0, shift)
