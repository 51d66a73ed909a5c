"""What the operands of a unit bring: how many bits their numbers have, and infinities and NaN that count as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bfpemu.formats import BFPSpec, InfinityPolicy, NanPolicy
from bfpemu.vectors.blocks.source_numbers import has_special_codes
from bfpemu.vectors.problem import Problem


@dataclass(frozen=True)
class Operands:
    """The operands of a unit, and the format of its result."""

    problem: Problem

    @property
    def spec(self) -> BFPSpec:
        """The format of the result."""
        return self.problem.target.format

    @property
    def operands(self) -> list[BFPSpec]:
        """The formats of the operands; `encode` has none."""
        if self.problem.unit == "encode":
            return []
        return [preset.format for preset in (self.problem.a_flat, self.problem.b and self.problem.b_flat) if preset]

    @property
    def merges(self) -> bool:
        """Whether a block of the result takes elements of several blocks of one operand."""
        if self.problem.unit != "requantize":
            return False
        return self.joins(self.operands[0])

    def joins(self, spec: BFPSpec) -> bool:
        """Whether a block of the result takes elements of several blocks of a format."""
        size, own = self.spec.elements_per_block or 1, spec.elements_per_block or 1
        end = min(self.problem.elements, math.lcm(size, own))
        return any(first // own != (min(first + size, end) - 1) // own for first in range(0, end, size))

    @property
    def lanes(self) -> int:
        """Elements of the longest block of a vector of `add`, `multiply` or `requantize`, which may be a short one."""
        return min(self.spec.elements_per_block or 1, self.problem.elements)

    @property
    def precision_rounded(self) -> int:
        """Bits of a number behind the source chain that does not saturate in it."""
        steps = self.problem.target.conversion.source_chain
        return min([self.precision_read, *(step.fraction_bits + 1 for step in steps)])

    @property
    def precision_read(self) -> int:
        """Bits of a number before the source chain."""
        problem = self.problem
        if problem.unit == "encode":
            return problem.kind.fraction_bits + 1
        # The least significand of two's complement has one bit more, and all others of its bits are 0.
        a = max(problem.a_flat.format.magnitude_bits, 2 * self.counts_nan)
        if problem.unit == "requantize":
            return a
        b = problem.b_flat.format.magnitude_bits
        return a + b if problem.unit == "multiply" else 1 << 20

    @property
    def counts_specials(self) -> bool:
        """Whether infinities or NaN of operands count as numbers (spec 3.3)."""
        conversion = self.problem.target.conversion
        counts = conversion.infinity is InfinityPolicy.NUMBER or conversion.nan is NanPolicy.NUMBER
        return counts and any(has_special_codes(spec) for spec in self.operands)

    @property
    def counts_nan(self) -> bool:
        """Whether a NaN of two bits counts as a number, be it of a NaN block or of a product."""
        specs = self.operands
        makes = self.problem.unit != "requantize" or any(spec.nan_code is not None for spec in specs)
        return self.counts_specials and makes and self.problem.target.conversion.nan is NanPolicy.NUMBER
