"""Directed stimulus of `encode` and `requantize` in which single bits decide (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bfpemu.formats import ExponentRule
from bfpemu.vectors.blocks.acceptance import whole_fields
from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.decision_bins import deepest_maximum
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lanes import in_turn
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.near_maxima import near_blocks
from bfpemu.vectors.encode.source_stimulus import Patterns
from bfpemu.vectors.encode.stimulus import EncodeStimulus

_GIVEN_TURNS = 7
"""Supplied exponents are beside the fitting one in turn, so many vectors long."""


def deciding_pairs(reach: Reach) -> list[tuple[int, int, int]]:
    """Return (depth, larger, smaller): integers of as many bits as numbers have, that differ in the bit at a depth.

    Every other number of a block is the smaller one, and the rule gives it a lower exponent.
    """
    rule, bits = reach.problem.target.conversion.exponent_rule, reach.spec.magnitude_bits
    deepest = deepest_maximum(reach)
    ones = (1 << deepest) - 1
    found = [(0, ones, ones >> 1)]
    for depth in range(1, deepest):
        bit = 1 << (deepest - 1 - depth)
        if rule is ExponentRule.CEIL:
            power = 1 << (deepest - 1)
            found.append((depth, power | bit, power))
        elif rule is ExponentRule.RCEIL and depth < bits:
            found.append((depth, ones, ones ^ bit))
        elif rule is ExponentRule.RCEIL:
            largest = reach.spec.largest_significand << (deepest - bits)
            found.append((depth, largest | bit, largest))
    return found


def deciding_patterns(stimulus: EncodeStimulus) -> Iterator[Patterns]:
    """Yield blocks of `encode`: one maximum that decides, and elements that are clamped."""
    if not stimulus.reach.is_given and stimulus.lanes > 1:
        yield _maxima(stimulus)
        yield _fields(stimulus)
    yield beyond_patterns(stimulus)


def _maxima(stimulus: EncodeStimulus) -> Patterns:
    reach, spec, source = stimulus.reach, stimulus.reach.spec, stimulus.source
    exponent = min(max(reach.wanted(0, is_power=True), spec.smallest_exponent), spec.largest_exponent - 1)
    top = stimulus.top_of(exponent - spec.fraction_bits)
    deepest = deepest_maximum(reach)
    pairs = deciding_pairs(reach)
    rows = []
    for number, lane in in_turn(len(pairs), stimulus.lanes, stimulus.level):
        depth, larger, smaller = pairs[number]
        unit = top + 1 - deepest + (depth == 0)
        one, other = source.of((number + lane) % 2, larger, unit), source.of(0, smaller, unit)
        if one is not None and other is not None:
            row = [other | (at + lane) % 2 * stimulus.sign for at in range(stimulus.lanes)]
            row[lane] = one
            rows.append(row)
    return stimulus.rows_of(rows)


def _fields(stimulus: EncodeStimulus) -> Patterns:
    """Return blocks whose largest element has one more bit in its exponent field than all others."""
    source, rows = stimulus.source, []
    # What the conversion refuses is left out: it would be replaced, and differ in more than a bit.
    most = max(whole_fields(stimulus.reach.problem.kind, stimulus.reach.problem.target) - 1, 0)
    middle, fraction = min(source.bias, most) >> 1, 1 << source.fraction_bits >> 1
    for bit, lane in in_turn(source.exponent_bits, stimulus.lanes, stimulus.level):
        high, low = middle | 1 << bit, middle & ~(1 << bit)
        if high > most:
            high, low = 1 << bit, 0
        row = [low << source.fraction_bits | fraction | (at + bit) % 2 * stimulus.sign for at in range(stimulus.lanes)]
        row[lane] = high << source.fraction_bits | fraction | (lane % 2) * stimulus.sign
        rows += [row] if high <= most else []
    return stimulus.rows_of(rows)


def beyond_patterns(stimulus: EncodeStimulus) -> Patterns:
    """Return blocks of elements above the largest, with one bit beside the leading one."""
    reach, conversion = stimulus.reach, stimulus.reach.problem.target.conversion
    if not (reach.clamps_above or reach.is_given or conversion.exponent_offset < 0):
        return stimulus.rows_of([])
    unit, _ = deciding_unit(stimulus)
    rows = []
    for block in beyond_blocks(reach, stimulus.lanes):
        scale = unit - conversion.post_truncate_bits
        patterns = [stimulus.source.of(sign, integer, scale) for sign, integer in block]
        # A number that the source lacks leaves its place to one that it has.
        known = [pattern for pattern in patterns if pattern is not None]
        if known:
            rows.append([known[0] if pattern is None else pattern for pattern in patterns])
    return np.repeat(stimulus.rows_of(rows), _GIVEN_TURNS if reach.is_given else 1, axis=0)


def deciding_unit(stimulus: EncodeStimulus) -> tuple[int, bool]:
    """Return a unit of elements, that of the largest exponent where the source has numbers above it, and whether so."""
    reach = stimulus.reach
    unit = reach.spec.largest_exponent - reach.spec.fraction_bits
    is_clamped = reach.clamps_above and stimulus.source.of(0, 1, unit + reach.spec.magnitude_bits) is not None
    return (unit, True) if is_clamped else (stimulus.unit_of_one, False)


def beyond_blocks(reach: Reach, lanes: int) -> list[list[tuple[int, int]]]:
    """Return blocks of (sign, integer): in every lane in turn, one bit beside the first one above an element."""
    bits = reach.spec.magnitude_bits + reach.problem.target.conversion.post_truncate_bits
    cells = [(sign, 1 << bits | 1 << bit) for sign in (0, 1) for bit in range(bits)]
    return [[cells[(turn + lane) % len(cells)] for lane in range(lanes)] for turn in range(len(cells))]


class DecidingCodes(OperandStimulus):
    """Blocks of `requantize`: one maximum that decides, and elements above the largest, whose exponent is held."""

    def pieces(self) -> Sequence[Stimulus]:
        """Return operands."""
        reach = Reach(self.problem)
        size = min(self.problem.target.format.elements_per_block or 1, self.lanes)
        beyond = [self._beyond(reach)] if reach.is_given or reach.clamps_above else []
        if reach.is_given:
            return beyond
        pairs = near_blocks(reach)
        pairs += [(larger, smaller) for _, larger, smaller in deciding_pairs(reach)] if size > 1 else []
        rows, exponents, signed = [], [], self.a.spec.has_sign
        for number, lane in in_turn(len(pairs), size, self.level):
            larger, smaller = pairs[number]
            row = np.full(self.lanes, smaller)
            row[lane::size] = larger
            rows.append(np.where((np.arange(self.lanes) + lane) % 2 == 1, -row, row) if signed else row)
            exponents.append(self.a.middle)
        if not rows:
            return beyond
        fields = self.fields(self.a, codes_of(self.a.spec, np.array(rows)), np.array(exponents))
        return [self.without_shifts(fields), *beyond]

    def _beyond(self, reach: Reach) -> Stimulus:
        """Return numbers with one bit beside the first one above an element, and the exponents that make them so.

        An exponent of the result that is not supplied is the largest.
        """
        spec, low = reach.spec, -1 if self.a.spec.has_sign else 1
        wide = spec.magnitude_bits + reach.problem.target.conversion.post_truncate_bits
        down = max(wide + 1 - self.a.spec.magnitude_bits, 0)
        # The unit of the operand lies so many places above that of the wide element.
        between = self.a.spec.exponent_bias + self.a.spec.fraction_bits - spec.exponent_bias - spec.fraction_bits
        between += down - (wide - spec.magnitude_bits)
        least = max(0, -between)
        most = min(spec.largest_exponent_code, self.a.spec.largest_exponent_code - between)
        if reach.is_given and least > most:
            return self.fields(self.a, np.zeros((1, self.lanes)), 0)
        given = (least + most) // 2 if reach.is_given else spec.largest_exponent_code
        # Where the operand has no such exponent, its numbers have zeros behind them or before them.
        code = min(max(given + between, 0), self.a.spec.largest_exponent_code)
        up = min(max(given + between - code, 0), self.a.spec.magnitude_bits)
        down = min(down + max(code - given - between, 0), wide + 1)
        blocks = np.array(beyond_blocks(reach, self.lanes))
        signs, integers = blocks[..., 0], blocks[..., 1] << up
        fits = (integers & ((1 << down) - 1) == 0) & (integers >> down <= self.a.spec.largest_significand)
        rows = np.where(fits, (integers >> down) * np.where(signs == 1, low, 1), 0)
        codes = np.full((len(rows), reach.problem.blocks(reach.problem.target)), given, np.uint64)
        fields = self.fields(self.a, codes_of(self.a.spec, rows), code)
        return self.without_shifts(fields) | ({"exponents": codes} if reach.is_given else {})
