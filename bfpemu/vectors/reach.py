"""What a source can bring about in a format, and so which bins cannot occur (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bfpemu.formats import (
    BFPSpec,
    DecodeUnderflow,
    Encoding,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NegativeZeroCode,
    StepOverflow,
    StepUnderflow,
)
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.source_numbers import chain_tops, operand_tops, source_tops, tops_read

_RULES_OF_MAXIMUM = (ExponentRule.RCEIL, ExponentRule.FLOOR, ExponentRule.CEIL)


@dataclass(frozen=True)
class Reach:
    """The numbers that a unit encodes."""

    problem: Problem

    @property
    def spec(self) -> BFPSpec:
        """The format of the result."""
        return self.problem.target.format

    @cached_property
    def precision(self) -> int:
        """Bits from the first to the last bit of a number that is encoded; a sum may have any number of them."""
        problem = self.problem
        steps = [step.fraction_bits + 1 for step in problem.target.conversion.source_chain]
        return min([self._precision_read, *steps])

    @property
    def _precision_read(self) -> int:
        """Bits of a number before the source chain."""
        problem = self.problem
        if problem.unit == "encode":
            return problem.kind.fraction_bits + 1
        # The least significand of two's complement has one bit more, and all others of its bits are 0.
        a = problem.a_flat.format.magnitude_bits
        if problem.unit == "requantize":
            return a
        b = problem.b_flat.format.magnitude_bits
        return a + b if problem.unit == "multiply" else 1 << 20

    @cached_property
    def largest_accepted_top(self) -> int:
        """``floor(log2)`` of the largest number that `encode` is given: what the conversion refuses lies above."""
        conversion = self.problem.target.conversion
        most = 1 << 14
        if conversion.exponent_overflow is ExponentOverflow.ERROR and not self.is_given:
            # One for a carry of the rounding, one for a rule that raises an exponent afterwards.
            most = self.spec.largest_exponent - self.wanted(0, is_largest=True) - 2
        if self.problem.refuses_infinity:
            for step in conversion.source_chain:
                if step.overflow is StepOverflow.INFINITY:
                    most = min(most, step.maximum_exponent - 1)
        return most

    @cached_property
    def tops(self) -> tuple[int, int]:
        """``floor(log2)`` of the smallest and of the largest magnitude other than 0."""
        problem = self.problem
        if problem.unit == "encode":
            smallest, largest = source_tops(problem.kind, problem.target.conversion)
            return smallest, min(largest, self.largest_accepted_top)
        ends = [operand_tops(preset.format) for preset in (problem.a_flat, problem.b and problem.b_flat) if preset]
        if problem.unit == "multiply":
            high = ends[0][1] + ends[1][1] + (not self.largest_is_power)
        else:
            high = max(end[1] for end in ends) + (problem.unit == "add")
        return chain_tops(self.lowest_read, high, problem.target.conversion.source_chain)

    @property
    def lowest_read(self) -> int:
        """``floor(log2)`` of the smallest result other than 0, before a source chain."""
        problem = self.problem
        lows = [operand_tops(preset.format)[0] for preset in (problem.a_flat, problem.b and problem.b_flat) if preset]
        return sum(lows) if problem.unit == "multiply" else min(lows)

    def wanted(self, top: int, *, is_power: bool = False, is_largest: bool = False) -> int:
        """Return the exponent of the rule for a largest magnitude of ``floor(log2)`` `top` (spec 3.5)."""
        spec, conversion = self.spec, self.problem.target.conversion
        found = top + 1 - spec.magnitude_bits + spec.fraction_bits + conversion.exponent_offset
        if conversion.exponent_rule is ExponentRule.CEIL:
            return found + (not is_power)
        needs_more = is_largest and self.precision > spec.magnitude_bits
        return found + (conversion.exponent_rule is ExponentRule.RCEIL and needs_more)

    @cached_property
    def wanted_ends(self) -> tuple[int, int]:
        """The smallest and the largest exponent that the rule gives."""
        low, high = self.tops
        if self.largest_is_power:
            return self.wanted(low, is_power=True), self.wanted(high, is_power=True)
        return self.wanted(low, is_power=True), self.wanted(high, is_largest=True)

    @property
    def largest_is_power(self) -> bool:
        """Whether the largest magnitude is a power of two, as products and sums of the least significands are."""
        problem = self.problem
        if problem.unit == "encode":
            return False
        operands = [problem.a_flat.format] + ([problem.b_flat.format] if problem.b else [])
        return all(spec.encoding is Encoding.TWOS_COMPLEMENT for spec in operands)

    @property
    def excess(self) -> int:
        """How far the exponent of the rule can be above the largest."""
        return self.wanted_ends[1] - self.spec.largest_exponent

    @property
    def is_given(self) -> bool:
        """Whether exponents are supplied."""
        return self.problem.needs_exponents

    @property
    def clamps_above(self) -> bool:
        """Whether elements can be too large for the largest exponent."""
        conversion = self.problem.target.conversion
        if self.is_given:
            return True
        saturates = conversion.exponent_overflow is ExponentOverflow.SATURATE
        return saturates and self.wanted_ends[1] > self.spec.largest_exponent

    @property
    def flushes(self) -> bool:
        """Whether the exponent of a block can be below the smallest."""
        return not self.is_given and self.wanted_ends[0] < self.spec.smallest_exponent

    @property
    def is_above(self) -> bool:
        """Whether an exponent can be above the largest."""
        return not self.is_given and self.wanted_ends[1] > self.spec.largest_exponent

    def why_no_exponent(self, exponent: int) -> str | None:
        """Return why the rule never gives an exponent, or None when it may."""
        if self.is_given:
            return None
        low, high = self.wanted_ends
        if low <= exponent <= high:
            return self._why_in_gap(exponent)
        what = self.problem.dtype if self.problem.unit == "encode" else f"{self.problem.unit} of these formats"
        return f"the rule gives the exponents {low} to {high} for {what}"

    def _why_in_gap(self, exponent: int) -> str | None:
        if self.problem.unit != "encode" or all(self.has_top(top) for top in range(self.tops[0], self.tops[1] + 1)):
            return None
        for top in range(self.tops[0], self.tops[1] + 1):
            if self.has_top(top) and self.wanted(top, is_power=True) <= exponent <= self.wanted(top, is_largest=True):
                return None
        return f"no {self.problem.dtype} is read as a number of this binade"

    def has_top(self, top: int) -> bool:
        """Whether a number that is encoded has this ``floor(log2)``; of results any in their range."""
        problem = self.problem
        is_read = problem.unit != "encode" or top in tops_read(problem.kind, problem.target.conversion)
        return is_read and self.tops[0] <= top <= self.tops[1]

    @property
    def most_kept_bits(self) -> int:
        """The largest number of bits before the binary point of a wide element that the rule leaves."""
        conversion = self.problem.target.conversion
        return self.spec.magnitude_bits + conversion.post_truncate_bits - conversion.exponent_offset

    @cached_property
    def widest_distance(self) -> int:
        """The most binades that an element lies below the largest of its block."""
        problem, low_high = self.problem, self.tops
        if problem.unit == "encode":
            return low_high[1] - low_high[0]
        if problem.unit == "add":
            a, b = operand_tops(problem.a_flat.format), operand_tops(problem.b_flat.format)
            return min(max(a[1] - b[0], b[1] - a[0]), low_high[1] - low_high[0])
        operands = [problem.a_flat.format] + ([problem.b_flat.format] if problem.b else [])
        size = self.spec.elements_per_block or 1
        if any((spec.elements_per_block or 1) % size for spec in operands):
            return low_high[1] - low_high[0]
        return min(sum(_spread(spec) for spec in operands), low_high[1] - low_high[0])

    @property
    def widest_in_sub_block(self) -> int:
        """The most binades between elements that every operand has in one sub-block, if there are others beside one."""
        problem = self.problem
        operands = [preset.format for preset in (problem.a_flat, problem.b and problem.b_flat) if preset]
        sizes = [spec.sub_block_size or spec.elements_per_block or 1 for spec in operands]
        if problem.unit in ("encode", "add") or min(sizes) == 1:
            return self.widest_distance
        return min(self.widest_distance, sum(_spread(spec) - spec.largest_shift for spec in operands))

    @property
    def depth(self) -> int:
        """How deep bits below the place of rounding are looked for."""
        problem = self.problem
        if problem.unit == "add":
            return problem.a_flat.format.mantissa_bits + problem.b_flat.format.mantissa_bits
        return self.precision

    @property
    def is_loose(self) -> bool:
        """Whether the numbers of one block lie at any distance from each other."""
        problem, conversion = self.problem, self.problem.target.conversion
        operands = [problem.a_flat.format] + ([problem.b_flat.format] if problem.b else [])
        size = self.spec.elements_per_block or 1
        counts = conversion.infinity is InfinityPolicy.NUMBER
        far = [NegativeZeroCode.ALL_ONES_EXPONENT, *([NegativeZeroCode.NEGATIVE_INFINITY] if counts else [])]
        return any(
            (spec.elements_per_block or 1) % size
            or spec.decode_underflow is DecodeUnderflow.WRAP
            or spec.negative_zero_code in far
            for spec in operands
        )

    def why_not_so_low(self, places: int, *, alone: bool = False) -> str | None:
        """Return why no element has a bit so many places below the last kept one, perhaps alone, or None."""
        lowest_bit = self.tops[0] if alone else self.lowest_bit
        bits = self.spec.fraction_bits + self.problem.target.conversion.post_truncate_bits
        most = self.spec.largest_exponent if self.is_given else min(self.wanted_ends[1], self.spec.largest_exponent)
        if most - bits - places < lowest_bit:
            return f"no number has a bit below 2 ** {lowest_bit}"
        least = self.spec.smallest_exponent - bits - self.spec.largest_shift
        keeps_low = self.flushes and self.spec.use_subnormals and least - places >= lowest_bit
        if self.is_given or self.is_loose or keeps_low:
            return None
        # A chain that makes zeros of small numbers leaves bits far below the smallest number.
        lowest = self.widest_distance + self.tops[0] - lowest_bit
        if self.problem.unit == "encode":  # elements far above the largest exponent do not move the unit further up
            lowest -= max(self.excess, 0)
        if self.most_kept_bits - 1 + places <= lowest:
            return None
        return f"the bits of a block lie within {lowest + 1} places"

    @cached_property
    def lowest_bit(self) -> int:
        """The place of the lowest bit that a number has."""
        chain = self.problem.target.conversion.source_chain
        is_cut = any(step.underflow is not StepUnderflow.GRADUAL for step in chain)
        return self.tops[0] - (min(self.precision, 64) - 1 if is_cut else 0)

    def why_no_low_bits(self, depth: int) -> str | None:
        """Return why no sum has a pattern of so many bits behind its guard bit, or None when one may.

        Where the operands' bits do not meet, the lower operand alone gives all bits below the unit, when
        every unit is at most that of the higher operand.
        """
        problem, rule = self.problem, self.problem.target.conversion.exponent_rule
        if problem.unit != "add" or self.is_given or self.is_loose or self.is_two_level:
            return None
        a, b = problem.a_flat.format, problem.b_flat.format
        same_range = self.spec.smallest_exponent - self.spec.fraction_bits <= a.smallest_exponent - a.fraction_bits
        if a != b or rule is not ExponentRule.FLOOR or a.encoding is Encoding.TWOS_COMPLEMENT or not same_range:
            return None
        largest, bits = a.largest_significand, a.magnitude_bits
        offset = problem.target.conversion.exponent_offset - problem.target.conversion.post_truncate_bits
        widths = [
            ((largest << step) + largest).bit_length() - self.spec.magnitude_bits + offset for step in range(bits + 2)
        ]
        if widths[-1] > bits + 1 or depth < max(widths):
            return None
        return "the bits of a sum below its unit are those of one operand, or fewer"

    @property
    def is_two_level(self) -> bool:
        """Whether a format has shift codes."""
        return bool(self.spec.sub_shift_bits) or (self.problem.unit != "encode" and self._shifts)

    def why_no_cell(self, kept: int, guard: bool, below: bool, odd: bool) -> str | None:
        """Return why no number has such bits around the place where it is rounded, or None."""
        if kept == 0 and odd:
            return "an integer part of 0 is even"
        if kept == 0 and not guard and not below:
            return "a number other than 0 has a bit"
        if kept == 1 and not odd:
            return "an integer part of one bit is 1"
        last = max((place for place, isset in ((kept, odd), (kept + 1, guard), (kept + 2, below)) if isset), default=0)
        if kept and last > self.precision:
            return f"a number here has {self.precision} bits, and this needs {last}"
        too_low = self.why_not_so_low(2 if below else 1 if guard else 0)
        if too_low:
            return too_low
        if self.clamps_above or self.is_given or kept < self.most_kept_bits:
            return None
        if kept > self.most_kept_bits:
            return f"the rule leaves at most {self.most_kept_bits} bits before the binary point"
        rule = self.problem.target.conversion.exponent_rule
        bits = self.spec.magnitude_bits
        if rule is ExponentRule.RCEIL and (guard or below) and (bits == 1 or (bits == 2 and odd)):
            return "the rule rceil leaves no number above the largest significand"
        if rule is ExponentRule.CEIL and (guard or below or odd):
            return "the rule ceil leaves a power of two alone with so many bits"
        return None

    @cached_property
    def products(self) -> frozenset[tuple[int, int, bool, bool]] | None:
        """What products of narrow significands are, cut anywhere, or None where they are too many to look at.

        (integer part, quarters of the rest, whether it is exactly these, whether the product is negative).
        """
        if self.problem.unit != "multiply":
            return None
        ranges = [preset.format.significand_ends for preset in (self.problem.a_flat, self.problem.b_flat)]
        if max(-low for low, _ in ranges) > 1 << 8 or max(high for _, high in ranges) >= 1 << 8:
            return None
        (low_a, high_a), (low_b, high_b) = ranges
        every = {x * y for x in range(low_a, high_a + 1) for y in range(low_b, high_b + 1)} - {0}
        found = set()
        for product in every:
            for shift in range(abs(product).bit_length() + 3):
                fours = abs(product) << 2
                quarters = fours >> shift
                found.add((quarters >> 2, quarters & 3, quarters << shift == fours, product < 0))
        return frozenset(found)

    def why_no_product(self, wholes: Callable[[int], bool], rests: set[tuple[int, bool]], negative: bool) -> str | None:
        """Return why no product, cut anywhere, has such an integer part and rest, or None when it may."""
        is_cut = self.precision < self._precision_read
        if self.products is None or self.problem.target.format.sub_shift_bits or self._shifts or is_cut:
            return None
        for whole, quarters, exact, sign in self.products:
            if sign == negative and (quarters, exact) in rests and wholes(whole):
                return None
        return "no product of two significands has these bits there"

    def odd_factors(self, residue: int, places: int) -> npt.NDArray[np.int64]:
        """Return the odd positive significands, shape (2, n), whose products end in so many places with some bits.

        Examples
        --------
        >>> from bfpemu.catalog import resolve
        >>> Reach(Problem("multiply", resolve("5x4"))).odd_factors(0b1000001, 62).tolist()
        [[5, 13], [13, 5]]
        """
        high_a, high_b = (preset.format.largest_significand for preset in (self.problem.a_flat, self.problem.b_flat))
        x = np.arange(1, high_a + 1, 2, dtype=np.uint64)
        inverse = x.copy()
        for _ in range(5):  # each step doubles the number of right bits, of which there are three at first
            inverse *= np.uint64(2) - x * inverse
        y = inverse * np.uint64(residue) & np.uint64((1 << places) - 1)
        fits = y <= np.uint64(high_b)
        return np.stack([x[fits], y[fits]]).astype(np.int64)

    def why_no_end(self, residue: int, places: int) -> str | None:
        """Return why no product has certain last bits, before zeros, or None when one may."""
        if self.problem.unit != "multiply" or self._shifts or self.precision < self._precision_read:
            return None
        if self.odd_factors(residue, places).size:
            return None
        return "no product of two significands has these bits"

    def why_no_pair(self, distance: int) -> str | None:
        """Return why no product ends with two ones so far from each other, and zeros between, or None when one may."""
        if self.products is None or self._shifts or self.precision < self._precision_read:
            return self.why_no_end((1 << distance) + 1, distance + 1)
        ends = (1 << (distance + 1)) - 1, 1 << distance | 1
        if any(whole & ends[0] == ends[1] for whole, quarters, exact, _ in self.products if exact and not quarters):
            return None
        return "no product of two significands has these bits"

    @property
    def _shifts(self) -> bool:
        operands = [self.problem.a_flat, *([self.problem.b_flat] if self.problem.b else [])]
        return any(preset.format.sub_shift_bits for preset in operands)

    @property
    def follows_maximum(self) -> bool:
        """Whether the largest magnitude alone gives the exponent."""
        return self.problem.target.conversion.exponent_rule in _RULES_OF_MAXIMUM


def _spread(spec: BFPSpec) -> int:
    """Return how many binades the values of one block span."""
    if spec.decode_underflow is DecodeUnderflow.WRAP:
        low, high = operand_tops(spec)
        return high - low
    full = spec.encoding is Encoding.TWOS_COMPLEMENT
    return spec.magnitude_bits - 1 + full + spec.largest_shift
