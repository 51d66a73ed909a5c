"""The plans of the units that compute: elements and dot products (spec 12.8, 12.10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.bins import block_families
from bfpemu.vectors.blocks.code_stimulus import telling_exponents
from bfpemu.vectors.blocks.decision_bins import decision_families
from bfpemu.vectors.blocks.facts import block_facts
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus, acceptable
from bfpemu.vectors.blocks.lane_family import in_short_block, without_negatives
from bfpemu.vectors.blocks.random_words import RandomWords
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounding_bins import cell_bins
from bfpemu.vectors.decode.bins import code_family, lane_family
from bfpemu.vectors.dot.addition_bins import added, addition_family
from bfpemu.vectors.dot.after_zeros import after_zeros
from bfpemu.vectors.dot.binades import binades
from bfpemu.vectors.dot.bins import dot_families
from bfpemu.vectors.dot.block_bins import result_facts, result_families
from bfpemu.vectors.dot.block_stimulus import ResultStimulus
from bfpemu.vectors.dot.broken_ties import broken_ties
from bfpemu.vectors.dot.carry_bins import carry_family
from bfpemu.vectors.dot.closing import DotClosing
from bfpemu.vectors.dot.converted_sums import converted_sums
from bfpemu.vectors.dot.crosses import dot_crosses
from bfpemu.vectors.dot.distance_bits import distance_bits
from bfpemu.vectors.dot.facts import DotFacts
from bfpemu.vectors.dot.found_bins import FoundBins
from bfpemu.vectors.dot.infinite_bins import infinite_bins
from bfpemu.vectors.dot.lifted_ends import lifted_ends
from bfpemu.vectors.dot.lone_bits import lone_bits
from bfpemu.vectors.dot.lost import lost_bits, lost_family
from bfpemu.vectors.dot.moved_bits import moved_bits
from bfpemu.vectors.dot.moved_products import moved_products
from bfpemu.vectors.dot.reach import ResultReach
from bfpemu.vectors.dot.register_ends import register_ends
from bfpemu.vectors.dot.remainders import remainders
from bfpemu.vectors.dot.shared_rows import BlockDotClosing, BlockDotStimulus
from bfpemu.vectors.dot.single_bits import single_bit_families, single_bits
from bfpemu.vectors.dot.small_numbers import small_numbers
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot_answers import row_pairs
from bfpemu.vectors.encode.decision_stimulus import DecidingCodes
from bfpemu.vectors.encode.near_maxima import lacking_families, near_families
from bfpemu.vectors.encode.powers_above import PowersAbove, above_families
from bfpemu.vectors.operands.afar_bins import afar_families, has_afar
from bfpemu.vectors.operands.afar_stimulus import AfarSums
from bfpemu.vectors.operands.closing import Closing
from bfpemu.vectors.operands.deciding_sums import DecidingSums
from bfpemu.vectors.operands.equal_units import EqualUnits, equal_families
from bfpemu.vectors.operands.lowest_bits import LowestBits, lowest_families
from bfpemu.vectors.operands.merge_bins import merge_families
from bfpemu.vectors.operands.merge_stimulus import MergedBlocks
from bfpemu.vectors.operands.nudge_bins import nudge_families
from bfpemu.vectors.operands.product_bins import product_families
from bfpemu.vectors.operands.product_maxima import LargestProducts, largest_product_families
from bfpemu.vectors.operands.product_stimulus import LaneProducts
from bfpemu.vectors.operands.reserved_bins import reserved_family
from bfpemu.vectors.operands.spared import SparedSums, spared_families
from bfpemu.vectors.operands.stimulus import ElementStimulus
from bfpemu.vectors.operands.sum_bins import sum_families
from bfpemu.vectors.operands.vanishing import VanishingSums, vanishing_families
from bfpemu.vectors.operands.zero_operand import ZeroOperands, zero_operand_families
from bfpemu.vectors.recheck import row_of
from bfpemu.vectors.sets.plan import Plan, Search
from bfpemu.vectors.traced import traced_vector
from bfpemu.vectors.words import Fields

_SOUGHT = 39
"""The piece of the last search, and before it that of the first; there are fewer than 40 pieces (`Plan`)."""


class ElementwisePlan(Plan):
    """The plan of `add`, `multiply` and `requantize`."""

    @cached_property
    def random_words(self) -> RandomWords:
        """Bins and vectors of stochastic rounding."""
        return RandomWords(self.problem, self.level)

    def _families(self) -> list[Family[Any]]:
        reach = Reach(self.problem)
        found: list[Family[Any]] = [*block_families(self.problem, self.level), reserved_family(self.problem)]
        if self.problem.unit == "multiply":
            found += product_families(reach, self.level)
            found += largest_product_families(reach, self.level)
        else:
            found += decision_families(reach, self.level)
            found.append(cell_bins(reach, self.level))
        if self.problem.unit == "add":
            found += sum_families(reach, self.level)
            if has_afar(reach):
                found += lacking_families(reach, self.level)
            found += afar_families(reach, self.level)
            found += nudge_families(reach, self.level)
            found += spared_families(reach, self.level)
            found += zero_operand_families(reach)
            found += equal_families(reach, self.level)
            found += [*lowest_families(reach, self.level), *vanishing_families(reach)]
        if self.problem.unit == "requantize":
            found += [*near_families(reach, self.level), *merge_families(reach, self.level)]
            found += above_families(reach, self.level)
        found += self.random_words.families()
        operands = [("a", self.problem.a_flat)] + ([("b", self.problem.b_flat)] if self.problem.b else [])
        for which, preset in operands:
            codes = telling_exponents(preset.format)
            if self.problem.refuses_nan:
                codes = [code for code in codes if code != preset.format.nan_code]
            found.append(code_family(f"{which}_exponent", f"{which}_exponents", codes))
        return self._in_vector(found)

    def _crosses(self) -> list[Family[Any]]:
        return self._in_vector(super()._crosses())

    def _in_vector(self, families: list[Family[Any]]) -> list[Family[Any]]:
        """Return families with reasons for lanes that no vector has, and for negative numbers without signs."""
        found = [in_short_block(family, self.problem.elements) for family in families]
        if any(preset.format.has_sign for preset in (self.problem.format, self.problem.b) if preset):
            return found
        return [without_negatives(family) for family in found]

    def _pieces(self) -> Iterator[Stimulus]:
        reach = Reach(self.problem)
        yield from ElementStimulus(self.problem, self.seed, self.level).pieces()
        if self.problem.unit == "multiply":
            yield from LaneProducts(reach, self.seed, self.level).pieces()
            yield from LargestProducts(reach, self.seed, self.level).pieces()
        if self.problem.unit == "requantize":
            yield from DecidingCodes(self.problem, self.seed, self.level).pieces()
            yield from MergedBlocks(self.problem, self.seed, self.level).pieces()
            yield from PowersAbove(self.problem, self.seed, self.level).pieces()
        if self.problem.unit == "add":
            yield from DecidingSums(self.problem, self.seed, self.level).pieces()
            yield from AfarSums(self.problem, self.seed, self.level).pieces()
            yield from SparedSums(self.problem, self.seed, self.level).pieces()
            yield from ZeroOperands(reach, self.seed, self.level).pieces()
            yield from EqualUnits(self.problem, self.seed, self.level).pieces()
            yield from LowestBits(self.problem, self.seed, self.level).pieces()
            yield from VanishingSums(reach, self.seed, self.level).pieces()
        yield from self.random_words.pieces

    def searches(self) -> Sequence[Search]:
        """Return a search among few vectors, then one among all numbers of narrow operands where they are rounded."""
        closing = Closing(Reach(self.problem), self.seed, self.level)
        return (
            lambda missing: (self._supplied(closing.few(missing), _SOUGHT - 1), {}),
            lambda missing: self._sought(closing, missing),
        )

    def _sought(self, closing: Closing, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        stimulus, reasons = closing.sought(self.families, missing)
        return self._supplied(stimulus, _SOUGHT), reasons

    def _supplied(self, stimulus: Stimulus, number: int) -> Stimulus:
        if not stimulus:
            return {}
        return acceptable(self.problem, self._with_supplied(stimulus, len(stimulus["a_elements"]), number))

    def facts(self, stimulus: Fields, answer: Fields) -> Any:
        """Return the facts of the blocks of results."""
        return block_facts(self.problem, stimulus, answer)


class DotPlan(Plan):
    """The plan of `dot`."""

    @cached_property
    def _stimulus(self) -> DotStimulus:
        kind = BlockDotStimulus if self.problem.results else DotStimulus
        return kind(self.problem, self.seed, self.level)

    @cached_property
    def _found_bins(self) -> list[FoundBins]:
        makers = (
            *(moved_bits, distance_bits, lone_bits, remainders, infinite_bins, lifted_ends),
            *(small_numbers, after_zeros, register_ends, converted_sums, moved_products, broken_ties, binades),
        )
        return [make(self._stimulus) for make in makers]

    def _families(self) -> list[Family[Any]]:
        found: list[Family[Any]] = [*dot_families(self.problem, self._stimulus)]
        found.append(carry_family(self.problem, self._stimulus))
        found.append(lost_family(self.problem, self._stimulus))
        found.append(addition_family(self.problem, self._stimulus))
        found += single_bit_families(self._stimulus)
        found += [made.family for made in self._found_bins]
        if self.problem.results:
            found += result_families(self.problem, self._stimulus, self.level)
        for which, preset in (("a", self.problem.a_flat), ("b", self.problem.b_flat)):
            found.append(code_family(f"{which}_exponent", f"{which}_exponents", telling_exponents(preset.format)))
            found.append(lane_family(f"{which}_elements", preset.format, self.problem.elements, self.level))
        return found

    def _crosses(self) -> list[Family[Any]]:
        return dot_crosses(self.problem, self._stimulus)

    def _pieces(self) -> Iterator[Stimulus]:
        yield from self._stimulus.pieces()
        yield lost_bits(self._stimulus)
        yield added(self._stimulus)
        yield single_bits(self._stimulus)
        yield from (made.stimulus for made in self._found_bins)
        if isinstance(self._stimulus, BlockDotStimulus):
            yield from ResultStimulus(self._stimulus, ResultReach(self.problem)).pieces()

    def searches(self) -> Sequence[Search]:
        """Return the one that makes blocks of results, where there are such."""
        return (self._results,)

    def _results(self, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        if not isinstance(self._stimulus, BlockDotStimulus):
            return {}, {}
        found = ResultStimulus(self._stimulus, ResultReach(self.problem)).sought(missing)
        return (acceptable(self.problem, found) if found else {}), {}

    @cached_property
    def _closing(self) -> DotClosing:
        kind = BlockDotClosing if self.problem.results else DotClosing
        return kind(self.problem, self.seed, self.level)

    def candidates(self, name: str) -> Iterator[Stimulus]:
        """Yield sums for one missing bin."""
        yield from (acceptable(self.problem, piece) for piece in self._closing.sought(name))

    def facts(self, stimulus: Fields, answer: Fields) -> Any:
        """Return the vectors with their traces."""
        rows = len(answer["flags"])
        vectors = [traced_vector(self.problem, row_of(stimulus, row)) for row in range(rows)]
        return DotFacts(
            row_pairs(self.problem, stimulus),
            [result for vector in vectors for result in vector.results],
            self._turned(stimulus, answer),
            vectors,
            result_facts(self.problem, stimulus, answer, vectors) if self.problem.results else None,
        )

    def _turned(self, stimulus: Fields, answer: Fields) -> Any:
        """Return which vectors have another answer when their slots follow each other the other way round."""
        plan = self._stimulus
        if plan.lanes % plan.slot or plan.slots == 1:
            return np.zeros(len(answer["flags"]), np.int64)
        rows = {name: self.problem.results or 1 if name.startswith("b_") else 1 for name in stimulus}
        turned = {
            name: items.reshape(len(items) * rows[name], plan.slots, -1)[:, ::-1].reshape(items.shape)
            for name, items in stimulus.items()
        }
        other = expected(self.problem, acceptable(self.problem, turned))
        differs = [(other[name] != answer[name]).any(axis=1) for name in answer if not name.startswith("accumulator")]
        return np.any(differs, axis=0).astype(np.int64)
