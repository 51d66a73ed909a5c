"""What a source can bring about in a format, and so which bins cannot occur (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bfpemu.formats import (
    Encoding,
    ExponentRule,
)
from bfpemu.vectors.blocks.block_range import BlockRange
from bfpemu.vectors.blocks.facts import exponent_steps
from bfpemu.vectors.blocks.source_numbers import numbers_of


@dataclass(frozen=True)
class Reach(BlockRange):
    """Why some numbers of a unit never meet some place where they are rounded."""

    def why_no_exponent(self, exponent: int, *, of_block: bool = False) -> str | None:
        """Return why the rule, or with `of_block` a block with a number, never has an exponent, or None when it may.

        The rule is `floor` in place of those that look at every element.
        """
        if self.is_given:
            return None
        low, high = self.exponent_ends if of_block else self.wanted_ends
        if of_block and self.infinity_lifts and self.highest_of_numbers < exponent < self.spec.largest_exponent:
            return f"numbers give exponents up to {self.highest_of_numbers}, and an infinity the largest"
        if low <= exponent <= high:
            return self._why_in_gap(exponent, of_block=of_block)
        what = self.problem.dtype if self.problem.unit == "encode" else f"{self.problem.unit} of these formats"
        return f"the rule gives the exponents {low} to {high} for {what}"

    def _why_in_gap(self, exponent: int, *, of_block: bool) -> str | None:
        tops = range(self.tops[0], self.tops[1] + 1)
        if self.problem.unit != "encode" or all(map(self.has_top, tops)):
            return None
        ends = [
            (self.wanted(top, is_power=True), self.wanted(top, is_largest=True)) for top in tops if self.has_top(top)
        ]
        if any(low <= wanted <= high for low, high in ends for wanted in self._floors_of(exponent, of_block=of_block)):
            return None
        return f"no {self.problem.dtype} is read as a number of this binade"

    def _floors_of(self, exponent: int, *, of_block: bool) -> list[int]:
        """Return the exponents that the rule may begin with for a block to have this one."""
        steps = exponent_steps(self.problem.target.conversion) if of_block else (0,)
        low, high = self.lowered_ends
        return [exponent - step for step in steps if step >= 0 or low <= exponent - step <= high]

    def why_not_so_low(self, places: int, *, alone: bool = False, or_lower: bool = False) -> str | None:
        """Return why no element has a bit so many places below the last kept one, perhaps alone or lower, or None."""
        lowest_bit = self.tops[0] if alone else self.lowest_bit
        bits = self.spec.fraction_bits + self.problem.target.conversion.post_truncate_bits
        most = self.spec.largest_exponent
        if not self.is_given:
            most = max(min(self.exponent_ends[1], most), self.spec.smallest_exponent)
        if most - bits - places < lowest_bit:
            return f"no number has a bit below 2 ** {lowest_bit}"
        if self.infinity_lifts and not or_lower:
            low = max(self.highest_of_numbers, self.spec.smallest_exponent)
            lifted = self.spec.largest_exponent - self.spec.largest_shift
            if low - bits - places < lowest_bit and lifted - bits - places > self.tops[1]:
                return "an infinity lifts the exponent farther, and numbers alone give none so high"
        if self.fewest_kept_bits is not None and self.fewest_kept_bits + places > self.precision:
            return f"a number here has {self.precision} bits, and no other gives it its unit"
        if alone and self.problem.unit == "encode" and not self._has_lone_bit(bits + places):
            return "no number lies so far below another that is read"
        least = self.spec.smallest_exponent - bits - self.spec.largest_shift
        keeps_low = self.flushes and self.spec.use_subnormals and least - places >= lowest_bit
        if self.problem.unit == "encode" or self.is_given or self.is_loose or keeps_low or self.infinity_lifts:
            return None
        # A chain that makes zeros of small numbers leaves bits far below the smallest number.
        lowest = self.widest_distance + self.tops[0] - lowest_bit
        if self.precision > self.precision_rounded:  # the bits of a number that saturates in a chain
            lowest = max(lowest, self.precision - 1)
        is_raised = self.is_raised and not self.largest_is_power  # which a power of two is not
        if self.most_kept_bits - is_raised - 1 + places <= lowest:
            return None
        return f"the bits of a block lie within {lowest + 1} places"

    def _has_lone_bit(self, places: int) -> bool:
        """Whether a number of `encode` may begin so many places below the exponent of a block with another one."""
        tops = [top for top in range(self.tops[0], self.tops[1] + 1) if self.has_top(top)]
        ends, some = (self.spec.smallest_exponent, self.spec.largest_exponent), self._powers & set(tops)
        if self.is_given or self.infinity_lifts or len(some) == self.tops[1] - self.tops[0] + 1:
            return True
        wanted = {(top, self.wanted(top, is_power=one, is_largest=not one)) for top in tops for one in (True, False)}
        steps = exponent_steps(self.problem.target.conversion)
        return any(
            (low := min(max(exponent + step, ends[0]), ends[1]) - shift - places) in some and low <= top
            for top, exponent in wanted
            for step in steps
            for shift in range(self.spec.largest_shift + 1)
        )

    @cached_property
    def _powers(self) -> set[int]:
        """The powers of two of `encode`, or all in range where a chain may round other numbers to them."""
        kind, conversion = self.problem.kind, self.problem.target.conversion
        if any(step.fraction_bits < kind.fraction_bits for step in conversion.source_chain):
            return set(range(self.tops[0], self.tops[1] + 1))
        fields = np.arange(1 << kind.exponent_bits, dtype=np.uint64) << np.uint64(kind.fraction_bits)
        subnormals = np.uint64(1) << np.arange(kind.fraction_bits, dtype=np.uint64)
        found = numbers_of(np.concatenate([fields, subnormals])[None], kind, conversion)
        return set((found.tops[found.mantissas == np.uint64(1 << 63)] - 1).tolist())

    def why_no_low_bits(self, depth: int) -> str | None:
        """Return why no sum has a pattern of so many bits behind its guard bit, or None when one may.

        Where the operands' bits do not meet, the lower operand alone gives all bits below the unit, when
        every unit is at most that of the higher operand.
        """
        problem, rule = self.problem, self.problem.target.conversion.exponent_rule
        if problem.unit != "add" or self.is_given or self.is_two_level or self.infinity_lifts:
            return None
        if (self.is_loose and not self.specials_are_highest) or not self.keeps_low_bits:
            return None
        a, b = problem.a_flat.format, problem.b_flat.format
        same_range = self.spec.smallest_exponent - self.spec.fraction_bits <= a.smallest_exponent - a.fraction_bits
        is_floor = rule in (ExponentRule.FLOOR, ExponentRule.LOWER_ERROR)  # of which the latter lowers units
        if a != b or not is_floor or a.encoding is Encoding.TWOS_COMPLEMENT or not same_range:
            return None
        largest, bits = a.largest_significand, a.magnitude_bits
        offset = problem.target.conversion.exponent_offset - problem.target.conversion.post_truncate_bits
        # The bits below the unit of the widest sum of which bits of the higher operand may be there too.
        width = ((largest << bits + 1) + largest).bit_length() - self.spec.magnitude_bits + offset
        if width > bits + 1 or depth <= bits:
            return None
        return "the bits of a sum below its unit are those of one operand, or fewer"

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
        if odd or guard or below:
            too_low = self.why_not_so_low(2 if below else 1 if guard else 0, or_lower=below)
            if too_low:
                return too_low
        if reason := self._why_not_alone(kept, all_set=(odd or not kept) and guard and below):
            return reason
        if self.clamps_above or self.is_given or kept < self.most_kept_bits:
            return None
        if kept > max(self.most_kept_bits, 0):
            return f"the rule leaves at most {self.most_kept_bits} bits before the binary point"
        rule = self.problem.target.conversion.exponent_rule
        bits = self.spec.magnitude_bits
        is_small = bits == 1 or (bits == 2 and odd)
        if rule is ExponentRule.RCEIL and (guard or below) and is_small and kept == bits:
            return "the rule rceil leaves no number above the largest significand"
        if rule is ExponentRule.CEIL and kept and (guard or below or (odd and kept > 1)):
            return "the rule ceil leaves a power of two alone with so many bits"
        return None

    def _why_not_alone(self, kept: int, *, all_set: bool) -> str | None:
        """Return why no block of one element has so many bits before the binary point, and others around it."""
        fewest, conversion = self.fewest_kept_bits, self.problem.target.conversion
        if fewest is None or kept > fewest:
            return None
        if kept < fewest:
            return f"a block has one element, and that {fewest} bits before the binary point at least"
        is_plain = not (conversion.exponent_offset or conversion.post_truncate_bits)
        is_beyond = conversion.exponent_rule in (ExponentRule.RCEIL, ExponentRule.EVEN) and is_plain
        return (
            "one bit less is left of numbers above the largest significand alone" if is_beyond and not all_set else None
        )

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
        if self.products is None or self.is_chained:
            return None
        for whole, quarters, exact, sign in self.products:
            if sign == negative and (quarters, exact) in rests and wholes(whole):
                return None
            # At a unit below its own a product ends with zeros.
            is_whole = exact and not quarters and sign == negative and (0, True) in rests
            if is_whole and whole and any(wholes(whole << places) for places in range(1, 36)):
                return None
        return "no product of two significands has these bits there"

    @property
    def is_chained(self) -> bool:
        """Whether a source chain makes other numbers of products, or specials are numbers."""
        return bool(self.problem.target.conversion.source_chain) or self.counts_specials

    @property
    def is_raised(self) -> bool:
        """Whether the exponent of a largest magnitude may be one above that of `floor`."""
        rule = self.problem.target.conversion.exponent_rule
        is_more = self.precision > self.spec.magnitude_bits
        is_lifted = rule is ExponentRule.CEIL or (rule is ExponentRule.RCEIL and is_more)
        return is_lifted or self.is_raised_by_rounding

    def odd_factors(self, residue: int, places: int) -> npt.NDArray[np.int64]:
        """Return the odd positive significands, shape (2, n), whose products end in so many places with some bits.

        Examples
        --------
        >>> from bfpemu.catalog import resolve
        >>> from bfpemu.vectors.problem import Problem
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
        if self.problem.unit != "multiply" or self.is_chained:
            return None
        if self.odd_factors(residue, places).size:
            return None
        return "no product of two significands has these bits"

    def why_no_pair(self, distance: int) -> str | None:
        """Return why no product ends with two ones so far from each other, and zeros between, or None when one may."""
        if self.products is None or self.is_chained:
            return self.why_no_end((1 << distance) + 1, distance + 1)
        ends = (1 << (distance + 1)) - 1, 1 << distance | 1
        if any(whole & ends[0] == ends[1] for whole, quarters, exact, _ in self.products if exact and not quarters):
            return None
        return "no product of two significands has these bits"
