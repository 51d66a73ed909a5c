"""Where elements lie below the largest of their block, and what can be around the place of rounding (spec 12.14)."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from bfpemu.formats import (
    DecodeUnderflow,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    NegativeZeroCode,
    SourceSubnormals,
)
from bfpemu.vectors.blocks.cross_families import Labels
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounding_bins import rests_of

_AFTERWARDS = (ExponentRule.EVEN, ExponentRule.LOWER_ERROR)
"""Rules that may give another exponent than that of the largest magnitude alone."""
RANGE = {
    "below_by_2": (0, -2),
    "below_by_1": (0, -1),
    "smallest": (0, 0),
    "above_smallest": (0, 1),
    "below_largest": (1, -1),
    "largest": (1, 0),
    "above_by_1": (1, 1),
    "above_by_2": (1, 2),
}
"""Exponents of the rule: from which end of the range (0 the lower), and how far from it."""
_BEYOND = ("one_more", "far")
_BITS_BELOW = {"under_half": 2, "half": 1, "over_half": 2}
"""How many bits behind the binary point such an element has at least."""


class Place(NamedTuple):
    """An element that a block may have, rounded at a unit that the block may have."""

    wanted: int
    """The exponent that the rule gives."""
    distance: int
    """Binades below the largest number of the block."""
    kept: int
    """Bits of the integer part; less than 0 where the guard bit is 0 too."""
    is_clamped: bool
    """Whether the exponent is lowered to the largest."""
    bits: int
    """Bits that the number has at most, from its first one."""


class Places:
    """Every place that an element can have; more than there are, and never fewer."""

    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        conversion, specs = reach.problem.target.conversion, [reach.spec, *reach.operands]
        self.bits = reach.spec.magnitude_bits + conversion.post_truncate_bits
        """Bits of a wide element."""
        self.far = max(min(self.bits + 1, reach.widest_distance), 0)
        """The largest distance that has a bin of its own."""
        # What else a block may hold or a rule may give is not gone into here, and nothing is said of it.
        self.is_known = (
            not reach.is_given
            and not reach.is_loose
            and not conversion.source_chain
            and conversion.zero_exponent is None
            and abs(conversion.exponent_offset) <= 1
            and conversion.nan is not NanPolicy.NUMBER
            and conversion.infinity is not InfinityPolicy.NUMBER
            and conversion.source_subnormals is SourceSubnormals.EXACT
            and conversion.exponent_overflow is ExponentOverflow.SATURATE
            and all(spec.negative_zero_code is NegativeZeroCode.NEGATIVE_ZERO for spec in specs)
            and all(spec.decode_underflow is DecodeUnderflow.EXACT for spec in specs)
        )
        """Whether places are known, so that there are reasons why some cannot be."""
        self._allowed: dict[tuple[int, bool, bool, bool], bool] = {}
        self._products: dict[tuple[int, bool, bool, bool, bool], bool] = {}

    @cached_property
    def _blocks(self) -> list[tuple[int, int, int, bool]]:
        """Return ``floor(log2)`` of the largest, exponent of the rule, unit, whether clamped, of rounded blocks."""
        reach, spec, conversion = self.reach, self.reach.spec, self.reach.problem.target.conversion
        around = (-1, 0, 1) if conversion.exponent_rule in _AFTERWARDS else (0,)
        found = set()
        for high in range(reach.tops[0], reach.tops[1] + 1):
            if not reach.has_top(high):
                continue
            ways = [(False, False), (True, False), (False, True)]
            for wanted in {reach.wanted(high, is_power=power, is_largest=largest) for power, largest in ways}:
                for exponent in {wanted + step for step in around}:
                    if exponent < spec.smallest_exponent and not spec.use_subnormals:
                        continue
                    clamped = min(max(exponent, spec.smallest_exponent), spec.largest_exponent)
                    unit = clamped - spec.fraction_bits - conversion.post_truncate_bits
                    found.add((high, wanted, unit, clamped < exponent))
        return sorted(found)

    @cached_property
    def all(self) -> frozenset[Place]:
        """Return the places, those of many bits for those of fewer."""
        reach = self.reach
        most: dict[tuple[int, int, int, bool], int] = {}
        for high, wanted, unit, is_clamped in self._blocks:
            beside, lowest = self._beside(wanted), self._lowest_bit(high, wanted)
            for distance in range(high - reach.tops[0] + 1):
                top = high - distance
                if top < lowest:
                    break
                if not reach.has_top(top):
                    continue
                bits = min(reach.precision, top - lowest + 1)
                if distance > self.far and top + 1 - unit + reach.spec.largest_shift < 0:
                    most.setdefault((beside, self.far + 1, -1, is_clamped), bits)
                    break  # nothing changes further down
                for shift in range(reach.spec.largest_shift + 1):
                    kept = max(min(top + 1 - unit + shift, self.bits + 2), -1)
                    key = beside, min(distance, self.far + 1), kept, is_clamped
                    most[key] = max(most.get(key, 0), bits)
        return frozenset(Place(*key, bits) for key, bits in most.items())

    def _lowest_bit(self, high: int, wanted: int) -> int:
        """Return the place of the lowest bit of a number whose block has a largest one in a binade, and an exponent."""
        problem = self.reach.problem
        if not self._needs_both(high, wanted) or problem.b is None:
            return self.reach.lowest_bit
        specs = [problem.a_flat.format, problem.b_flat.format]
        return min(spec.largest_exponent - spec.fraction_bits - spec.largest_shift for spec in specs)

    def _needs_both(self, high: int, wanted: int) -> bool:
        """Whether a sum is so large only where both operands have their largest exponent, and it is negative."""
        problem, conversion = self.reach.problem, self.reach.problem.target.conversion
        if problem.unit != "add" or conversion.source_chain or not self.reach.largest_is_power:
            return False
        if high == self.reach.tops[1]:
            return True
        # Above two largest significands there is a sum with the least one; half of that is not enough.
        is_one = (
            problem.a_flat.format == problem.b_flat.format == self.reach.spec and self.reach.spec.magnitude_bits > 1
        )
        return is_one and high == self.reach.tops[1] - 1 and wanted > self.reach.wanted(high, is_power=True)

    def _beside(self, wanted: int) -> int:
        """Return an exponent of the rule, all of those away from both ends as one."""
        ends = self.reach.spec.smallest_exponent, self.reach.spec.largest_exponent
        near = [end + step for end in ends for step in (-2, -1, 0, 1, 2)]
        return wanted if wanted in near else ends[0] - 3

    def _exponent(self, name: str) -> int:
        end, step = RANGE[name]
        return (self.reach.spec.smallest_exponent, self.reach.spec.largest_exponent)[end] + step

    def _has_cell(self, place: Place, label: str) -> bool:
        """Whether a number at a place may have a last kept bit, a guard bit and bits below them as a label says."""
        sign, *digits = label.split(".")
        odd, guard, below = (part[-1] == "1" for part in digits)
        kept = place.kept
        if kept <= 0:
            fits = not odd and (guard if kept == 0 else not guard and below)
            last = 2 if kept == 0 and below else 1
        else:
            fits = odd or kept > 1
            last = kept + 2 if below else kept + 1 if guard else kept if odd else 1
        if not fits or last > place.bits:
            return False
        cell = max(kept, 0), guard, below, odd
        if cell not in self._allowed:
            # Where an element is clamped nothing is said of its bits.
            self._allowed[cell] = kept > self.bits or self.reach.why_no_cell(*cell) is None
        return self._allowed[cell] and self._is_product(*cell, sign == "neg")

    def _is_product(self, kept: int, guard: bool, below: bool, odd: bool, negative: bool) -> bool:
        """Whether a product of two significands, cut anywhere, has such bits."""
        key = kept, guard, below, odd, negative
        if key not in self._products:
            self._products[key] = kept > self.bits + 1 or None is self.reach.why_no_product(
                lambda whole: whole.bit_length() == kept and whole % 2 == odd, rests_of(guard, below), negative
            )
        return self._products[key]

    def why_not_so_far(self, labels: Labels) -> str | None:
        """Return why no element so far below the largest has such bits around its place, or None when one may."""
        if not self.is_known:
            return None
        cell, far = labels
        distance = self.far + 1 if far == "farther" else int(far.removeprefix("distance"))
        here = [place for place in self.all if place.distance == distance]
        if any(self._has_cell(place, cell) for place in here):
            return None
        return "no element at this distance has these bits around the place where it is rounded"

    def why_not_in_range(self, labels: Labels) -> str | None:
        """Return why no element has such bits when the rule gives an exponent beside an end of the range."""
        if not self.is_known:
            return None
        cell, name = labels
        if any(self._has_cell(place, cell) for place in self._in_range(name)):
            return None
        if RANGE[name] < (0, 0) and not self.reach.spec.use_subnormals:
            return "the block is flushed, and nothing is rounded"
        return "no element of such a block has these bits around the place where it is rounded"

    def why_not_saturated(self, labels: Labels) -> str | None:
        """Return why no element is at or above the largest significand at an exponent beside an end of the range."""
        kind = labels[0].partition(".")[2]
        if not self.is_known or kind == "infinity":
            return None
        places, is_beyond = self._in_range(labels[1]), kind in _BEYOND
        here = [place for place in places if (place.kept > self.bits if is_beyond else place.kept == self.bits)]
        if not here:
            where = "above" if is_beyond else "as large as"
            return f"no element of such a block is {where} the largest significand"
        if any(place.bits >= self.bits + _BITS_BELOW.get(kind, 0) for place in here if self._may_exceed(place, kind)):
            return None
        return "the rule, or the bits of a number, leave no such element at this exponent"

    def _may_exceed(self, place: Place, kind: str) -> bool:
        """Whether the rule leaves a number beside the largest significand at a place."""
        conversion = self.reach.problem.target.conversion
        if place.is_clamped or self.reach.is_two_level or conversion.exponent_offset < 0:
            return True
        if conversion.exponent_rule is ExponentRule.RCEIL:
            return kind == "at"
        return conversion.exponent_rule is not ExponentRule.CEIL or self.bits == 1

    def why_not_largest(self, labels: Labels) -> str | None:
        """Return why no largest number of a sign makes the rule give an exponent beside an end of the range."""
        if not self.is_known:
            return None
        sign, wanted = labels[0].rpartition(".")[2], self._exponent(labels[1])
        highs = {high for high, found, _, _ in self._blocks if found == wanted}
        if sign == "pos" and highs and all(self._needs_both(high, wanted) for high in highs):
            return "only a sum with the least significand is as large"
        return None

    def _in_range(self, name: str) -> list[Place]:
        return [place for place in self.all if place.wanted == self._exponent(name)]
