"""Every number of narrow operands with every place where a block can round it (spec 12.10).

A *meeting* is a number, as an integer, and the place ``2 ** unit`` where it is rounded. Where the rest of a block lies
is left out, so that there may be more meetings here than vectors: what no meeting has, no vector has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from bfpemu.formats import BFPSpec, ExponentRule
from bfpemu.vectors.blocks.chain_ends import ChainEnds, Taken
from bfpemu.vectors.blocks.code_stimulus import few_significands
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, Mask, UInt64Array, facts_at
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_patterns import telling_rests, telling_wholes

_MOST_NUMBERS = 1 << 19
"""Numbers of one piece that are looked at all together."""
_DEEPEST = 64
_FARTHEST = 24
"""The distance of operands that are always far apart, up to which sums are looked at."""


@dataclass(frozen=True)
class Piece:
    """Numbers with the codes that give them, at one distance of the operands' units."""

    step: int
    """How many places the unit of `x` lies above that of `y`; of one operand 0."""
    x: Int64Array
    """Significands of the first operand."""
    y: Int64Array
    mantissa: UInt64Array
    """Magnitudes in units of the lower operand's, or of the product, as ``mantissa * 2 ** (top - 64)``."""
    top: Int64Array
    negative: Mask
    least: Int64Array
    """The unit, above that of the numbers, of a block in which a number is the largest."""
    place: int | None = None
    """The unit of the numbers where a source chain makes these of them, if it matters."""

    @property
    def numbers(self) -> int:
        """How many there are."""
        return len(self.top)


class Meetings:
    """The meetings of `add`, `multiply` and `requantize`."""

    def __init__(self, reach: Reach) -> None:
        self.reach, self.problem = reach, reach.problem
        a = self.problem.a_flat.format
        b = self.problem.b_flat.format if self.problem.b else None
        self.a, self.b = a, b
        self.chain = ChainEnds(reach)

    @property
    def operands(self) -> list[BFPSpec]:
        """The formats of the operands."""
        return [self.a] if self.b is None else [self.a, self.b]

    @property
    def is_narrow(self) -> bool:
        """Whether all numbers can be looked at."""
        bits = self.a.mantissa_bits + (self.b.mantissa_bits if self.b else 0)
        return 1 << bits <= _MOST_NUMBERS and (self.problem.unit != "add" or len(self._steps()) > 0)

    def pieces(self) -> Iterator[Piece]:
        """Yield all numbers of narrow operands, and of wide ones those around telling places."""
        if self.is_narrow:
            yield from self._all()
        elif self.problem.unit == "multiply":
            yield self._products_near(self._targets())
            yield self._products_ending()
        else:
            yield from (self._sums_of(step, self._targets()) for step in self._steps())

    @property
    def has_whole_blocks(self) -> bool:
        """Whether a block of the result lies in one block of each operand."""
        return not any(map(self.reach.joins, self.operands))

    @property
    def farthest_step(self) -> int:
        """The largest distance of the operands' units at which sums are looked at."""
        assert self.b is not None
        conversion, bits = self.problem.target.conversion, self.problem.target.format.mantissa_bits
        bits += conversion.post_truncate_bits + max(-conversion.exponent_offset, 0)
        return self.a.mantissa_bits + self.b.mantissa_bits + bits + 2

    def _steps(self) -> range:
        """Return distances of the operands' units; where these never lie so near, some of the nearest."""
        most, ((low_a, high_a), (low_b, high_b)) = self.farthest_step, self._ends
        low, high = low_a - high_b, high_a - low_b
        if max(low, -high) > _FARTHEST:
            return range(0)
        if low > most or high < -most:
            return range(low, min(high, low + 8) + 1) if low > 0 else range(max(low, high - 8), high + 1)
        return range(-most if self.b != self.a else 0, most + 1)

    @cached_property
    def _ends(self) -> list[tuple[int, int]]:
        """The lowest and the highest unit of each operand."""
        return [
            (
                spec.smallest_exponent - spec.fraction_bits - spec.largest_shift,
                spec.largest_exponent - spec.fraction_bits,
            )
            for spec in self.operands
        ]

    def _targets(self) -> Int64Array:
        """Return integers that have telling bits around some place."""
        bits = self.problem.target.format.magnitude_bits + self.problem.target.conversion.post_truncate_bits
        found = set()
        for places in (1, 2, 3, bits // 2, bits, bits + 2):
            for whole in telling_wholes(bits):
                found |= {whole << places | rest for rest, _ in telling_rests(whole, places)}
        return np.array(sorted(found - {0}))

    def _sums_of(self, step: int, targets: Int64Array) -> Piece:
        """Return sums that are targets, and those beside them where the lower operand ends otherwise."""
        assert self.b is not None
        high, low = (self.a, self.b) if step >= 0 else (self.b, self.a)
        distance, both = abs(step), np.concatenate([targets, -targets])
        rest = both & ((1 << distance) - 1)
        ends = [np.array(few_significands(spec)) for spec in (high, low)]
        pairs = [np.stack([grid.reshape(-1) for grid in np.meshgrid(*ends)])]
        for lower in (rest, rest - (1 << distance)):
            upper = (both - lower) >> distance
            fits = (upper >= high.significand_ends[0]) & (upper <= high.significand_ends[1])
            fits &= (lower >= low.significand_ends[0]) & (lower <= low.significand_ends[1])
            pairs.append(np.stack([upper[fits], lower[fits]]))
        upper, lower = np.concatenate(pairs, axis=1)
        x, y = (upper, lower) if step >= 0 else (lower, upper)
        return self._piece(step, x, y, (x << max(step, 0)) + (y << max(-step, 0)))

    def products_of(self, x: Int64Array, y: Int64Array) -> Piece:
        """Return the products of some significands."""
        return self._piece(0, x, y, x * y)

    def _products_near(self, targets: Int64Array) -> Piece:
        """Return products that are targets or lie beside them."""
        assert self.b is not None
        (low, high), ends = self.a.significand_ends, self.b.significand_ends
        some = np.unique(np.concatenate([np.linspace(1, high, 41).astype(np.int64) | 1, [high, high - 1, high + 1]]))
        some = np.concatenate([some, -some, 1 << np.arange(self.a.magnitude_bits)])
        some = some[(some >= low) & (some <= high)]
        x = np.repeat(some, 2 * len(targets))
        y = np.tile(np.concatenate([targets, targets]), len(some)) // np.abs(x)
        y += np.tile(np.repeat([0, 1], len(targets)), len(some))
        fits = (y >= ends[0]) & (y <= ends[1])
        return self._piece(0, x[fits], y[fits], x[fits] * y[fits])

    def _products_ending(self) -> Piece:
        """Return products whose last bits are a single bit or a run of ones, or that are odd halves."""
        bits = self.problem.target.format.magnitude_bits + self.problem.target.conversion.post_truncate_bits
        pairs = [self.reach.odd_factors((1 << n) + one, n + 1) for n in range(1, 62) for one in (1, -1)]
        pairs += [self.reach.odd_factors(1, places) for places in range(2, 63)]
        pairs += [self.reach.odd_factors(2 * whole + 1, 62) for whole in telling_wholes(bits)]
        # The largest products give a block the highest unit of all.
        pairs += [np.array(list(product(self.a.significand_ends, self.operands[-1].significand_ends))).T]
        x, y = np.concatenate([pair[:, :: max(pair.shape[1] // 16, 1)] for pair in pairs], axis=1)
        x, y = np.concatenate([x, -x]), np.concatenate([y, y])
        fits = x >= self.a.significand_ends[0]
        return self._piece(0, x[fits], y[fits], x[fits] * y[fits])

    def _all(self) -> Iterator[Piece]:
        (low, high), ends = self.a.significand_ends, self.b.significand_ends if self.b else (1, 1)
        every = np.arange(low, high + 1)
        x, y = (grid.reshape(-1) for grid in np.meshgrid(every, np.arange(ends[0], ends[1] + 1), indexing="ij"))
        if self.problem.unit == "requantize":
            yield from self._pieces_at(0, every, np.ones_like(every), every)
        elif self.problem.unit == "multiply":
            yield from self._pieces_at(0, x, y, x * y)
        else:
            for step in self._steps():
                yield from self._pieces_at(step, x, y, (x << max(step, 0)) + (y << max(-step, 0)))

    def _piece(self, step: int, x: Int64Array, y: Int64Array, values: Int64Array) -> Piece:
        values, first = np.unique(values, return_index=True)
        return self._at(step, x[first], y[first], values, self.chain.taken(values), None)

    def _pieces_at(self, step: int, x: Int64Array, y: Int64Array, values: Int64Array) -> Iterator[Piece]:
        """Yield numbers where a source chain only rounds them to its bits, and as they are at the ends of its range."""
        values, first = np.unique(values, return_index=True)
        x, y = x[first], y[first]
        is_loose = self.reach.is_loose
        places = (self.reach.lowest_bit_read, self.reach.highest_read) if is_loose else self._places(step)
        for place, taken in self.chain.everywhere(values, places, at_once=is_loose):
            yield self._at(step, x, y, values, taken, place)

    def _at(
        self, step: int, x: Int64Array, y: Int64Array, values: Int64Array, taken: Taken, place: int | None
    ) -> Piece:
        at, mantissa, top = taken
        return Piece(step, x[at], y[at], mantissa, top, values[at] < 0, self._least(mantissa, top), place)

    def _least(self, mantissa: UInt64Array, top: Int64Array) -> Int64Array:
        spec, conversion = self.problem.target.format, self.problem.target.conversion
        found: Int64Array = top - spec.magnitude_bits + conversion.exponent_offset - conversion.post_truncate_bits
        if conversion.exponent_rule is ExponentRule.RCEIL:
            found = found + (mantissa > np.uint64(spec.largest_significand << (64 - spec.magnitude_bits)))
        if conversion.exponent_rule is ExponentRule.CEIL:
            found = found + (mantissa != np.uint64(1 << 63))
        return found

    def units(self, piece: Piece) -> range:
        """Return the units, above those of the numbers, that blocks can have."""
        reach, conversion, spec = self.reach, self.problem.target.conversion, self.reach.spec
        lowest, highest = self._places(piece.step)
        if lowest > highest:
            return range(0)
        low = int(piece.least.min()) - (conversion.exponent_rule is ExponentRule.LOWER_ERROR)
        high = self._ordinary(piece)
        # At the ends of the exponents the unit is that of the end, wherever the numbers lie.
        deepest = int(piece.top.max()) + _DEEPEST
        if reach.is_given or reach.clamps_above:
            low = min(low, max(self._lowest_place, self._clamped_from(piece)))
        if reach.is_given or reach.is_loose:
            high = max(high, deepest)
        elif reach.flushes and spec.use_subnormals:
            high = max(high, min(deepest, self._lowest_unit - lowest))
        if reach.infinity_lifts:
            high = max(high, min(deepest, self._unit_of(spec.largest_exponent) - lowest))
        if piece.place is not None:  # what is there at one place has the units that codes give it there
            low = max(low, self._lowest_unit - piece.place)
            high = min(high, self._unit_of(spec.largest_exponent) - piece.place)
        return range(low, high + 1)

    def _ordinary(self, piece: Piece) -> int:
        """Return the largest unit, above that of the numbers, that other numbers of a block give it."""
        most, spec = int(piece.least.max()), self.reach.spec
        if self.problem.target.conversion.exponent_rule is ExponentRule.EVEN:
            # Only what is above the largest significand raises the exponent.
            above = piece.mantissa > np.uint64(spec.largest_significand << (64 - spec.magnitude_bits))
            most += bool((above & (piece.least == most)).any())
        return most + self._lowered_most

    def _clamped_from(self, piece: Piece) -> int:
        """Return the lowest unit, above that of the numbers, that the largest exponent gives some of them."""
        if self.reach.is_given:
            return self._lowest_place
        return self._unit_of(self.reach.spec.largest_exponent) - self._places(piece.step)[1]

    @property
    def _lowest_place(self) -> int:
        """The lowest unit, above that of the numbers, at which more than the bits of an element are left of them."""
        bits = self.reach.spec.magnitude_bits + self.problem.target.conversion.post_truncate_bits
        return -max(self.reach.most_kept_bits, bits) - 2

    def _unit_of(self, exponent: int) -> int:
        return exponent - self.reach.spec.fraction_bits - self.problem.target.conversion.post_truncate_bits

    @property
    def _lowest_unit(self) -> int:
        """The unit of a number that is far below the smallest exponent."""
        return self._unit_of(self.reach.spec.smallest_exponent) - self.reach.spec.largest_shift

    def _places(self, step: int) -> tuple[int, int]:
        """Return the lowest and the highest unit of numbers of a piece: of the lower operand, or of the product."""
        ends = self._ends
        if self.problem.unit == "multiply":
            return sum(low for low, _ in ends), sum(high for _, high in ends)
        places = [(low - up, high - up) for (low, high), up in zip(ends, (max(step, 0), max(-step, 0)), strict=False)]
        return max(low for low, _ in places), min(high for _, high in places)

    @cached_property
    def _lowered_most(self) -> int:
        """How far the shifts of operands can lower a number below the others without lowering its place too."""
        operands = self.operands
        shifts = [spec.largest_shift for spec in operands]
        most = sum(shifts) if self.problem.unit == "multiply" else max(shifts)
        sizes = {spec.sub_block_size for spec in operands if spec.sub_block_size}
        # A sub-block of the result that is one of the operands' is lowered as a whole.
        return max(most - self.reach.spec.largest_shift, 0) if sizes <= {self.reach.spec.sub_block_size} else most

    def fits(self, piece: Piece, unit: int) -> Mask:
        """Return which numbers a block with this unit can have; of those far below it only some."""
        rule = self.problem.target.conversion.exponent_rule
        fits: Mask = piece.least <= unit + (rule is ExponentRule.LOWER_ERROR)
        if self.reach.is_given or (self.reach.clamps_above and unit >= self._clamped_from(piece)):
            fits = np.ones(piece.numbers, np.bool_)
        if (
            self.reach.spec.elements_per_block == 1
            and not self.reach.is_given
            and not (self.reach.flushes and self.reach.spec.use_subnormals)
        ):
            fits &= piece.least >= unit - (rule is ExponentRule.EVEN)
        is_lifted = self.reach.is_given or self.reach.is_loose or self.reach.infinity_lifts
        if unit > self._ordinary(piece) and not is_lifted:
            # So low a number is there only at the smallest exponent, and a source chain may have none.
            fits &= piece.top - 1 + self._lowest_unit - unit >= self.reach.tops[0]
        # Far below the place of rounding all numbers are alike, but for the depth of single bits.
        fits &= (piece.top >= unit - 1) | (piece.mantissa == np.uint64(1 << 63))
        return fits

    def facts(self, piece: Piece, unit: int, chosen: Int64Array) -> BlockFacts:
        """Return the facts of chosen numbers at a unit, one block of all of them."""
        units = np.full(len(chosen), unit)
        return facts_at(self.problem, piece.negative[chosen], piece.mantissa[chosen], piece.top[chosen], units)
