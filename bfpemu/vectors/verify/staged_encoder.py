"""An encoder of blocks whose stages can be changed one by one, for guesses about devices (spec 12.12)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Self

import numpy as np

from bfpemu.formats import Encoding, ExponentRule, InfinityPolicy, Rounding, SignificandRange
from bfpemu.vectors.blocks.element_rounding import goes_away
from bfpemu.vectors.blocks.facts import FAR, BlockFacts, Int64Array, Mask, UInt64Array, by_block, split
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import Bytes, Fields

Fault = tuple[str, Callable[[], Bytes]]
"""What is different, and how to make the words that come of it."""

_RULES = (ExponentRule.RCEIL, ExponentRule.FLOOR, ExponentRule.CEIL)


class Wraps(StrEnum):
    """Which significands lose their upper bits where they are too large, and do not saturate."""

    NONE = "none"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    BOTH = "both"
    LEAST = "least"
    """Positive ones become one more than the largest, which is the code of the least."""


class Rest(NamedTuple):
    """What an encoder knows of each number when it rounds, shape (blocks, elements of a block)."""

    kept_bits: Int64Array
    whole: UInt64Array
    rest: UInt64Array
    """The first 64 bits behind the binary point."""
    sticky: Mask
    """Whether any bit after those is set."""


def is_staged(problem: Problem) -> bool:
    """Return whether the stages of a unit are those that `StagedEncoder` has."""
    if problem.unit not in ("encode", "add", "multiply", "requantize"):
        return False
    conversion = problem.target.conversion
    return (
        problem.target.format.sub_block_size is None
        and conversion.exponent_rule in _RULES
        and conversion.rounding is not Rounding.STOCHASTIC
        and conversion.alignment_bits is None
        and conversion.ignored_bit is None
        and conversion.post_truncate_bits == 0
    )


class StagedEncoder:
    """Blocks of some vectors, and what becomes of them when a stage does something else.

    Parameters
    ----------
    facts : BlockFacts
        Of what is encoded.
    right : Fields
        The expected items. NaN blocks, infinities and zeros stay as they are there.
    sets_exponent : bool array, shape (blocks,), optional
        Which blocks have another exponent than that of the rule; of `right` unless given.
    """

    def __init__(self, facts: BlockFacts, right: Fields, sets_exponent: Mask | None = None) -> None:
        self.facts, self.right, self.problem = facts, right, facts.problem
        self.spec, self.conversion = self.problem.target.format, self.problem.target.conversion
        size = facts.mantissa.shape[1]
        self.elements = by_block(right["elements"].astype(np.int64), facts.per_vector, size)
        sign = 1 << (self.spec.mantissa_bits - 1) if self.spec.encoding is Encoding.SIGN_MAGNITUDE else 0
        # A number that becomes 0 keeps its sign or not as the conversion says, and so as the right word has it.
        self.zeros = np.where(self.elements & ~sign == 0, self.elements, 0)
        self.sets_exponent = self._other_exponents() if sets_exponent is None else sets_exponent
        self.roundings = (self.conversion.rounding, self.conversion.rounding)
        """Of numbers above and below 0."""
        self.beyond: Int64Array | None = None
        """Element codes in place of those whose significands are too large, shape (blocks, elements of a block)."""

    def rounding_by(self, above: Rounding, below: Rounding) -> Self:
        """Return an encoder that rounds numbers above 0, and those below, by other modes."""
        other = copy.copy(self)
        other.roundings = (above, below)
        return other

    def with_beyond(self, given: Fields) -> Self:
        """Return an encoder whose significands that are too large are those that a device gives."""
        other = copy.copy(self)
        other.beyond = by_block(given["elements"].astype(np.int64), self.facts.per_vector, self.elements.shape[1])
        return other

    def _other_exponents(self) -> Mask:
        """Return which blocks have the exponent of a NaN block or of an infinity."""
        facts = self.facts
        takes_largest = self.conversion.infinity is InfinityPolicy.SATURATE
        found: Mask = (
            (self.codes(facts.wanted) != facts.code) | facts.is_nan | facts.infinite.any(axis=1) & takes_largest
        )
        return found

    def codes(self, wanted: Int64Array) -> Int64Array:
        """Return the exponent codes of exponents that the rule gives (spec 3.6)."""
        spec = self.spec
        inside = np.clip(wanted, spec.smallest_exponent, spec.largest_exponent) + spec.exponent_bias
        return np.where(self.flushes(wanted), 0, inside)

    def flushes(self, wanted: Int64Array) -> Mask:
        """Return which exponents flush their blocks (spec 3.6)."""
        is_zero = wanted < -FAR // 2  # no number takes part in the exponent
        found: Mask = is_zero | (wanted < self.spec.smallest_exponent) & (not self.spec.use_subnormals)
        return found

    def chosen(self, wanted: Int64Array) -> Int64Array:
        """Return exponent codes, those of blocks whose exponent something else sets as they are."""
        return np.where(self.sets_exponent, self.facts.code, self.codes(wanted))

    def rest(self, exponents: Int64Array, mantissa: UInt64Array | None = None, top: Int64Array | None = None) -> Rest:
        """Return numbers in units of exponents, those of the blocks or others."""
        facts = self.facts
        mantissa, top = facts.mantissa if mantissa is None else mantissa, facts.top if top is None else top
        kept, whole, rest, sticky = split(mantissa, top, (exponents - self.spec.fraction_bits)[:, None])
        return Rest(kept, whole, rest, sticky | facts.lost)

    def moved(self, places: Int64Array) -> Rest:
        """Return numbers that lie some places higher, in units of the exponents of their blocks."""
        return self.rest(self.facts.code - self.spec.exponent_bias, top=self.facts.top + places)

    def words(
        self,
        wanted: Int64Array | None = None,
        *,
        codes: Int64Array | None = None,
        rest: Rest | None = None,
        numbers: Mask | None = None,
        wraps: Wraps = Wraps.NONE,
    ) -> Bytes:
        """Return whole words, of other exponents of the rule, of other codes for them, or of other numbers.

        `numbers` says which elements are rounded, where these are others than the finite ones that are not 0.
        """
        facts = self.facts
        wanted = facts.wanted if wanted is None else wanted
        chosen = self.chosen(wanted)
        flushed = np.where(self.sets_exponent, facts.is_flushed, self.flushes(wanted))
        rest = rest or self.rest(chosen - self.spec.exponent_bias)
        is_number = (facts.nonzero if numbers is None else numbers) & ~(facts.is_nan | flushed)[:, None]
        kept = np.where(facts.finite, np.where(flushed[:, None], 0, self.zeros), self.elements)
        elements = np.where(is_number, self._rounded(rest, wraps), kept)
        return self.packed(elements, chosen if codes is None else codes)

    def packed(self, elements: Int64Array, codes: Int64Array) -> Bytes:
        """Return the words of element codes and exponent codes of blocks."""
        rows = elements.reshape(-1, self.facts.per_vector * elements.shape[1])[:, : self.problem.elements]
        exponents = codes.reshape(len(rows), -1) & self.spec.all_ones_code
        return self.problem.expected.pack(
            {**self.right, "elements": rows.astype(np.uint64), "exponents": exponents.astype(np.uint64)}
        )

    def _rounded(self, found: Rest, wraps: Wraps) -> Int64Array:
        """Return element codes of numbers (spec 3.7, 3.8)."""
        negative, spec = self.facts.negative, self.spec
        above, below = self.roundings
        away = goes_away(above, found.whole, found.rest, found.sticky, negative)
        if below is not above:
            away = np.where(negative, goes_away(below, found.whole, found.rest, found.sticky, negative), away)
        exact = (found.whole + away).astype(np.int64)
        is_full = (
            spec.encoding is Encoding.TWOS_COMPLEMENT
            and self.conversion.significand_range is SignificandRange.FULL
            and spec.has_sign
        )
        largest = spec.largest_significand + (is_full & negative | (wraps == Wraps.LEAST) & ~negative)
        saturates = np.where(negative, wraps not in ("negative", "both"), wraps not in ("positive", "both"))
        codes = self._codes(np.where(saturates, np.minimum(exact, largest), exact), negative)
        return codes if self.beyond is None else np.where(exact > largest, self.beyond, codes)

    def _codes(self, magnitude: Int64Array, negative: Mask) -> Int64Array:
        spec = self.spec
        mask = (1 << spec.mantissa_bits) - 1
        if spec.encoding is Encoding.TWOS_COMPLEMENT:
            return np.where(negative, -magnitude, magnitude) & mask
        if spec.encoding is Encoding.UNSIGNED:
            return np.where(negative, 0, magnitude & mask)
        sign = 1 << (spec.mantissa_bits - 1)
        return np.where(magnitude == 0, self.zeros, negative * sign | magnitude & (sign - 1))
