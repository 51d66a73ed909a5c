"""Blocks of which elements are rounded: largest number, exponent of the rule, and the block's (spec 12.14)."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from bfpemu.formats import ExponentOverflow, ExponentRule
from bfpemu.vectors.blocks.facts import exponent_steps
from bfpemu.vectors.blocks.reach import Reach


class Block(NamedTuple):
    """A block of which elements are rounded."""

    high: int
    """``floor(log2)`` of its largest number."""
    wanted: int
    """The exponent that the rule gives, or begins with."""
    exponent: int
    """The block's exponent."""
    is_clamped: bool
    """Whether that is the largest one, which lies below that of the rule."""
    is_lifted: bool
    """Whether the rule adds one to the exponent of the largest number's binade."""


class RoundedBlocks:
    """Every such block; more than there are, and never fewer."""

    def __init__(self, reach: Reach) -> None:
        self.reach = reach

    @cached_property
    def tops(self) -> frozenset[int]:
        """Return every ``floor(log2)`` of a number."""
        low, high = self.reach.tops
        return frozenset(top for top in range(low, high + 1) if self.reach.has_top(top))

    @cached_property
    def blocks(self) -> list[Block]:
        """Return the rounded blocks."""
        found = set()
        for high in sorted(self.tops):
            for wanted in self._wanted(high):
                is_lifted = wanted > self.reach.wanted(high, is_power=True)
                found |= {Block(high, wanted, *end, is_lifted) for end in self._exponents(wanted)}
        return sorted(found)

    def telling_blocks(self, some: int) -> list[Block]:
        """Return blocks beside both ends of the range and away from them, each in some binades from either end."""
        kinds: dict[tuple[int, bool, int, bool], list[Block]] = {}
        for block in self.blocks:
            moved = min(block.exponent - block.wanted, 2)
            kinds.setdefault((self.beside(block.wanted), block.is_lifted, moved, block.is_clamped), []).append(block)
        found = [[*own[:some], own[len(own) // 2], *own[len(own) - some :]] for own in kinds.values()]
        return list(dict.fromkeys(block for own in found for block in own))

    def _wanted(self, high: int) -> list[int]:
        """Return the exponents that the rule begins with for a largest magnitude of ``floor(log2)`` `high`."""
        reach, rule = self.reach, self.reach.problem.target.conversion.exponent_rule
        plain = reach.wanted(high, is_power=True)
        lifts = rule is ExponentRule.CEIL and reach.precision > 1
        lifts |= rule is ExponentRule.RCEIL and reach.precision > reach.spec.magnitude_bits
        if high == reach.tops[1] and reach.problem.unit != "encode":  # which no other result exceeds
            lifts &= reach.wanted_ends[1] > plain
        return [plain, plain + 1] if lifts else [plain]

    def _exponents(self, wanted: int) -> set[tuple[int, bool]]:
        """Return the exponents of rounded blocks for one that the rule begins with, and whether they are lowered."""
        reach, spec, conversion = self.reach, self.reach.spec, self.reach.problem.target.conversion
        low, high = spec.smallest_exponent, spec.largest_exponent
        lowered_ends, is_even = reach.lowered_ends, conversion.exponent_rule is ExponentRule.EVEN
        found = set()
        for step in exponent_steps(conversion):
            exponent = wanted + step
            if step < 0 and not lowered_ends[0] <= wanted <= lowered_ends[1]:
                continue
            is_flushed = exponent < low and not spec.use_subnormals
            is_nothing = exponent > high and conversion.exponent_overflow is not ExponentOverflow.SATURATE
            if not (is_flushed or is_nothing):
                found.add((min(max(exponent, low), high), exponent > high))
        if reach.infinity_lifts:
            # Of such a block the rule has no part in the exponent: none that rounds up raises it.
            found.add((high, wanted + is_even > high))
        return found

    def shifts(self, block: Block, top: int) -> range:
        """Return the shift codes that the sub-block of an element may have."""
        spec = self.reach.spec
        most = spec.largest_shift
        if not most:
            return range(1)
        # The largest number of the sub-block is as large as the element, or larger.
        own = self._wanted(top)
        ends = [min(max(block.exponent - exponent, 0), most) for exponent in (own[-1], own[0])]
        is_whole = spec.shifts_per_block == 1
        if is_whole:
            ends[1] = min(max(block.exponent - block.wanted, 0), most)
        is_alone = spec.sub_block_size == 1 or (is_whole and not self.reach.infinity_lifts)
        return range(ends[0] if is_alone else 0, ends[1] + 1)

    def beside(self, wanted: int) -> int:
        """Return an exponent of the rule, all of those away from both ends as one."""
        ends = self.reach.spec.smallest_exponent, self.reach.spec.largest_exponent
        near = [end + step for end in ends for step in (-2, -1, 0, 1, 2)]
        return wanted if wanted in near else ends[0] - 3


def quarters(kept: int) -> list[int]:
    """Return numbers in quarters of a unit with so many bits in the integer part; without one, in smaller parts."""
    if kept <= 0:
        return [2, 3]
    first = 1 << (kept - 1)
    wholes = {first, first | 1, 2 * first - 1, max(2 * first - 2, first)}
    return [4 * whole + rest for whole in sorted(wholes) for rest in range(4)]
