"""Stimulus for crosses of bins, of which only what hits one that is left is kept (spec 12.14)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np

from bfpemu.formats import BFPSpec
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.code_stimulus import code_of
from bfpemu.vectors.blocks.facts import BlockFacts
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus, acceptable, filling
from bfpemu.vectors.blocks.lane_turns import has_lanes
from bfpemu.vectors.blocks.operand_crosses import exponent_ends, kinds_of_codes
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus, joined
from bfpemu.vectors.blocks.places import Places
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.dot.cross_stimulus import BlockDotCrossStimulus, DotCrossStimulus
from bfpemu.vectors.dot.place_sums import PlaceSums
from bfpemu.vectors.encode.cross_stimulus import EncodeCrossStimulus
from bfpemu.vectors.encode.crosses import block_crosses
from bfpemu.vectors.sets.plan import Plan
from bfpemu.vectors.words import AnyArray, taken

_ELEMENTS = 1 << 19
"""Elements of the filling that is looked through, and of vectors of dot products so many fewer."""
_DOT_SHARE = 16
_SUPPLIED = 50
"""The first stream of pseudo-random words for supplied fields of the pieces here (`Plan`)."""


class Crossing:
    """Vectors that may hit crosses which no other directed vector hits.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.problem = plan, plan.problem
        self._numbers = 0

    def first(self) -> Iterator[Stimulus]:
        """Yield what is made for crosses, then filling."""
        for piece in self._encode() if self.problem.unit == "encode" else self._codes():
            if len(next(iter(piece.values()), ())):
                yield self._supplied(piece)
        share = _DOT_SHARE if self.problem.unit == "dot" else 1
        rows = max(_ELEMENTS // share // self.problem.elements // (self.problem.results or 1), 64)
        for begin in range(0, rows, 1024):
            # The filling of the set itself starts at the same seed, and at vector 0.
            yield filling(self.problem, self.plan.seed ^ 1 << 63, begin, min(1024, rows - begin))

    def then(self, parts: Iterable[Stimulus]) -> Iterator[Stimulus]:
        """Yield vectors with their exponents moved to both ends of the range, then with their lanes turned."""
        if self.problem.unit in ("dot", "decode"):
            return
        chosen = _Chosen(self.plan, block_crosses(self.problem, has_lanes=False))
        base = chosen.of(parts)
        if not base:
            return
        more = []
        for step in self._steps(base):
            moved = self._moved(base, step)
            yield moved
            more += [found for found in [chosen.of([moved])] if found]
        base = joined([base, *more])
        for turn in range(1, self.problem.target.format.elements_per_block or 1):
            yield {name: np.roll(items, turn, axis=1) if has_lanes(name) else items for name, items in base.items()}

    def _encode(self) -> Iterator[Stimulus]:
        for patterns in EncodeCrossStimulus(Reach(self.problem), self.plan.seed, self.plan.level).pieces():
            yield {"x": patterns}

    def _codes(self) -> Iterator[Stimulus]:
        """Yield every pair of kinds of elements in every lane, and every pair of exponents that are crossed."""
        stimulus = OperandStimulus(self.problem, self.plan.seed, self.plan.level)
        lanes = self.problem.elements
        kinds = [[*kinds_of_codes(side.spec).values(), _other(side.spec)] for side in stimulus.sides]
        pairs = list(product(*kinds))
        at = (np.arange(max(len(pairs), lanes))[:, None] + np.arange(lanes)) % len(pairs)
        ends = list(product(*(exponent_ends(side.spec) for side in stimulus.sides)))
        telling: Stimulus = {}
        for place, side in enumerate(stimulus.sides):
            codes = np.array([pair[place] for pair in pairs], np.uint64)[at]
            exponents = np.array([pair[place] for pair in ends])
            prefix = "" if self.problem.unit == "decode" else side.prefix
            rows = np.tile(codes, (len(ends), 1)) if self.problem.unit == "decode" else codes
            of_rows = np.repeat(exponents, len(codes)) if self.problem.unit == "decode" else side.middle
            own = stimulus.fields(side, rows, of_rows)
            apart = stimulus.fields(side, codes[np.arange(len(ends)) % len(codes)], exponents)
            telling |= {
                f"{prefix}{name.removeprefix(side.prefix)}": np.concatenate([own[name], apart[name]]) for name in own
            }
        if self.problem.results:  # every row of the second operand is alike
            repeats = (1, self.problem.results)
            telling |= {name: np.tile(items, repeats) for name, items in telling.items() if name.startswith("b_")}
        yield telling
        if self.problem.unit == "dot":
            kind = BlockDotCrossStimulus if self.problem.results else DotCrossStimulus
            yield from kind(self.problem, self.plan.seed, self.plan.level).pieces()
            if self.problem.results:
                yield from PlaceSums(self.problem, self.plan.seed, self.plan.level).pieces()
        elif self.problem.unit != "decode":
            yield self._alone(stimulus)
            yield self._of_pairs(stimulus)

    def _of_pairs(self, stimulus: OperandStimulus) -> Stimulus:
        """Return two numbers of a block for each cross that two are known to hit, in two lanes of every block."""
        reach = Reach(self.problem)
        pairs = Places(reach).pairs
        if not pairs.is_known:
            return {}
        size, lanes = reach.spec.elements_per_block or 1, np.arange(self.problem.elements)
        found = list(dict.fromkeys(pairs.hits.values()))
        piece: Stimulus = {}
        for place, side in enumerate(stimulus.sides):
            codes = [np.array([example[part][place] for example in found], np.uint64)[:, None] for part in (1, 2)]
            zero = np.uint64(0)
            elements = np.where(lanes % size == 0, codes[0], np.where(lanes % size == 1, codes[1], zero))
            exponents = np.array([example.exponents[place] for example in found])
            piece |= stimulus.fields(side, elements, exponents)
        return piece

    def _alone(self, stimulus: OperandStimulus) -> Stimulus:
        """Return one bit or a small or extreme significand in every lane among zeros, at the ends of the exponents."""
        one = np.eye(self.problem.elements, dtype=np.uint64)
        low, high = stimulus.a.spec.significand_ends
        bits = [sign << bit for bit in range(stimulus.a.spec.magnitude_bits) for sign in (-1, 1)]
        values = dict.fromkeys((low, -3, -2, -1, 1, 2, 3, high, *bits))
        codes = [code_of(stimulus.a.spec, value) for value in values if low <= value <= high]
        elements = np.concatenate([one * np.uint64(code) for code in codes])
        found = []
        for end in (0, 1, -1, -2):
            piece: Stimulus = {}
            for side in stimulus.sides:
                other = np.full(elements.shape, int(self.problem.unit == "multiply"), np.uint64)
                count = side.spec.largest_exponent_code + 1
                piece |= stimulus.fields(side, elements if side is stimulus.a else other, end % count)
            found.append(piece)
        return joined(found)

    # --------------------------------------------------------------------------------- of any unit

    def _supplied(self, piece: Stimulus) -> Stimulus:
        self._numbers += 1
        rows = len(next(iter(piece.values())))
        return acceptable(self.problem, self.plan._with_supplied(piece, rows, _SUPPLIED + self._numbers))

    def _steps(self, base: Stimulus) -> list[int]:
        """Return how far exponents are moved so that the rule gives those at both ends of the range."""
        if self.problem.needs_exponents:
            return []
        spec = self.problem.target.format
        facts = self.plan.facts(base, expected(self.problem, base))
        assert isinstance(facts, BlockFacts)
        here = np.unique(facts.wanted[facts.has_number])
        middle = int(here[len(here) // 2]) if len(here) else 0
        ends = (spec.smallest_exponent, spec.largest_exponent)
        return [end + beside - middle for end in ends for beside in range(-2, 3)]

    def _moved(self, base: Stimulus, step: int) -> Stimulus:
        """Return vectors whose numbers are ``2 ** step`` as large, where codes and patterns allow it."""
        found = dict(base)
        if self.problem.unit == "encode":
            kind = self.problem.kind
            point, ones = np.uint64(kind.fraction_bits), (1 << kind.exponent_bits) - 1
            field = (base["x"] >> point).astype(np.int64) & ones
            moved = np.where((field > 0) & (field < ones), np.clip(field + step, 1, ones - 1), field)
            found["x"] = base["x"] ^ (field ^ moved).astype(np.uint64) << point
            return acceptable(self.problem, found)
        parts = {"multiply": (step // 2, step - step // 2)}.get(self.problem.unit, (step, step))
        for part, prefix, preset in zip(parts, ("a_", "b_"), (self.problem.a_flat, self.problem.b), strict=True):
            if preset is not None:
                codes = base[f"{prefix}exponents"].astype(np.int64) + part
                found[f"{prefix}exponents"] = np.clip(codes, 0, preset.format.all_ones_code).astype(np.uint64)
        return acceptable(self.problem, found)


class _Chosen:
    """The first vectors of those given that hit bins, one for each bin at most."""

    def __init__(self, plan: Plan, families: list[Family[Any]]) -> None:
        self.plan, self.left = plan, Left(families)

    def of(self, pieces: Iterable[Stimulus]) -> Stimulus:
        """Return the vectors of some pieces that hit a bin which none before them hits."""
        kept = []
        for piece in pieces:
            rows = self.left.taken(self.plan.facts(piece, expected(self.plan.problem, piece)), len(piece_of(piece)))
            if rows.size:
                kept.append(taken(piece, rows))
        return joined(kept) if kept else {}


class Left:
    """Bins of some families that no vector has hit yet."""

    def __init__(self, families: Iterable[Family[Any]], missing: Container[str] | None = None) -> None:
        self.families = [
            (family, np.array([*(missing is None or name in missing for name in family.names), False]))
            for family in families
        ]

    def __bool__(self) -> bool:
        """Whether one is left."""
        return any(left.any() for _, left in self.families)

    def taken(self, facts: Any, vectors: int) -> AnyArray:
        """Return the first vector for each bin that is left and hit, in their order; those are left no more."""
        rows = []
        for family, left in self.families:
            found = family.find(facts)
            numbers = found.reshape(vectors, -1) if found.size else np.zeros((vectors, 0), np.int64)
            fresh = np.where(left[numbers], numbers, -1)
            bins, first = np.unique(fresh, return_index=True)
            rows.append(first[bins >= 0] // max(numbers.shape[1], 1))
            left[bins[bins >= 0]] = False
        return np.unique(np.concatenate(rows)) if rows else np.zeros(0, np.int64)


def piece_of(stimulus: Stimulus) -> AnyArray:
    """Return the items of a field, whose first axis is that of vectors."""
    return next(iter(stimulus.values()))


def _other(spec: BFPSpec) -> int:
    """Return a code that is of no kind of its own, or any."""
    kinds = set(kinds_of_codes(spec).values())
    return next((code for code in range(2, 1 << spec.mantissa_bits) if code not in kinds), 0)
