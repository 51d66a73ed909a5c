"""Words of a float as signs, significands and exponents (spec 3.2, 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from bfpemu.bitwise.operations import Array, Operations
from bfpemu.bitwise.plan import Plan
from bfpemu.formats import InfinityPolicy, NanPolicy, SourceSubnormals


@dataclass(frozen=True, slots=True)
class Numbers:
    """Values between reading and rounding: ``±significand * 2 ** exponent``, or what the masks say."""

    negative: Array
    significand: Array
    """0 wherever the value is infinite or NaN."""
    exponent: Array
    """Of the lowest bit of the significand."""
    infinite: Array
    nan: Array
    width: int
    """Bits that hold every significand."""


def read(operations: Operations, words: Array, plan: Plan) -> Numbers:
    """Read words by the policies that act while reading (spec 3.2, 3.3)."""
    do, conversion = operations, plan.preset.conversion
    point = plan.fraction_bits
    hidden, lowest = 1 << point, plan.bias + point
    magnitude = words & ~plan.sign_word
    field, fraction = do.shift_right(magnitude, point), magnitude & (hidden - 1)
    is_special = magnitude >= plan.infinity_word
    nan, infinite = magnitude > plan.infinity_word, magnitude == plan.infinity_word
    is_subnormal = field == 0
    significand = do.where(
        is_subnormal, _subnormal(do, fraction, hidden, conversion.source_subnormals), fraction | hidden
    )
    shifted = conversion.source_subnormals in (SourceSubnormals.HALF, SourceSubnormals.HIDDEN_ONE)
    exponent = (field if shifted else do.maximum(field, 1)) - lowest
    significand = do.where(is_special, 0, significand)
    top = _exponent_of_specials(plan) - point
    if conversion.nan is NanPolicy.NUMBER:
        significand = do.where(nan, fraction | hidden, significand)
        exponent = do.where(nan, top, exponent)
        nan = nan & ~nan
    elif conversion.nan is NanPolicy.INFINITY:
        infinite, nan = is_special, nan & ~nan
    if conversion.infinity is InfinityPolicy.NUMBER:
        significand = do.where(infinite, hidden, significand)
        exponent = do.where(infinite, top, exponent)
        infinite = infinite & ~infinite
    return Numbers(words < 0, significand, exponent, infinite, nan, point + 1)


def _subnormal(do: Operations, fraction: Array, hidden: int, policy: SourceSubnormals) -> Array:
    """Return the significand of a word whose exponent field is 0 (spec 3.2)."""
    if policy is SourceSubnormals.FLUSH:
        return fraction & 0
    if policy is SourceSubnormals.HIDDEN_ONE:
        return do.where(fraction == 0, 0, fraction | hidden)
    return fraction


def _exponent_of_specials(plan: Plan) -> int:
    """Return ``E``, one above the largest exponent of the first source step, or of the dtype (spec 3.3)."""
    chain = plan.preset.conversion.source_chain
    return chain[0].maximum_exponent + 1 if chain else plan.bias + 1
