"""Two numbers of one block: which can be the larger one, and how far they lie apart (spec 12.10)."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from bfpemu.codec.translate import kernel_source
from bfpemu.formats import BFPSpec, SourceStep, StepCarry, StepOverflow, StepUnderflow
from bfpemu.kernels.source import FINITE
from bfpemu.vectors.blocks.source_numbers import operand_numbers
from bfpemu.vectors.operands.meetings import Meetings, Piece

NO_PAIR = "no two numbers of a block of these formats lie so; all were looked at"


class Pair(NamedTuple):
    """A number and another one of its block, by their places in a piece, lowered by the shifts of their sub-blocks."""

    piece: Piece
    own: int
    other: int
    own_lowered: int = 0
    other_lowered: int = 0


class Pairs:
    """Pairs for missing bins ``largest.lane….way.sign``, ``largest.way.sign`` and ``distance.….sign``."""

    def __init__(self, meetings: Meetings, missing: set[str]) -> None:
        self.meetings = meetings
        self.shifts = sum(spec.largest_shift for spec in meetings.operands)
        wanted: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for name in sorted(missing):
            parts = name.split(".")
            if parts[0] == "largest" and len(parts) == 4:
                wanted.setdefault((parts[2], parts[3]), []).append((int(parts[1].removeprefix("lane")), name))
            elif parts[0] == "largest" and len(parts) == 3:
                wanted.setdefault((parts[1], parts[2]), []).append((0, name))
            elif parts[0] == "distance":
                wanted.setdefault((parts[1], parts[2]), []).append((len(wanted), name))
        self.found: list[tuple[int, Pair]] = []
        """Lanes with pairs to be tried there."""
        self.left = wanted
        """Ways and signs of which no piece has a pair yet, with lanes and names of their bins."""

    def look(self, piece: Piece) -> None:
        """Look for what is left among the numbers of a piece."""
        lanes = self.meetings.problem.elements
        for way, sign in list(self.left):
            if pairs := self._pairs(piece, way, sign == "neg"):
                # Pieces of further steps say the same of the largest; distances are cheap.
                places = self.left.pop((way, sign))
                self.found += [(lane % lanes, pair) for lane, _ in places for pair in pairs]

    def reasons(self) -> dict[str, str]:
        """Return why bins cannot occur, once all pieces were looked at."""
        problem = self.meetings.problem
        if self.meetings.is_narrow and not self.meetings.reach.is_loose:
            known = [places for (way, _), places in self.left.items() if self._looked_at_all(way)]
        elif self.left and problem.unit != "add" and not self.shifts and self.meetings.has_whole_blocks:
            loose = LooseTops(self.meetings)
            known = [places for (way, sign), places in self.left.items() if not loose.have(way, sign == "neg")]
        else:
            known = []
        return {name: NO_PAIR for places in known for _, name in places}

    def _looked_at_all(self, way: str) -> bool:
        """Whether every two numbers of a block that may lie so are in one piece."""
        problem = self.meetings.problem
        if problem.unit != "add" or not way.isdigit():
            return True
        # Shifts move sums of one block to other steps; far numbers lie in sums at far steps.
        bits = sum(spec.mantissa_bits for spec in self.meetings.operands)
        return not self.shifts and int(way) + bits <= self.meetings.farthest_step

    def _pairs(self, piece: Piece, way: str, negative: bool) -> list[Pair]:
        of_sign = np.flatnonzero(piece.negative == negative)
        if not of_sign.size:
            return []
        order = of_sign[np.lexsort((piece.mantissa[of_sign], piece.top[of_sign]))]
        if way == "alone":
            return [Pair(piece, int(order[-1]), int(order[-1])), Pair(piece, int(order[0]), int(order[0]))]
        if way == "by_exponent":
            own, other = int(order[-1]), int(piece.top.argmin())
            lowered = 0 if piece.top[other] < piece.top[own] else self.shifts
            if piece.top[other] - lowered >= piece.top[own]:
                return []
            # A source chain may make a zero of the smallest.
            lower = np.where(piece.top < piece.top[own], piece.top, piece.top.min())
            return [Pair(piece, own, other, 0, lowered), Pair(piece, own, int(lower.argmax()), 0, lowered)]
        if way == "by_fraction":
            return self._by_fraction(piece, order)
        return self._apart(piece, order, int(way))

    @staticmethod
    def _by_fraction(piece: Piece, order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[Pair]:
        """Return a number and a smaller one of its binade."""
        for own in order[::-1].tolist():
            smaller = (piece.top == piece.top[own]) & (piece.mantissa < piece.mantissa[own])
            if smaller.any():
                return [Pair(piece, own, int(np.flatnonzero(smaller)[0]))]
        return []

    def _apart(self, piece: Piece, order: np.ndarray[tuple[int], np.dtype[np.int64]], distance: int) -> list[Pair]:
        """Return a number that lies so many binades below another."""
        tops, first = np.unique(piece.top, return_index=True)
        for own in order[np.unique(piece.top[order], return_index=True)[1]].tolist():
            for shift in range(-self.shifts, self.shifts + 1):
                own_lowered, other_lowered = max(-shift, 0), max(shift, 0)
                place = np.searchsorted(tops, piece.top[own] - own_lowered + distance + other_lowered)
                if place < len(tops) and tops[place] == piece.top[own] - own_lowered + distance + other_lowered:
                    return [Pair(piece, own, int(first[place]), own_lowered, other_lowered)]
        return []


class LooseTops:
    """The binades of the numbers of a block where codes may stand for numbers far from each other.

    Every pair of exponents is looked at, as sets of binades by sign: there may be more here than in blocks.
    """

    def __init__(self, meetings: Meetings) -> None:
        self.meetings, self.conversion = meetings, meetings.problem.target.conversion
        infinity = kernel_source(meetings.problem.source_kind, self.conversion).special_exponent
        specs = meetings.operands
        self.has_powers = all(spec.magnitude_bits == 1 for spec in specs)
        sets = [_tops_of(spec) for spec in specs]
        blocks = set(sets[0])
        if len(sets) == 2:
            # Away from the ends of the exponents one operand's only move those of the other.
            ends = [{*one[: spec.mantissa_bits + 2], *one[-2:]} for one, spec in zip(sets, specs, strict=True)]
            pairs = {*product(set(sets[0]), ends[1]), *product(ends[0], set(sets[1]))}
            blocks = {_products(x, y) for x, y in pairs}
        low, high = meetings.reach.tops
        self.found: set[tuple[str, bool]] = set()
        self._rounded: dict[int, set[int]] = {}
        for block in blocks:
            placed = {(sign, infinity if top == _INFINITE else top) for sign, top, _ in block}
            chained = {(sign, other) for sign, top in placed for other in self._chained(top)}
            self._note({(sign, top) for sign, top in chained if low <= top <= high})

    def _chained(self, top: int) -> set[int]:
        """Return the binades in which a source chain may put numbers of one."""
        if top in self._rounded:
            return self._rounded[top]
        found, precision = {top}, self.meetings.reach.precision_read
        for step in self.conversion.source_chain:
            found = {other for one in found for other in _rounded_tops(step, one, precision)}
            precision = min(precision, step.fraction_bits + 1)
        self._rounded[top] = found
        return found

    def _note(self, block: set[tuple[bool, int]]) -> None:
        for sign, top in block:
            self.found.add(("alone", sign))
            for _, other in block:
                if other < top:
                    self.found.add(("by_exponent", sign))
                if other >= top:
                    self.found.add((str(other - top), sign))

    def have(self, way: str, negative: bool) -> bool:
        """Whether some block has a largest number of this sign and kind, or numbers so far apart."""
        return not self.has_powers if way == "by_fraction" else (way, negative) in self.found


def _rounded_tops(step: SourceStep, top: int, precision: int) -> set[int]:
    """Return the binades in which a step may put numbers of so many bits of one binade (spec 3.4)."""
    low, carries = step.minimum_exponent, step.carry is StepCarry.EXPONENT
    kept = step.fraction_bits + 1 - max(low - top, 0)
    found = ({top} if kept > 0 else set()) | ({max(top + 1, low - step.fraction_bits)} if precision > kept else set())
    if top < low and step.underflow is StepUnderflow.SMALLEST_NORMAL:
        found = {low}
    elif top < low and step.underflow is StepUnderflow.FLUSH:
        found &= {low}
    if not carries and kept > 0:
        found &= {top}
    if step.overflow is StepOverflow.UNBOUNDED:
        return found
    return {min(one, step.maximum_exponent + (step.overflow is StepOverflow.INFINITY)) for one in found}


_INFINITE = 1 << 20
Tops = frozenset[tuple[bool, int, int]]
"""Sign, ``floor(log2)`` and mantissa of numbers of one block: of each binade the least and the largest."""


def _tops_of(spec: BFPSpec) -> list[Tops]:
    """Return for each exponent what the numbers of a block are, and infinities."""
    codes = range(1 << spec.mantissa_bits)
    found = []
    for shift in range(spec.largest_shift + 1):
        numbers = operand_numbers(spec, codes, range(spec.largest_exponent_code + 1), shift)
        tops = np.where(numbers.kinds == FINITE, numbers.tops - 1, _INFINITE)
        counts = (numbers.kinds != FINITE) | (numbers.mantissas != 0)
        for row, here in enumerate(counts):
            ends: dict[tuple[bool, int], list[int]] = {}
            columns = (numbers.negatives[row][here], tops[row][here], numbers.mantissas[row][here])
            for sign, top, mantissa in zip(*(column.tolist() for column in columns), strict=True):
                ends.setdefault((sign, top), []).append(mantissa)
            found.append(frozenset((*key, end) for key, some in ends.items() for end in (min(some), max(some))))
    return found


def _products(x: Tops, y: Tops) -> Tops:
    """Return what the products of numbers are at most."""
    found = set()
    for (one, top, mantissa), (other, second, factor) in product(x, y):
        if _INFINITE in (top, second):
            found.add((one != other, _INFINITE, 0))
        else:
            found.add((one != other, top + second + (mantissa * factor >> 127), 0))
    return frozenset(found)
