"""The codes of which every number of a block is made: of those that give the same numbers, one (spec 12.14)."""

from __future__ import annotations

from functools import cached_property
from itertools import product

from bfpemu.formats import BFPSpec, DecodeUnderflow, Encoding, NegativeZeroCode
from bfpemu.vectors.blocks.reach import Reach

_FARTHEST = 1 << 10
"""Places between two addends up to which they are looked at."""
Element = tuple[int, ...]
"""The element code of each operand."""


class PairCodes:
    """Elements and exponent codes of the operands of `add`, `multiply` and `requantize`.

    Parameters
    ----------
    reach : Reach
    most : int
        Elements times exponent codes, up to which there are any.
    """

    def __init__(self, reach: Reach, most: int) -> None:
        self.reach, self.problem, self.most = reach, reach.problem, most
        self.spec, self.conversion = reach.spec, reach.problem.target.conversion

    @cached_property
    def is_known(self) -> bool:
        """Whether these are all that there are."""
        return (
            sum(spec.mantissa_bits for spec in self.reach.operands) < self.most.bit_length()
            and (self.problem.unit != "add" or (self.is_scaled and self._apart <= _FARTHEST))
            and 0 < len(self.exponents) * len(self.elements) <= self.most
        )

    @property
    def is_scaled(self) -> bool:
        """Whether an exponent code scales numbers, and does nothing else."""
        return not self.reach.counts_specials and all(
            spec.decode_underflow is DecodeUnderflow.EXACT
            and spec.negative_zero_code in (NegativeZeroCode.NEGATIVE_ZERO, NegativeZeroCode.NEGATIVE_INFINITY)
            for spec in self.reach.operands
        )

    @cached_property
    def exponents(self) -> list[tuple[int, ...]]:
        """Return the exponent codes of blocks of numbers; of those that give the same numbers one."""
        specs = self.reach.operands
        is_number = self.reach.counts_specials  # a NaN block may count as numbers
        ends = [spec.all_ones_code if is_number else spec.largest_exponent_code for spec in specs]
        if max(ends) > self.most:
            return []
        if len(ends) == 1:
            return [(code,) for code in range(ends[0] + 1)]
        if self.is_scaled and self.problem.unit == "multiply":
            return [(min(both, ends[0]), max(both - ends[0], 0)) for both in self._telling_sums(sum(ends))]
        if not self.is_scaled:
            return self._with_ends(ends)
        units = [spec.exponent_bias + spec.fraction_bits for spec in specs]
        return sorted(self._near(ends, units[0] - units[1]))

    def _telling_sums(self, most: int) -> list[int]:
        """Return sums of the codes of both factors: beside both ends of the result's range, and one of all others.

        Away from these all products have their places in the middle, or all are far too large or too small.
        """
        if not self.reach.is_chain_plain:
            return list(range(most + 1))
        specs, offset = self.reach.operands, abs(self.conversion.exponent_offset) + self.conversion.post_truncate_bits
        # Between the exponents of the products of one sum, and as many beside them as change what is rounded.
        width = sum(spec.mantissa_bits for spec in specs) + self.spec.magnitude_bits + offset + 8
        unit = self.spec.fraction_bits - sum(spec.exponent_bias + spec.fraction_bits for spec in specs)
        ends = [end - unit for end in (self.spec.smallest_exponent, self.spec.largest_exponent)]
        near = {both for end in ends for both in range(end - 2 * width, end + 2 * width + 1)}
        return sorted(both for both in near | {0, most, sum(ends) // 2} if 0 <= both <= most)

    def _with_ends(self, ends: list[int]) -> list[tuple[int, ...]]:
        """Return codes of factors: those beside an end, where numbers wrap or are flushed, with all of the other.

        All others scale numbers; what is infinite is so with any of them.
        """
        specs = self.reach.operands
        sides = [spec.magnitude_bits + abs(spec.fraction_bits) + 3 for spec in specs]
        if any(spec.negative_zero_code is NegativeZeroCode.ALL_ONES_EXPONENT for spec in specs):
            sides = [end + 1 for end in ends]
        inner = [(side, end - side) for side, end in zip(sides, ends, strict=True)]
        codes = [
            sorted({*range(min(low, end + 1)), *range(max(high + 1, 0), end + 1)})
            for (low, high), end in zip(inner, ends, strict=True)
        ]
        if sum(len(own) * (end + 1) for own, end in zip(codes, reversed(ends), strict=True)) > self.most:
            return []
        pairs = {*product(codes[0], range(ends[1] + 1)), *product(range(ends[0] + 1), codes[1])}
        if all(low <= high for low, high in inner):
            (low, high), (least, most) = inner
            pairs |= {
                (min(both - least, high), both - min(both - least, high))
                for both in range(low + least, high + most + 1)
            }
        return sorted(pairs)

    def _near(self, ends: list[int], middle: int) -> set[tuple[int, int]]:
        """Return exponent codes of addends whose units lie near each other, and of each code one at least."""
        apart = min(self._apart, sum(ends) + abs(middle))
        return {
            (a, min(max(a - middle + step, 0), ends[1]))
            for a in range(ends[0] + 1)
            for step in range(-apart, apart + 1)
        } | {(min(max(b + middle, 0), ends[0]), b) for b in range(ends[1] + 1)}

    @property
    def _apart(self) -> int:
        """Return how far the units of two addends lie apart where the lower ones are no more than a sticky bit."""
        steps = [step.fraction_bits for step in self.conversion.source_chain]
        own = 8 + max([0, *steps]) + abs(self.conversion.exponent_offset) + self.conversion.post_truncate_bits
        # A block whose exponent is lowered to the largest shows more bits.
        own += max(self.reach.excess, 0) + self.spec.magnitude_bits
        return own + sum(spec.mantissa_bits for spec in self.reach.operands)

    @cached_property
    def elements(self) -> list[Element]:
        """Return the codes of an element of each operand; of those that give the same product one."""
        specs = self.reach.operands
        every = list(product(*(range(1 << spec.mantissa_bits) for spec in specs)))
        if self.problem.unit == "multiply" and self.is_scaled:
            values = [_significands(spec) for spec in specs]
            kinds: dict[object, Element] = {}
            for a, b in every:
                x, y = values[0][a], values[1][b]
                kinds.setdefault((a, b) if x is None or y is None else x * y, (a, b))
            every = list(kinds.values())
        return every


def _significands(spec: BFPSpec) -> list[int | None]:
    """Return what every element code stands for; None of that of -0, which may be an infinity."""
    sign, codes = 1 << spec.mantissa_bits - 1, range(1 << spec.mantissa_bits)
    if not spec.has_sign:
        return list(codes)
    if spec.encoding is Encoding.SIGN_MAGNITUDE:
        return [code if code < sign else sign - code if code > sign else None for code in codes]
    return [code if code < sign else code - 2 * sign for code in codes]
