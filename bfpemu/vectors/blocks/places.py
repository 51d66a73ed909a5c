"""Where elements lie below the largest of their block, and what can be around the place of rounding (spec 12.14)."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import NamedTuple

from bfpemu.formats import DecodeUnderflow, ExponentRule
from bfpemu.kernels.source import FINITE
from bfpemu.vectors.blocks.acceptance import accepted_ends
from bfpemu.vectors.blocks.cross_families import Labels
from bfpemu.vectors.blocks.facts import HALF
from bfpemu.vectors.blocks.number_pairs import CLAMPING, LARGEST, ROUNDING, SATURATION, number_pairs
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounded_blocks import RoundedBlocks
from bfpemu.vectors.blocks.rounding_bins import SATURATION as SATURATION_KINDS
from bfpemu.vectors.blocks.rounding_bins import rests_of
from bfpemu.vectors.blocks.source_numbers import numbers_of

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


class Places(RoundedBlocks):
    """Every place that an element can have; more than there are, and never fewer."""

    def __init__(self, reach: Reach) -> None:
        super().__init__(reach)
        conversion = reach.problem.target.conversion
        self.bits = reach.spec.magnitude_bits + conversion.post_truncate_bits
        """Bits of a wide element."""
        self.far = max(min(self.bits + 1, reach.widest_distance), 0)
        """The largest distance that has a bin of its own."""
        # Nothing is said of supplied exponents: they give any of these bits to any number.
        self.is_known = not reach.is_given
        """Whether places are known, so that there are reasons why some cannot be."""
        self.pairs = number_pairs(reach.problem, self.far)
        """Every two numbers of a block; with less than all places, where they are known."""
        self._allowed: dict[tuple[int, bool, bool, bool], bool] = {}
        self._products: dict[tuple[int, bool, bool, bool, bool], bool] = {}

    @cached_property
    def all(self) -> frozenset[Place]:
        """Return the places, those of many bits for those of fewer."""
        reach, conversion = self.reach, self.reach.problem.target.conversion
        most: dict[tuple[int, int, int, bool], int] = {}
        point = reach.spec.fraction_bits + conversion.post_truncate_bits
        for block in self.blocks:
            high, wanted, exponent, is_clamped, _ = block
            beside, lowest = self.beside(wanted), self._lowest_bit(high, wanted)
            farthest = 0 if (reach.spec.elements_per_block or 1) == 1 else high - reach.tops[0]
            # Between the distances that are told apart and the places of rounding nothing changes either.
            near = min(self.far + 2, farthest)
            rounded = max(high + 1 - exponent + point - self.bits - 2, near + 1)
            between = (one for one in range(near + 1, min(rounded, farthest + 1)) if high - one in self.tops)
            for distance in (*range(near + 1), *islice(between, 1), *range(rounded, farthest + 1)):
                top = high - distance
                if top < lowest:
                    break
                if top not in self.tops:
                    continue
                bits, kept = min(self._precision_at(top), top - lowest + 1), top + 1 - exponent + point
                if distance > self.far and kept + reach.spec.largest_shift < 0:
                    most.setdefault((beside, self.far + 1, -1, is_clamped), bits)
                    break  # nothing changes further down
                for shift in self.shifts(block, top):
                    own = max(min(kept + shift, self.bits + 2), -1)
                    key = beside, min(distance, self.far + 1), own, is_clamped
                    most[key] = max(most.get(key, 0), bits)
        return frozenset(Place(*key, bits) for key, bits in most.items())

    def _precision_at(self, top: int) -> int:
        """Return how many bits a number of a binade has at most."""
        reach = self.reach
        return 1 if top == reach.tops[1] and self._ends_with_power else reach.precision

    @cached_property
    def _ends_with_power(self) -> bool:
        """Whether a power of two is the largest number, as where only infinities count as numbers so large."""
        problem = self.reach.problem
        if problem.unit != "encode":
            return False
        found = numbers_of(accepted_ends(problem.kind, problem.target)[None], problem.kind, problem.target.conversion)
        # What lies between the ends of a binade is read as a number between these.
        is_here = (found.kinds == FINITE) & (found.mantissas != 0) & (found.tops - 1 == self.reach.tops[1])
        return bool((found.mantissas[is_here] == HALF).all())

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
        if any(spec.decode_underflow is not DecodeUnderflow.EXACT for spec in self.reach.operands):
            return False
        if high == self.reach.tops[1]:
            return True
        # Above two largest significands there is a sum with the least one; half of that is not enough.
        is_one = (
            problem.a_flat.format == problem.b_flat.format == self.reach.spec and self.reach.spec.magnitude_bits > 1
        )
        is_above = conversion.exponent_rule is ExponentRule.RCEIL and wanted > self.reach.wanted(high, is_power=True)
        return is_one and high == self.reach.tops[1] - 1 and is_above

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
            return self._why_no_pair(ROUNDING, distance, _cell_number(cell))
        return "no element at this distance has these bits around the place where it is rounded"

    def why_not_in_range(self, labels: Labels) -> str | None:
        """Return why no element has such bits when the rule gives an exponent beside an end of the range."""
        if not self.is_known:
            return None
        cell, name = labels
        if any(self._has_cell(place, cell) for place in self._in_range(name)):
            return self._why_no_pair(CLAMPING, self.pairs.key_of(self._exponent(name)), _cell_number(cell))
        if RANGE[name] < (0, 0) and not self.reach.spec.use_subnormals:
            return "the block is flushed, and nothing is rounded"
        return "no element of such a block has these bits around the place where it is rounded"

    def why_not_saturated(self, labels: Labels) -> str | None:
        """Return why no element is at or above the largest significand at an exponent beside an end of the range."""
        kind = labels[0].partition(".")[2]
        if not self.is_known:
            return None
        detail = [*SATURATION_KINDS, "infinity"].index(kind) + 8 * labels[0].startswith("neg")
        pair = SATURATION, self.pairs.key_of(self._exponent(labels[1])), detail
        if kind == "infinity":
            return self._why_no_pair(*pair)
        places, is_beyond = self._in_range(labels[1]), kind in _BEYOND
        here = [place for place in places if (place.kept > self.bits if is_beyond else place.kept == self.bits)]
        if not here:
            where = "above" if is_beyond else "as large as"
            return f"no element of such a block is {where} the largest significand"
        bits = 1 if is_beyond else self.bits + _BITS_BELOW.get(kind, 0)
        if any(place.bits >= bits for place in here if self._may_exceed(place, kind)):
            return self._why_no_pair(*pair)
        return "the rule, or the bits of a number, leave no such element at this exponent"

    def _may_exceed(self, place: Place, kind: str) -> bool:
        """Whether the rule leaves a number beside the largest significand at a place."""
        conversion = self.reach.problem.target.conversion
        if place.is_clamped or conversion.exponent_offset < 0:
            return True
        if conversion.exponent_rule is ExponentRule.RCEIL:
            return kind == "at"
        return conversion.exponent_rule is not ExponentRule.CEIL or self.bits == 1

    def why_not_largest(self, labels: Labels) -> str | None:
        """Return why no largest number of a sign makes the rule give an exponent beside an end of the range."""
        if not self.is_known:
            return None
        sign, wanted = labels[0].rpartition(".")[2], self._exponent(labels[1])
        highs = {block.high for block in self.blocks if block.wanted == wanted}
        if sign == "pos" and highs and all(self._needs_both(high, wanted) for high in highs):
            return "only a sum with the least significand is as large"
        return self._why_no_pair(LARGEST, self.pairs.key_of(wanted), int(sign == "neg"))

    def _why_no_pair(self, cross: int, value: int, detail: int) -> str | None:
        """Return why no two numbers of a block hit a cross, where all are looked at."""
        if not self.pairs.is_known or (cross, value, detail) in self.pairs.hits:
            return None
        return "no two numbers of a block have it; all were looked at"

    def _in_range(self, name: str) -> list[Place]:
        return [place for place in self.all if place.wanted == self._exponent(name)]


def _cell_number(label: str) -> int:
    """Return the sign and the bits of a label as a number."""
    sign, *digits = label.split(".")
    return int("".join([str(int(sign == "neg")), *(digit[-1] for digit in digits)]), 2)
