"""A last search of `add`, `multiply` and `requantize` for bins that no other directed vector hits (spec 12.10).

A few vectors come first, which cost little. Then every number that the operands make is looked at with every place
where a block can round it. What is found there is tried in vectors; what is not found cannot occur.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bfpemu.codec.translate import kernel_source
from bfpemu.formats import ExponentRule
from bfpemu.vectors.blocks.code_stimulus import few_significands
from bfpemu.vectors.blocks.facts import BlockFacts, facts_at
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import joined
from bfpemu.vectors.blocks.rounding_bins import ROUNDED
from bfpemu.vectors.blocks.source_numbers import wraps
from bfpemu.vectors.operands.far_pairs import FarPairs
from bfpemu.vectors.operands.lift_search import LiftSearch
from bfpemu.vectors.operands.loose_blocks import LooseBlocks
from bfpemu.vectors.operands.loose_search import LooseSearch
from bfpemu.vectors.operands.meetings import Piece
from bfpemu.vectors.operands.number_vectors import Lane, Vector
from bfpemu.vectors.operands.pairs import Pairs
from bfpemu.vectors.operands.source_blocks import FAR, SourceBlocks
from bfpemu.vectors.operands.source_decisions import SourceDecisions
from bfpemu.vectors.operands.source_pairs import SourcePairs
from bfpemu.vectors.operands.source_search import SourceElements
from bfpemu.vectors.operands.source_vectors import SourceVectors
from bfpemu.vectors.operands.source_wholes import SourceWholes
from bfpemu.vectors.operands.special_vectors import SpecialVectors

_EXAMPLES = 12
_ENOUGH = 120
NO_MEETING = "no {} of these formats has these bits at a place where a block can round it; all were looked at"


class Example(NamedTuple):
    """A number of a piece, and the unit above that of the numbers at which it has a bin."""

    piece: Piece
    at: int
    unit: int


class Closing(SpecialVectors):
    """Vectors for bins that are left over."""

    def few(self, missing: set[str]) -> Stimulus:
        """Return a few vectors that may hit missing bins, and need no search."""
        rows: list[Vector] = []
        if "block.two_holders" in missing and self.lanes > 1:
            rows += [Vector([Lane(lane, 1, 1) for lane in (0, 1)], *codes) for codes in [self._codes(0, None)] if codes]
        if any(name.startswith(("range.", "exponent.")) for name in missing):
            rows += self._lowest()
        far = FarPairs(self.reach, self.seed, self.level).vectors(missing) if self.finds_far else {}
        return joined([piece for piece in (self._laid(rows), far) if piece])

    def sought(self, families: list[Family[BlockFacts]], missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        """Return vectors that may hit missing bins, and why others of them cannot occur."""
        source = SourceBlocks(self.reach)
        if not source.is_known:
            return self._of_meetings(families, missing)
        stimulus, reasons = self._of_source(source, families, missing)
        if self.target.sub_shift_bits:
            # Which other numbers of its sub-block a number may have beside it, meetings know better.
            other, more = self._of_meetings(families, missing - set(reasons))
            stimulus, reasons = joined([piece for piece in (stimulus, other) if piece]), more | reasons
        return stimulus, reasons

    def _of_meetings(self, families: list[Family[BlockFacts]], missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        """Return vectors of numbers where they meet a unit, and why there are none for some bins."""
        wanted = [
            (
                family,
                {n: name for n, name in enumerate(family.names) if name in missing and name.startswith(ROUNDED)},
            )
            for family in families
        ]
        wanted = [(family, numbers) for family, numbers in wanted if numbers]
        blocks = LooseBlocks(self.reach)
        rows: list[Vector] = []
        if blocks.is_known:
            search = LooseSearch(blocks, wanted, missing)
            stimulus, reasons = search.vectors(self.sides, self.lanes), search.reasons
        else:
            rows, reasons = self._of_numbers(wanted, missing)
            stimulus = {}
        reasons |= self._not_raised(missing)
        lifts = LiftSearch(self, self.meetings, missing)
        rows += lifts.rows()
        reasons |= lifts.reasons()
        return joined([piece for piece in (stimulus, self._laid(rows)) if piece]), reasons

    def _of_source(
        self, source: SourceBlocks, families: list[Family[BlockFacts]], missing: set[str]
    ) -> tuple[Stimulus, dict[str, str]]:
        """Return vectors of one operand all of whose blocks are looked at, and why there are none for some bins."""
        searches = (
            SourceElements(source, families, missing),
            SourcePairs(source, missing),
            SourceDecisions(source, missing),
            SourceWholes(source, missing),
        )
        rows = [vector for search in searches for vector in search.vectors()]
        reasons = {name: reason for search in searches for name, reason in search.reasons().items()}
        return SourceVectors(source).laid(self.a, rows), reasons

    @property
    def finds_far(self) -> bool:
        """Whether numbers of a block lie as far apart as the exponents of two operands."""
        return self.problem.unit == "add" and not self.reach.is_given

    def _of_numbers(
        self, wanted: list[tuple[Family[BlockFacts], dict[int, str]]], missing: set[str]
    ) -> tuple[list[Vector], dict[str, str]]:
        """Return vectors of one number at its place and of two numbers, and why there are none for some bins."""
        found: dict[str, list[Example]] = {}
        pairs = Pairs(self.meetings, missing)
        for piece in self.meetings.pieces() if wanted or pairs.left else ():
            self._look(piece, wanted, found)
            pairs.look(piece)
        # A supplied infinity is no meeting of a number.
        names = {name for _, numbers in wanted for name in numbers.values() if not name.endswith("infinity")}
        names -= set(found) | self._of_nan(wanted)
        reasons = {name: NO_MEETING.format(self.noun) for name in names} if self._looks_at_all else {}
        rows = [row for some in found.values() for row in self._vectors(some)]
        reasons |= pairs.reasons()
        rows += self._paired(pairs)
        if self.reach.is_loose:
            rows += self.beside_infinity(missing)
            if self.b is not None and any(name.startswith("distance.") for name in missing):
                rows += self.wrapped()
        if self.problem.unit == "multiply" and self.reach.counts_specials and self.lanes > 1:
            rows += self.beside_specials()
        return rows, reasons

    @property
    def _looks_at_all(self) -> bool:
        """Whether what is not found cannot occur; with an offset `even` looks at elements of more bits."""
        conversion = self.problem.target.conversion
        if any(wraps(spec) and spec.sub_shift_bits for spec in self.meetings.operands):
            return False  # a shift code can take a number from one end of the range to the other
        return self.meetings.is_narrow and not (
            conversion.exponent_rule is ExponentRule.EVEN and conversion.exponent_offset
        )

    @property
    def _has_nan(self) -> bool:
        """Whether a NaN counts as a number that no meeting has: one of two bits."""
        return self.reach.counts_nan and all(spec.magnitude_bits == 1 for spec in self.meetings.operands)

    def _of_nan(self, wanted: list[tuple[Family[BlockFacts], dict[int, str]]]) -> set[str]:
        """Return missing bins that the number of a NaN has at some place."""
        if not self._has_nan:
            return set()
        values = np.array([3, -3])
        unit = kernel_source(self.problem.source_kind, self.problem.target.conversion).special_exponent - 1
        (_, taken), *_ = self.meetings.chain.everywhere(values, (unit, unit), at_once=True)
        places = np.arange(-FAR, FAR + 1)
        negative = np.repeat(values[taken.at] < 0, len(places))
        mantissa = np.repeat(taken.mantissa, len(places))
        tops = np.tile(places, len(taken.at))
        facts = facts_at(self.problem, negative, mantissa, tops, np.zeros(len(tops), np.int64))
        return {
            numbers[number]
            for family, numbers in wanted
            for number in set(np.unique(family.find(facts)).tolist()) & set(numbers)
        }

    def _not_raised(self, missing: set[str]) -> dict[str, str]:
        """Return why the rule `even` never raises the exponent of the largest numbers."""
        reach, bits = self.reach, self.target.magnitude_bits
        name = f"exponent.code{reach.wanted_ends[1] + 1 + self.target.exponent_bias}"
        is_even = self.problem.target.conversion.exponent_rule is ExponentRule.EVEN
        largest = np.uint64(self.target.largest_significand << (64 - bits))
        if (
            not is_even
            or name not in missing
            or not self.meetings.is_narrow
            or self._has_nan
            or reach.most_kept_bits > bits
        ):
            return {}
        if any((piece.mantissa > largest).any() for piece in self.meetings.pieces()):
            return {}
        return {name: f"no {self.noun} lies between the largest significand and a power of two"}

    def _lowest(self) -> Iterator[Vector]:
        """Yield single numbers at the ends of the exponents, lowered and not."""
        shift = sum(side.spec.largest_shift for side in self.sides)
        codes = range(min(self.a.spec.magnitude_bits + 2, self.a.spec.largest_exponent_code) + 1)
        half = (self.a.spec.largest_significand + 1) // 2
        # Where decoding drops a leading one, lower numbers have one more bit.
        values = {*few_significands(self.a.spec), *(half | 1 << bit for bit in range(self.a.spec.magnitude_bits - 1))}
        for value in sorted(values):
            for other in (0, 1) if self.problem.unit == "add" else (1,):
                for code in codes:
                    high = self.a.spec.largest_exponent_code - code
                    for lowered in sorted({0, shift}):
                        yield Vector([Lane(0, value, other, lowered)], code, 0)
                    largest = 0 if self.b is None else self.b.spec.largest_exponent_code
                    yield Vector([Lane(0, value, other)], high, largest)

    def _paired(self, pairs: Pairs) -> Iterator[Vector]:
        """Yield two numbers, of which one is the largest of its block, in every lane where that is missing."""
        for lane, pair in pairs.found:
            own, other = (Lane(0, int(pair.piece.x[at]), int(pair.piece.y[at])) for at in (pair.own, pair.other))
            own = own._replace(lane=lane, lowered=pair.own_lowered)
            lanes = [own]
            if pair.other != pair.own and self.lanes > 1:
                far = pair.own_lowered != pair.other_lowered
                place = (lane + self._sub_block) % self.lanes if far else self._beside(lane)
                lanes = [other._replace(lane=place, lowered=pair.other_lowered), own]
            yield from self.one_vector(lanes, pair.piece.step)

    def _look(
        self,
        piece: Piece,
        wanted: list[tuple[Family[BlockFacts], dict[int, str]]],
        found: dict[str, list[Example]],
    ) -> None:
        for unit in self.meetings.units(piece) if piece.numbers and wanted else ():
            chosen = np.flatnonzero(self.meetings.fits(piece, unit))
            if not chosen.size:
                continue
            facts = self.meetings.facts(piece, unit, chosen)
            for family, numbers in wanted:
                if all(len(found.get(name, ())) > _ENOUGH for name in numbers.values()):
                    continue
                bins = family.find(facts)[0]
                for number in set(np.unique(bins).tolist()) & set(numbers):
                    if len(found.get(numbers[number], ())) > _ENOUGH:
                        continue
                    places = np.flatnonzero(bins == number)
                    # A few of each place, the smallest and the largest among them.
                    some = dict.fromkeys(chosen[places[[0, -1, len(places) // 2]]].tolist())
                    found.setdefault(numbers[number], []).extend(Example(piece, at, unit) for at in some)

    def _vectors(self, examples: list[Example]) -> Iterator[Vector]:
        """Yield lanes and the exponent codes of both operands."""
        step = max(len(examples) // _EXAMPLES, 1)
        for example in examples[::step]:
            yield from self._around(example)

    def _around(self, example: Example) -> Iterator[Vector]:
        piece, at, unit = example
        spec, conversion = self.target, self.problem.target.conversion
        own = Lane(at % self.lanes, int(piece.x[at]), int(piece.y[at]))
        ends = [
            exponent - spec.fraction_bits - conversion.post_truncate_bits - unit - shift
            for exponent in (spec.smallest_exponent, spec.largest_exponent)
            for shift in sorted({0, spec.largest_shift})
        ]
        if self.reach.is_given:
            yield from self._given(example, own, [*ends, (ends[0] + ends[-1]) // 2])
            return
        alone = [[own], *self._with_holder(piece, own, unit)]
        for lanes in alone:
            yield from self.one_vector(lanes, piece.step)
            if piece.place is not None:
                yield from self.one_vector(lanes, piece.step, piece.place)
        for lowest in ends:
            has_infinity = (self.reach.is_loose or self.reach.infinity_lifts) and self.lanes > 1
            infinite = [[self._infinite(self._beside(own.lane)), own]] if has_infinity else []
            for lanes in [*alone[:2], *infinite]:
                yield from self.one_vector(lanes, piece.step, lowest)
        if spec.sub_shift_bits or any(side.spec.sub_shift_bits for side in self.sides):
            for lanes in self._in_sub_blocks(piece, own, unit):
                yield from self.one_vector(lanes, piece.step)

    def _given(self, example: Example, own: Lane, places: list[int]) -> Iterator[Vector]:
        """Yield a number with the exponent that has the unit, at several places."""
        spec = self.target
        for lowest in places:
            exponent = lowest + example.unit + spec.fraction_bits + self.problem.target.conversion.post_truncate_bits
            for vector in self.one_vector([own], example.piece.step, lowest):
                if 0 <= exponent + spec.exponent_bias <= spec.largest_exponent_code:
                    yield vector._replace(given=exponent + spec.exponent_bias)

    def _with_holder(self, piece: Piece, own: Lane, unit: int) -> Iterator[list[Lane]]:
        """Yield a number beside others that give a block its unit."""
        if self.lanes == 1:
            return
        beside = self._beside(own.lane)
        for least in (unit, unit - 1, unit + 1):
            places = np.flatnonzero(piece.least == least)
            for place in dict.fromkeys(places[[0, len(places) // 2, -1]].tolist()) if places.size else ():
                yield [Lane(beside, int(piece.x[place]), int(piece.y[place])), own]

    def _in_sub_blocks(self, piece: Piece, own: Lane, unit: int) -> Iterator[list[Lane]]:
        """Yield a number in another sub-block than the one that gives a block its unit."""
        other = (own.lane + self._sub_block) % self.lanes
        most = sum(side.spec.largest_shift for side in self.sides)
        for lowered in range(most + 1):
            for shift in range(self.target.largest_shift + 1):
                for raised in {0, most}:
                    places = np.flatnonzero(piece.least == unit - lowered + raised + shift)
                    for place in dict.fromkeys(places[[0, -1]].tolist()) if places.size else ():
                        yield [
                            Lane(other, int(piece.x[place]), int(piece.y[place]), raised),
                            own._replace(lowered=lowered),
                        ]
