"""Which bits a number of each kind is rounded from, in an output of floats (spec 6.2, 6.8, 12.14)."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

from bfpemu.formats import Rounding
from bfpemu.formats.float_format import Subnormals
from bfpemu.formats.unit import AccumulatorKind, FloatFormat, ScalePoint
from bfpemu.reference.rounding import round_to_integer
from bfpemu.vectors.dot.addend_ends import Numbers, group_sums, held_numbers
from bfpemu.vectors.dot.addition_reach import number_cells
from bfpemu.vectors.dot.result_bins import has_infinity
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.sum_bins import bits_of_sums
from bfpemu.vectors.dot.sum_digits import CELLS

_ANY = 1 << 20
_SIGNS = {"pos": 1, "neg": -1}


class OutputReach:
    """The kinds of numbers that an output becomes, of all that an accumulator may hold in the end.

    Parameters
    ----------
    stimulus : DotStimulus
    output : FloatFormat
    """

    def __init__(self, stimulus: DotStimulus, output: FloatFormat) -> None:
        self.stimulus, self.output, self.emin = stimulus, output, 1 - output.bias

    @cached_property
    def held(self) -> list[Numbers]:
        """What contains all finite numbers that the accumulator holds in the end."""
        stimulus, accumulator = self.stimulus, self.stimulus.unit.accumulator
        if is_exact_leaf(stimulus):
            return [group_sums(stimulus)]
        if accumulator.format is not None:
            return held_numbers(stimulus, stimulus.groups)
        sums = group_sums(stimulus)
        most = stimulus.ends[1] + bits_of_sums(stimulus)
        if accumulator.bits is None:
            return [Numbers(sums.lowest, most, sums.lowest, sums.span if stimulus.groups == 1 else _ANY)]
        lowest = stimulus.ends[0] + stimulus._width() - accumulator.fraction_bits
        highest = stimulus.ends[1] + stimulus._width() - accumulator.fraction_bits
        if accumulator.kind is AccumulatorKind.FIXED:
            lowest = highest = accumulator.lsb_exponent
        # The least number, of one bit more, has no other bit.
        return [Numbers(lowest, highest + accumulator.bits - 1, lowest, max(accumulator.bits - 2, 0))]

    @cached_property
    def found(self) -> frozenset[tuple[str, str, int]]:
        """Kinds, signs and cells of the outputs that there may be."""
        point = self.output.fraction_bits
        found, seen = set(), set()
        for numbers, top in ((one, top) for one in self.held for top in range(one.least, one.most + 1)):
            cells = number_cells(numbers.bits(top), max(top, self.emin) - point)
            # All of what lies between the ends, above them or far below is alike.
            place = min(max(top, self.emin - point - 3), self.output.bias + 1)
            key = (self.emin if self.emin <= place < self.output.bias else place, cells)
            if key not in seen:
                seen.add(key)
                found |= {
                    (kind, sign, cell) for sign in _SIGNS for cell in cells for kind in self._kinds(top, sign, cell)
                }
        return frozenset(found)

    def _kinds(self, top: int, sign: str, cell: int) -> set[str]:
        """Return what numbers with the leading bit at a place may become."""
        rounds_up, point = self._rounds_up[sign, cell], self.output.fraction_bits
        is_odd = bool(cell >> 2)
        above = {"infinity" if has_infinity(self.output, negative=sign == "neg") else "normal"}
        if top > self.output.bias:
            return above
        if top >= self.emin:
            # Only all ones are rounded up to the next power of two.
            return {"normal"} | (above if top == self.output.bias and rounds_up and is_odd else set())
        is_flushed = self.output.subnormals is Subnormals.FLUSH
        if top < self.emin - point and not rounds_up:
            return {"zero"}
        small = {"zero" if is_flushed else "subnormal"}
        return small | ({"normal"} if top == self.emin - 1 and rounds_up and is_odd else set())

    @cached_property
    def _rounds_up(self) -> dict[tuple[str, int], bool]:
        """Whether a magnitude of a sign and cell becomes the next larger one."""
        found = {}
        for sign, cell in ((sign, cell) for sign in _SIGNS for cell in range(CELLS)):
            whole, guard, sticky = cell >> 2, cell >> 1 & 1, cell & 1
            exact = _SIGNS[sign] * (whole + Fraction(2 * guard + sticky, 4))
            found[sign, cell] = abs(round_to_integer(exact, self.output.rounding)) > whole
        return found


def is_exact_leaf(stimulus: DotStimulus) -> bool:
    """Whether the one group sum of a tree is what comes to the output, not rounded before (spec 6.7)."""
    unit = stimulus.unit
    return (
        unit.pairwise
        and stimulus.groups == 1
        and (unit.accumulator.fused or unit.accumulator.kind is AccumulatorKind.ALIGNED)
    )


def why_not_small(stimulus: DotStimulus, output: FloatFormat, kind: str) -> str | None:
    """Return why, of two group sums, one that overflows to the largest number leaves no zero or subnormal number."""
    accumulator = stimulus.unit.accumulator
    held = accumulator.format
    if stimulus.groups != 2 or held is None or accumulator.scale_point is ScalePoint.AFTER_CONVERSION:
        return None
    span, point, below = group_sums(stimulus).span, held.fraction_bits, accumulator.fraction_bits
    if kind == "subnormal" and held.bias - 1 - max(span, point, below) >= 1 - output.bias:
        # What is close to the largest number ends at places that far below it.
        return "two numbers, one of them the largest, leave no number so small"
    # The largest number is cut at a place above its own last one only where the sum ends above that place.
    is_cut = accumulator.kind is not AccumulatorKind.ALIGNED or not (
        accumulator.alignment_rounding is Rounding.TOWARD_ZERO and below > stimulus._width()
    )
    if kind == "zero" and not is_cut and span < min(point, below):
        return "a group sum has fewer bits than the largest number"
    return None
