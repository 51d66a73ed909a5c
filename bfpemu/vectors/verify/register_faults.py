"""Faults of the shared exponent that depend on the register of the largest magnitude (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from bfpemu.vectors.blocks.facts import FAR, Int64Array, UInt64Array, wanted_exponents
from bfpemu.vectors.verify.exponent_faults import largest_magnitudes, of_first
from bfpemu.vectors.verify.integers import Integers, in_blocks
from bfpemu.vectors.verify.staged_encoder import Fault, StagedEncoder
from bfpemu.vectors.words import Bytes


def register_faults(encoder: StagedEncoder, integers: Integers, bits: int) -> Iterator[Fault]:
    """Yield faults of the exponent of integers whose magnitudes have registers of so many bits.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> from bfpemu.vectors.problem import Problem
    >>> from bfpemu.vectors.verify.integers import encoder_of
    >>> problem = Problem("requantize", resolve("4x2"))
    >>> integers = Integers(np.array([[4, 0]], np.uint64), np.zeros((1, 2), bool), np.array([[-2, -2]]))
    >>> right = {"elements": np.array([[4, 0]]), "exponents": np.array([[128]])}
    >>> faults = dict(register_faults(encoder_of(problem, {}, right, integers), integers, 4))
    >>> faults["leading zeros of the largest magnitude do not lower the exponent"]().tolist()
    [[2, 129]]
    """
    facts, found = encoder.facts, in_blocks(integers, encoder)
    filled = np.where(facts.nonzero, found.unit + bits, -FAR)
    highest = filled.max(axis=1)
    largest = largest_magnitudes(facts.mantissa, facts.top, facts.highest)
    normalised = largest_magnitudes(facts.mantissa, filled, highest)
    text = "leading zeros of the largest magnitude do not lower the exponent"
    yield text, partial(_words, encoder, highest, largest)
    text = "leading zeros of magnitudes do not lower the exponent, and the largest is sought without them"
    yield text, partial(_words, encoder, highest, normalised)
    if (found.unit == found.unit[:, :1]).all() and found.unit.shape[1] > 1:
        for upper in range(1, bits):
            for which, step in (("first", 1), ("last", -1)):
                text = (
                    f"magnitudes are compared by the upper {upper} of {bits} bits, the {which} of equals is the largest"
                )
                yield text, partial(of_first, encoder, found.size >> np.uint64(bits - upper), step)


def _words(encoder: StagedEncoder, highest: Int64Array, largest: UInt64Array) -> Bytes:
    facts = encoder.facts
    return encoder.words(np.where(highest > -FAR, wanted_exponents(facts.problem, highest, largest), facts.wanted))
