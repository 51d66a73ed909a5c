"""What a unit's set is made of: directed stimulus, the facts of vectors, and bins (spec 12.8, 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain, product
from typing import Any

import numpy as np

from bfpemu.vectors.blocks.acceptance import takes_more_beside_specials
from bfpemu.vectors.blocks.bins import block_families
from bfpemu.vectors.blocks.code_stimulus import DecodeStimulus
from bfpemu.vectors.blocks.decision_bins import decision_families
from bfpemu.vectors.blocks.facts import block_facts
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus, acceptable
from bfpemu.vectors.blocks.operand_stimulus import joined
from bfpemu.vectors.blocks.pseudorandom import words
from bfpemu.vectors.blocks.random_words import RandomWords
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.decode.bins import decode_families
from bfpemu.vectors.decode.crosses import decode_crosses
from bfpemu.vectors.decode.facts import CodeFacts
from bfpemu.vectors.decode.result_kind_bins import kind_rows
from bfpemu.vectors.encode.bins import encode_families
from bfpemu.vectors.encode.chain_bins import chain_families, chain_patterns
from bfpemu.vectors.encode.closing import sought_bits
from bfpemu.vectors.encode.crosses import block_crosses
from bfpemu.vectors.encode.decision_stimulus import deciding_patterns
from bfpemu.vectors.encode.error_stimulus import error_families, error_patterns
from bfpemu.vectors.encode.exact_maxima import exact_families, exact_patterns
from bfpemu.vectors.encode.far_rests import far_rests
from bfpemu.vectors.encode.lift_stimulus import lift_patterns
from bfpemu.vectors.encode.lone_elements import lone_patterns
from bfpemu.vectors.encode.near_maxima import near_families, near_patterns
from bfpemu.vectors.encode.number_search import why_no_number
from bfpemu.vectors.encode.overflow_bins import lifted_patterns, overflow_families, overflow_patterns
from bfpemu.vectors.encode.powers_above import above_families, above_patterns, held_exponent
from bfpemu.vectors.encode.stairs import Stairs, stair_patterns
from bfpemu.vectors.encode.stimulus import EncodeStimulus
from bfpemu.vectors.encode.subnormal_maxima import subnormal_families, subnormal_patterns
from bfpemu.vectors.encode.within_bins import within_families, within_patterns
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray, Fields

_RANDOM, _GIVEN = 31, 32
_BESIDE = 39
"""The piece of the vectors with infinities; there are fewer than 40 pieces."""
Search = Callable[[set[str]], tuple[Stimulus, dict[str, str]]]
"""Missing bins -> vectors that may hit some of them, and why others cannot occur."""


class Plan:
    """The directed half of a set.

    Parameters
    ----------
    problem : Problem
    level : int
        1 or 2.
    seed : int
    """

    def __init__(self, problem: Problem, level: int, seed: int) -> None:
        self.problem, self.level, self.seed = problem, level, seed
        self.families: list[Family[Any]] = self._families() + (self._crosses() if level > 1 else [])

    @property
    def is_exhaustive(self) -> bool:
        """Whether the directed vectors are all inputs, up to the order of elements."""
        return False

    def _families(self) -> list[Family[Any]]:
        raise NotImplementedError

    def _crosses(self) -> list[Family[Any]]:
        """Return the crosses of bins, which level 2 adds (spec 12.14)."""
        return block_crosses(self.problem)

    def directed(self) -> Iterator[Stimulus]:
        """Yield directed stimulus, which the conversion takes, in pieces."""
        for number, piece in enumerate(self._pieces()):
            rows = len(next(iter(piece.values()), ()))
            if rows:
                yield acceptable(self.problem, self._with_supplied(piece, rows, number))

    def _pieces(self) -> Iterator[Stimulus]:
        raise NotImplementedError

    def searches(self) -> Sequence[Search]:
        """Return searches for bins which none of `directed` hits; each sees what those before it left."""
        return ()

    def candidates(self, name: str) -> Iterator[Stimulus]:
        """Yield vectors that may hit one missing bin, piece by piece; after a hit no more are asked for."""
        yield from ()

    def _with_supplied(self, piece: Stimulus, rows: int, number: int) -> Stimulus:
        """Return a piece with random words and exponents where the conversion takes them and the piece has none."""
        found = dict(piece)
        for field in self.problem.stimulus.fields:
            if field.name in found:
                continue
            stream = _RANDOM if field.name == "random" else _GIVEN
            bits = words(self.seed, 40 * stream + number, 0, rows, field.count) >> np.uint64(64 - field.width)
            if field.name == "random":  # every third word is an extreme one
                turn = np.arange(rows)[:, None] + np.arange(field.count)
                bits = np.where(turn % 6 == 0, np.uint64(0), bits)
                bits = np.where(turn % 6 == 3, np.uint64((1 << field.width) - 1), bits)
            found[field.name] = bits
        return found

    def facts(self, stimulus: Fields, answer: Fields) -> Any:
        """Return what the bins are looked for in."""
        raise NotImplementedError


class EncodePlan(Plan):
    """The plan of `encode`."""

    @cached_property
    def random_words(self) -> RandomWords:
        """Bins and vectors of stochastic rounding."""
        has_words = self.problem.needs_random_words
        return RandomWords(self.problem, self.level, far_rests(self._stimulus()) if has_words else None)

    def _stimulus(self) -> EncodeStimulus:
        return EncodeStimulus(Reach(self.problem), self.seed, self.level)

    def _families(self) -> list[Family[Any]]:
        found = [*block_families(self.problem, self.level), *encode_families(self.problem, self.level)]
        reach = Reach(self.problem)
        found += decision_families(reach, self.level)
        found += [*within_families(reach, self.level), *subnormal_families(reach, self.level)]
        found += [*near_families(reach, self.level), *error_families(reach, self.level)]
        found += [*overflow_families(reach, self.level), *chain_families(reach, self.level)]
        found += [*Stairs(reach).families(), *above_families(reach, self.level)]
        return [*found, *exact_families(reach, self.level), *self.random_words.families()]

    def _pieces(self) -> Iterator[Stimulus]:
        stimulus = self._stimulus()
        maxima = deciding_patterns(stimulus), subnormal_patterns(stimulus), near_patterns(stimulus)
        above = overflow_patterns(stimulus), lifted_patterns(stimulus), lift_patterns(stimulus)
        few = error_patterns(stimulus), chain_patterns(stimulus)
        others = *few, within_patterns(stimulus), *above, stair_patterns(stimulus), exact_patterns(stimulus)
        for patterns in chain(stimulus.pieces(), *maxima, others):
            yield {"x": patterns} | self._given(patterns)
        powers = above_patterns(stimulus)
        held = held_exponent(stimulus.reach) + self.problem.target.format.exponent_bias
        yield {"x": powers} | (
            {"exponents": np.full((len(powers), 1), held, np.uint64)} if self.problem.needs_exponents else {}
        )
        yield from self.random_words.pieces
        yield {"x": lone_patterns(stimulus)}

    def _given(self, patterns: AnyArray) -> Stimulus:
        """Return exponents, where they are supplied: those that fit the largest number, and ones beside them."""
        if not self.problem.needs_exponents or not len(patterns):
            return {}
        kind, spec = self.problem.kind, self.problem.target.format
        ones = (1 << kind.exponent_bits) - 1
        fields = (patterns >> np.uint64(kind.fraction_bits)).astype(np.int64) & ones
        highest = np.where(fields < ones, fields, 0).max(axis=1) - (ones >> 1)
        exponent = highest + 1 - spec.magnitude_bits + spec.fraction_bits
        beside = np.array([0, 0, 0, 1, 0, 0, -1])[np.arange(len(patterns)) % 7]
        codes = np.clip(exponent + beside + spec.exponent_bias, 0, spec.largest_exponent_code)
        # A source may have no number that the smallest exponent fits.
        codes = np.where((fields.max(axis=1) == 0) & (beside == 1), 0, codes)
        return {"exponents": codes.astype(np.uint64)[:, None]}

    def searches(self) -> Sequence[Search]:
        """Return those that make blocks with infinities, and for bits far below the unit, and one among all numbers."""
        return self._beside_infinities, self._single_bits, self._of_numbers

    def _beside_infinities(self, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        """Return all vectors again, an infinity in the first lane or the last, where these may have larger numbers."""
        kind, lanes = self.problem.kind, self.problem.target.format.elements_per_block or self.problem.elements
        if not takes_more_beside_specials(kind, self.problem.target) or self.problem.needs_exponents:
            return {}, {}
        pieces = []
        for piece, lane in product(self._pieces(), (0, lanes - 1)):
            patterns = piece["x"].copy()
            patterns[:, lane::lanes] = ((1 << kind.exponent_bits) - 1) << kind.fraction_bits
            pieces.append(acceptable(self.problem, self._with_supplied({"x": patterns}, len(patterns), _BESIDE)))
        return joined(pieces), {}

    def _single_bits(self, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        stimulus = sought_bits(self.problem, missing)
        return acceptable(self.problem, stimulus) if stimulus else {}, {}

    def _of_numbers(self, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        return {}, why_no_number(Reach(self.problem), self.families, missing)

    def facts(self, stimulus: Fields, answer: Fields) -> Any:
        """Return the facts of blocks."""
        return block_facts(self.problem, stimulus, answer)


class DecodePlan(Plan):
    """The plan of `decode`."""

    @property
    def is_exhaustive(self) -> bool:
        """Whether every element is there with every exponent and shift."""
        return DecodeStimulus(self.problem, self.seed, self.level).is_exhaustive

    def _families(self) -> list[Family[Any]]:
        return list(decode_families(self.problem, self.level))

    def _crosses(self) -> list[Family[Any]]:
        return decode_crosses(self.problem)

    def _pieces(self) -> Iterator[Stimulus]:
        stimulus = DecodeStimulus(self.problem, self.seed, self.level)
        yield from stimulus.pieces()
        yield stimulus.block(*kind_rows(self.problem))

    def facts(self, stimulus: Fields, answer: Fields) -> Any:
        """Return codes and answers."""
        return CodeFacts(stimulus, answer)


def plan_of(problem: Problem, level: int, seed: int) -> Plan:
    """Return the plan of a problem's unit."""
    from bfpemu.vectors.sets.arithmetic_plans import DotPlan, ElementwisePlan

    kinds: dict[str, type[Plan]] = {"encode": EncodePlan, "decode": DecodePlan, "dot": DotPlan}
    return kinds.get(problem.unit, ElementwisePlan)(problem, level, seed)
