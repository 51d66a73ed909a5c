"""Bins of NaN blocks among the operands of `add`, `multiply` and `requantize` (spec 12.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.formats import ReservedExponent
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.problem import Problem


def reserved_family(problem: Problem) -> Family[BlockFacts]:
    """Return the bins of vectors with a NaN block in one operand alone, its elements 0 or not, and in both."""
    operands = [("a", problem.a_flat)] + ([("b", problem.b_flat)] if problem.b else [])
    names = [f"nan.{which}_alone.{rest}" for which, _ in operands for rest in ("zeros", "numbers")]
    names += ["nan.both"] if len(operands) == 2 else []
    reserves = [preset.format.exponent_reserved is ReservedExponent.NAN for _, preset in operands]

    def find(facts: BlockFacts) -> Int64Array:
        present, numbers = [], []
        for which, preset in operands:
            spec = preset.format
            codes, elements = facts.stimulus[f"{which}_exponents"], facts.stimulus[f"{which}_elements"]
            is_nan = (codes == spec.all_ones_code) & (spec.exponent_reserved is ReservedExponent.NAN)
            block = np.arange(elements.shape[1]) // (spec.elements_per_block or 1)
            present.append(is_nan.any(axis=1))
            numbers.append(((elements != 0) & is_nan[:, block]).any(axis=1))
        masks = []
        for number, (here, kind) in enumerate(zip(present, numbers, strict=True)):
            alone = here & ~np.logical_or.reduce([other for at, other in enumerate(present) if at != number] or [~here])
            masks += [alone & ~kind, alone & kind]
        masks += [present[0] & present[1]] if len(present) == 2 else []
        return np.stack([np.where(mask, number, -1) for number, mask in enumerate(masks)], axis=1)

    def absent(number: int) -> str | None:
        wanted = range(len(operands)) if number == 2 * len(operands) else [number // 2]
        for which in wanted:
            if not reserves[which]:
                return f"the format of {operands[which][0]} has no code for a NaN block"
        return "the conversion refuses NaN" if problem.refuses_nan else None

    return Family(names, find, absent)
