"""Blocks of `encode` whose exponent, of the two that `lower_error` compares, one bit decides: bins (spec 12.10)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bfpemu.formats import Encoding, ExponentRule, Rounding, SignificandRange
from bfpemu.vectors.blocks.element_rounding import rounded
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, Mask, UInt64Array, split
from bfpemu.vectors.blocks.reach import Reach

_ONE, _WORD = np.uint64(1), (1 << 32) - 1


class Terms(NamedTuple):
    """What elements add to the sum of spec 3.5: ``whole - high / 2 ** 31 - low / 2 ** 63`` each.

    In units of the lower exponent, of which no more than 64 bits behind the point count.
    """

    whole: Int64Array
    high: Int64Array
    low: Int64Array

    def sums(self) -> Terms:
        """Return those of blocks."""
        return Terms(*(part.sum(axis=1, keepdims=True) for part in self))

    def signs(self) -> Int64Array:
        """Return -1, 0 and 1 for numbers below 0, for 0, and above."""
        high = self.high + (self.low >> 32)
        whole = self.whole - (high >> 31)
        is_less = (high & (_WORD >> 1) != 0) | (self.low & _WORD != 0)
        return np.where(whole == 0, -is_less.astype(np.int64), np.sign(whole))


def has_errors(reach: Reach) -> bool:
    """Whether a unit has these bins."""
    conversion = reach.problem.target.conversion
    plain = not (conversion.post_truncate_bits or conversion.exponent_offset)
    plain &= conversion.significand_range is not SignificandRange.FULL_IF_NEARER
    is_known = conversion.exponent_rule is ExponentRule.LOWER_ERROR and conversion.rounding is not Rounding.STOCHASTIC
    return reach.problem.unit == "encode" and is_known and plain and reach.problem.elements > 1


def error_things(reach: Reach) -> list[str]:
    """Return the names of all that may hold of one element."""
    kinds = [f"{bit}.{place}" for bit in ("has", "lacks") for place in ("within", "beyond")]
    return [f"{kind}.bit{depth}" for kind in kinds for depth in range(reach.precision)] + ["equal"]


def deciding(reach: Reach, facts: BlockFacts) -> Int64Array:
    """Return the numbers of `error_things` of every element, of shape (blocks, lanes, n); -1 for none."""
    found = np.full((*facts.mantissa.shape, reach.precision + 1), -1, np.int64)
    unit = (facts.wanted - 1 - reach.spec.fraction_bits)[:, None]
    kept, whole, rest, sticky = split(facts.mantissa, facts.top, unit)
    least, most = reach.lowered_ends
    known = facts.has_number & facts.finite.all(axis=1) & ~(sticky | facts.lost).any(axis=1)
    rows = np.flatnonzero(known & ~facts.is_nan & (least <= facts.wanted) & (facts.wanted <= most))
    found[rows] = _of_numbers(reach, facts.negative[rows], kept[rows], whole[rows], rest[rows])
    return found


def _of_numbers(reach: Reach, negative: Mask, kept: Int64Array, whole: UInt64Array, rest: UInt64Array) -> Int64Array:
    """Return the same of numbers in units of the lower exponent, `kept` bits before the point and `rest` behind it."""
    depths = reach.precision
    terms, differs = _terms(reach, negative, whole, rest)
    sums = terms.sums()
    is_lower = sums.signs() < 0
    is_beyond = (whole >= _largest(reach, negative)).astype(np.int64)
    found = np.full((*whole.shape, depths + 1), -1, np.int64)
    for depth in range(depths):
        bit = np.uint64(1 << (63 - depth))
        other, _ = _terms(reach, negative, whole, rest ^ bit)
        moved = Terms(*(sum_ - own + new for sum_, own, new in zip(sums, terms, other, strict=True)))
        decides = (whole | rest != 0) & (depth + kept < depths) & ((moved.signs() < 0) != is_lower)
        lacks = (rest & bit == 0).astype(np.int64)
        found[..., depth] = np.where(decides, (2 * lacks + is_beyond) * depths + depth, -1)
    found[..., -1] = np.where((sums.signs() == 0) & differs, 4 * depths, -1)
    return found


def _terms(reach: Reach, negative: Mask, whole: UInt64Array, rest: UInt64Array) -> tuple[Terms, Mask]:
    """Return what numbers add to the sum of errors, and which have other results at both exponents."""
    conversion, bits = reach.problem.target.conversion, reach.spec.magnitude_bits
    sign, none, most = negative.astype(np.int64), np.zeros(rest.shape, np.bool_), _largest(reach, negative)
    lower = np.minimum(rounded(conversion, bits, whole, rest, none, sign), most).astype(np.int64)
    halves = whole >> _ONE, (whole & _ONE) << np.uint64(63) | rest >> _ONE, rest & _ONE != 0
    upper = 2 * np.minimum(rounded(conversion, bits, *halves, sign), most).astype(np.int64)
    gain, high, low = lower - upper, rest >> np.uint64(32), rest & np.uint64(_WORD)
    integer = gain * (lower + upper - 2 * whole.astype(np.int64))
    return Terms(integer, gain * high.astype(np.int64), gain * low.astype(np.int64)), gain != 0


def _largest(reach: Reach, negative: Mask) -> UInt64Array:
    """Return the largest magnitudes of significands of these signs."""
    spec, conversion = reach.spec, reach.problem.target.conversion
    is_full = spec.encoding is Encoding.TWOS_COMPLEMENT and conversion.significand_range is SignificandRange.FULL
    of_negative = spec.largest_significand + is_full if spec.has_sign else 0
    return np.where(negative, np.uint64(of_negative), np.uint64(spec.largest_significand))
