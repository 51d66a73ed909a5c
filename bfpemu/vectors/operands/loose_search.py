"""A search for bins in every block of narrow codes that may stand for numbers far from each other (spec 12.10)."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

import numpy as np

from bfpemu.formats import ExponentRule
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, Mask, UInt64Array, facts_at
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import Side, coded
from bfpemu.vectors.operands.loose_blocks import LooseBlock, LooseBlocks
from bfpemu.vectors.operands.source_blocks import FAR
from bfpemu.vectors.operands.source_pairs import NO_PAIR
from bfpemu.vectors.operands.source_search import NO_BLOCK

_SOME = 12
"""Vectors that are made for a bin of a number."""
_PAIRS = 2
"""Vectors that are made for a bin of two numbers."""
Way = tuple[str, bool]
"""How a number lies beside another one, and whether it is negative."""
_KEPT = np.arange(-FAR, FAR + 1)


class Pair(NamedTuple):
    """A number of a block and the one that gives the block its exponent, or lies below: codes of both operands."""

    own: tuple[int, int]
    other: tuple[int, int]
    exponents: tuple[int, int]
    lane: int = 0


class LooseSearch:
    """Vectors for missing bins, and why others of these cannot occur.

    Parameters
    ----------
    blocks : LooseBlocks
    wanted : list
        Families, and of each the numbers and names of missing bins that are about one number and its place.
    missing : set of str
        Bins; those of pairs of numbers are looked for among them.
    """

    def __init__(
        self, blocks: LooseBlocks, wanted: list[tuple[Family[BlockFacts], dict[int, str]]], missing: set[str]
    ) -> None:
        # What saturates is no number where it is rounded, and nothing is said of it here.
        wanted = [
            (family, {n: name for n, name in some.items() if not name.endswith("infinity")}) for family, some in wanted
        ]
        self.blocks, self.wanted = blocks, wanted
        self.size = blocks.spec.elements_per_block or 1
        self.ways: dict[Way, list[tuple[int, str]]] = {}
        for name in sorted(missing):
            parts = name.split(".")
            if parts[0] == "distance":
                self.ways.setdefault((parts[1], parts[2] == "neg"), []).append((0, name))
            elif parts[0] == "largest" and len(parts) > 2:
                lane = int(parts[1].removeprefix("lane")) if len(parts) == 4 else 0
                if lane >= blocks.problem.elements:
                    continue  # where a vector is shorter than a block
                self.ways.setdefault((parts[-2], parts[-1] == "neg"), []).append((lane, name))
        self.telling: dict[int, dict[tuple[bool, int], list[str]]] = {}
        """Mantissas of which some place has missing bins: sign and bits before the binary point -> the bins."""
        self._known = np.zeros(0, np.uint64)
        self._hits = np.zeros(0, np.uint64)
        self._tells = np.zeros((0, 2, len(_KEPT)), np.bool_)
        """Whether a mantissa of `_hits` has missing bins: by sign and bits before the binary point."""
        self._compared: set[bytes] = set()
        self.pairs: dict[str, list[Pair]] = {}
        widest = 0
        for block in blocks:
            widest = max(widest, int(block.top.max() - block.top.min()))
            if self.wanted:
                self._meet(block)
            if self.ways:
                self._compare(block)
        self.reasons = {name: NO_PAIR for places in self.ways.values() for _, name in places}
        self.reasons |= {name: NO_BLOCK for _, numbers in wanted for name in numbers.values()}
        self.reasons = {name: reason for name, reason in self.reasons.items() if name not in self.pairs}
        if "block.one_large_among_small" in missing and widest < blocks.spec.magnitude_bits:
            self.reasons["block.one_large_among_small"] = NO_PAIR

    def vectors(self, sides: list[Side], lanes: int) -> Stimulus:
        """Return vectors of two numbers, 0 elsewhere."""
        rows = [pair for some in self.pairs.values() for pair in some[:: max(len(some) // _SOME, 1)]]
        found: Stimulus = {}
        for number, side in enumerate(sides if rows else []):
            elements = np.zeros((len(rows), lanes), np.uint64)
            for row, pair in enumerate(rows):
                if lanes > 1:
                    beside = pair.lane ^ 1 if pair.lane ^ 1 < lanes else pair.lane - 1
                    elements[row, beside] = pair.other[number] if pair.other != pair.own else 0
                elements[row, pair.lane] = pair.own[number]
            found |= coded(side, elements, np.array([pair.exponents[number] for pair in rows]))
        return found

    # -------------------------------------------------------------- a number where it is rounded

    def _meet(self, block: LooseBlock) -> None:
        self._learn(np.setdiff1d(block.mantissa, self._known))
        if not self._hits.size:
            return
        places = np.minimum(np.searchsorted(self._hits, block.mantissa), len(self._hits) - 1)
        chosen = np.flatnonzero(self._hits[places] == block.mantissa)
        if self.size == 1:
            for units, kept in zip(*self.blocks.units(block), strict=True):
                for own, names in self._told(block, chosen, places, units[chosen], kept[chosen]):
                    self._note_all(names, block, own, own)
            return
        holders, lowers = self.blocks.holders(block), self.blocks.conversion.exponent_rule is ExponentRule.LOWER_ERROR
        for unit, at in zip(holders.unit.tolist(), holders.at.tolist(), strict=True):
            units = np.full(len(chosen), unit)
            for own, names in self._told(block, chosen, places, units, self._fits(block, chosen, at)):
                # Beside others `lower_error` seldom takes the lower exponent; alone a number has its own.
                is_alone = lowers and self.blocks.unit_of(block, own) == unit
                self._note_all(names, block, own, own if is_alone else at)

    def _told(
        self, block: LooseBlock, chosen: Int64Array, places: Int64Array, units: Int64Array, fits: Mask
    ) -> Iterator[tuple[int, list[str]]]:
        """Yield those of some numbers that fit and have missing bins at their units, with the bins."""
        kept = np.clip(block.top[chosen] - units, -FAR, FAR)
        tells = fits & self._tells[places[chosen], block.negative[chosen].astype(np.int64), kept + FAR]
        for own, places_kept in zip(chosen[tells].tolist(), kept[tells].tolist(), strict=True):
            yield own, self.telling[int(block.mantissa[own])][bool(block.negative[own]), places_kept]

    def _note_all(self, names: list[str], block: LooseBlock, own: int, other: int) -> None:
        for name in names:
            self._note(name, block, own, other)

    def _fits(self, block: LooseBlock, chosen: Int64Array, at: int) -> Mask:
        """Return which numbers may be beside the one that gives a block its exponent, or are it."""
        if at < 0:
            beside: Mask = np.ones(len(chosen), np.bool_)
            return beside
        top, mantissa = block.top[chosen], block.mantissa[chosen]
        found: Mask = (top < block.top[at]) | ((top == block.top[at]) & (mantissa <= block.mantissa[at]))
        return found

    def _learn(self, mantissas: UInt64Array) -> None:
        """Look at mantissas, which were not there yet, at every place."""
        if not mantissas.size:
            return
        self._known = np.union1d(self._known, mantissas)
        columns = np.repeat(mantissas, len(_KEPT)), np.tile(_KEPT, len(mantissas))
        for negative in (False, True):
            signs = np.full(len(columns[0]), negative)
            facts = facts_at(self.blocks.problem, signs, columns[0], columns[1], np.zeros(len(signs), np.int64))
            for family, numbers in self.wanted:
                bins = family.find(facts)[0]
                for at in np.flatnonzero(np.isin(bins, list(numbers))).tolist():
                    place = negative, int(columns[1][at])
                    hits = self.telling.setdefault(int(columns[0][at]), {})
                    hits.setdefault(place, []).append(numbers[int(bins[at])])
        self._hits = np.array(sorted(self.telling), np.uint64)
        self._tells = np.zeros((len(self._hits), 2, len(_KEPT)), np.bool_)
        for row, mantissa in enumerate(self._hits.tolist()):
            for negative, kept in self.telling[mantissa]:
                self._tells[row, int(negative), kept + FAR] = True

    # ------------------------------------------------------------------ two numbers of a block

    def _compare(self, block: LooseBlock) -> None:
        left = {way: places for way, places in self.ways.items() if len(self.pairs.get(places[0][1], ())) < _PAIRS}
        for way, own, other in self._apart(block, left) if left else ():
            for lane, name in left[way]:
                self._note(name, block, own, other, lane)

    def _apart(self, block: LooseBlock, left: Container[Way]) -> Iterator[tuple[Way, int, int]]:
        """Yield ways in which numbers of a block lie, each with a number of the sign and the one beside it."""
        keys, first = np.unique(2 * block.top + block.negative, return_index=True)
        for negative in (False, True):
            way = "by_fraction", negative
            if self.size > 1 and way in left and (pair := _by_fraction(block, negative)):
                yield (way, *pair)
        tops, signs = keys >> 1, keys & 1
        shape = ((tops - tops[0]) * 2 + signs).tobytes()
        if shape in self._compared:
            return
        self._compared.add(shape)
        for own, (top, sign) in enumerate(zip(tops.tolist(), signs.tolist(), strict=True)):
            negative = bool(sign)
            if ("alone", negative) in left:
                yield ("alone", negative), int(first[own]), int(first[own])
            if self.size > 1 and top > tops[0] and ("by_exponent", negative) in left:
                yield ("by_exponent", negative), int(first[own]), int(first[0])
            for other in range(own if self.size > 1 else len(tops), len(tops)):
                if (way := (str(int(tops[other]) - top), negative)) in left:
                    yield way, int(first[own]), int(first[other])

    def _note(self, name: str, block: LooseBlock, own: int, other: int, lane: int = 0) -> None:
        found = self.pairs.setdefault(name, [])
        if len(found) >= _SOME * _SOME:
            return
        codes = int(block.x[own]), int(block.y[own])
        beside = (int(block.x[other]), int(block.y[other])) if other >= 0 else block.infinite
        assert beside is not None
        found.append(Pair(codes, beside, (block.a_code, block.b_code), lane))


def _by_fraction(block: LooseBlock, negative: bool) -> tuple[int, int] | None:
    """Return a number of a sign and a smaller one of its binade, or None."""
    order = np.lexsort((block.mantissa, block.top))
    tops, starts = np.unique(block.top[order], return_index=True)
    least = block.mantissa[order][starts][np.searchsorted(tops, block.top)]
    larger = np.flatnonzero((block.negative == negative) & (block.mantissa > least))
    if not larger.size:
        return None
    own = int(larger[0])
    return own, int(order[starts][np.searchsorted(tops, block.top[own])])
