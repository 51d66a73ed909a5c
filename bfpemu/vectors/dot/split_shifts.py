"""Vectors of `dot` whose group sums take elements of both ends of the shift codes (spec 2.7, 12.10)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.dot.terms import DotTerms, Term
from bfpemu.vectors.words import AnyArray


def split_rows(stimulus: DotTerms, vectors: Sequence[Sequence[Term]]) -> Stimulus:
    """Return vectors of terms of two-level formats, of sums beyond those that the largest shift codes give.

    All sub-blocks of a group but the last have the shift code 0, and the last one has what is left to a sum.
    """
    step = stimulus.top_a + stimulus.top_b
    sizes = [spec.sub_block_size or 1 for spec in (stimulus.a, stimulus.b)]
    room = stimulus.group_elements - math.lcm(*sizes)
    built = [row for terms in vectors if (row := _row(stimulus, terms, step, room)) is not None] if step else []
    if not built:
        return {}
    a, b, a_codes, b_codes, is_upper = (np.array(column) for column in zip(*built, strict=True))
    found = stimulus.fields(codes_of(stimulus.a, a), codes_of(stimulus.b, b), a_codes, b_codes)
    for prefix, size in zip(("a_", "b_"), sizes, strict=True):
        if f"{prefix}shifts" in found:
            found[f"{prefix}shifts"][is_upper[:, ::size]] = 0
    return found


def _row(
    stimulus: DotTerms, terms: Sequence[Term], step: int, room: int
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray, AnyArray] | None:
    """Return significands, exponent codes, and lanes whose sub-blocks are not shifted; None where these do not do."""
    a, b = np.zeros((2, stimulus.lanes), np.int64)
    codes = np.zeros((2, stimulus.slots), np.int64)
    is_upper = np.zeros(stimulus.lanes, np.bool_)
    for term in terms:
        slot, start = term.slot, term.slot * stimulus.slot + term.group * stimulus.group
        sign = -1 if term.total < 0 else 1
        upper, lower = (stimulus.factors(sign * part) for part in divmod(abs(term.total), 1 << step))
        pair = stimulus.split_exponent(term.exponent)
        if slot >= stimulus.slots or start + stimulus.group_elements > stimulus.lanes:
            return None
        if pair is None or upper is None or lower is None or len(upper) > room or len(lower) > 1:
            return None
        for place, (x, y) in [*enumerate(upper, start), *enumerate(lower, start + room)]:
            a[place], b[place] = x, y
        is_upper[start : start + room] = True
        codes[:, slot] = pair
    blocks_a, blocks_b = (stimulus.slot // (spec.elements_per_block or 1) for spec in (stimulus.a, stimulus.b))
    return a, b, np.repeat(codes[0], blocks_a), np.repeat(codes[1], blocks_b), is_upper
