"""Faults of dot-product units: in the sums of groups, their exponents, NaN, and the accumulator (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from bfpemu.arithmetic.integers import wrapped
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.accumulator_faults import accumulator_faults
from bfpemu.vectors.verify.accumulators import AccumulatorFaults, accumulated, is_modelled
from bfpemu.vectors.verify.group_sums import GroupSums, any_group, has_group_sums
from bfpemu.vectors.verify.staged_encoder import Fault
from bfpemu.vectors.words import Fields

_FEWER_BITS = range(1, 9)


def dot_faults(problem: Problem, stimulus: Fields, right: Fields) -> Iterator[Fault]:
    """Yield faults of a dot-product unit whose output is a float, and the words that come of each.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> from bfpemu.units import unit
    >>> from bfpemu.vectors.answers import expected
    >>> problem = Problem("dot", resolve("4x2"), dot_unit=unit("fp32_sequential"), elements=4)
    >>> codes = {"elements": np.array([[4, 0, 4, 0]], np.uint64), "exponents": np.array([[127, 127]], np.uint64)}
    >>> stimulus = {f"{side}_{name}": items for side in "ab" for name, items in codes.items()}
    >>> faults = dict(dot_faults(problem, stimulus, expected(problem, stimulus)))
    >>> faults["the last group is not added"]().tolist()  # 1 / 4
    [[0, 0, 128, 62, 0]]
    """
    if not has_group_sums(problem):
        return
    sums = GroupSums.of(problem, stimulus)
    words = problem.expected.pack(right)
    if not np.array_equal(sums.words(), words):
        return
    yield from _group_sums(sums)
    yield from _group_exponents(sums)
    yield from _nan_blocks(sums)
    if is_modelled(problem) and np.array_equal(accumulated(sums, AccumulatorFaults()), words):
        for text, faults in accumulator_faults(sums):
            yield text, partial(accumulated, sums, faults)


def _group_sums(sums: GroupSums) -> Iterator[Fault]:
    """Yield addends that lose bits, are not cleared, or are left out."""
    addends, widest = sums.addends, sums.addend_bits
    what = "a product" if sums.are_products else "the sum of a group"
    for bits in range(max(widest - len(_FEWER_BITS), 2), widest):
        text = f"{what}, {widest - bits} bits too short, "
        yield f"{text}wraps", partial(sums.words, wrapped(addends, bits))
        limit = 1 << (bits - 1)
        yield f"{text}saturates", partial(sums.words, np.clip(addends, -limit, limit - 1))
    groups = addends.shape[1]
    if groups < 2:
        return
    if not sums.are_products:
        kept = np.cumsum(addends, axis=1)
        for text, found in (("", kept), (f", in {widest} bits", wrapped(kept, widest))):
            yield f"the sum of a group starts from that of the group before{text}", partial(sums.words, found)
    both = sums.a_nan | sums.b_nan
    for text, part in (
        ("the last group is not added", slice(None, -1)),
        ("the first group is not added", slice(1, None)),
        ("every group replaces those before", slice(-1, None)),
    ):
        of_part = partial(sums.words, addends[:, part], sums.exponents[:, part])
        yield text, of_part
        yield f"{text}, and its NaN are not seen", partial(of_part, is_nan=any_group(both[:, part]))


def _group_exponents(sums: GroupSums) -> Iterator[Fault]:
    """Yield exponents of groups that lose bits or are those of other groups."""
    specs = sums.problem.a_flat.format, sums.problem.b_flat.format
    codes, bits = sums.a_codes + sums.b_codes, max(spec.exponent_bits for spec in specs)
    bias, ones = specs[1].exponent_bias, (1 << bits) - 1
    unbiased = codes - sum(spec.exponent_bias for spec in specs)
    one_bias = codes - bias
    for text, others in (
        (f"the sum of exponent codes wraps in {bits} bits", (codes & ones) - codes),
        (f"the sum of exponent codes is limited to {bits} bits", np.minimum(codes, ones) - codes),
        (f"the exponent code of a product wraps in {bits} bits", (one_bias & ones) - one_bias),
        (f"the exponent code of a product is limited to {bits} bits", np.clip(one_bias, 0, ones) - one_bias),
        (f"the exponent of a product wraps in {bits} bits", wrapped(unbiased, bits) - unbiased),
        (f"the exponent of a product wraps in {bits + 1} bits", wrapped(unbiased, bits + 1) - unbiased),
        (
            f"the exponent of a product is limited to {bits} bits",
            np.clip(unbiased, -(1 << (bits - 1)), (1 << (bits - 1)) - 1) - unbiased,
        ),
        ("every group has the exponents of the first", codes[:, :1] - codes),
        ("every group has the exponents of the last", codes[:, -1:] - codes),
        ("a group has the exponents of the next", np.roll(codes, -1, axis=1) - codes),
        ("a group has the exponents of the one before", np.roll(codes, 1, axis=1) - codes),
    ):
        yield text, partial(sums.words, exponents=sums.exponents + others)
    # A device that does not take over the codes of later groups does not see their NaN.
    first = (sums.a_nan | sums.b_nan)[:, 0]
    text = "every group has the exponents of the first, and no other NaN are seen"
    yield text, partial(sums.words, exponents=sums.exponents + codes[:, :1] - codes, is_nan=first)


def _nan_blocks(sums: GroupSums) -> Iterator[Fault]:
    """Yield NaN blocks that are read as numbers, because of where they are."""
    both = sums.a_nan | sums.b_nan
    for text, seen in (
        ("only NaN blocks of a are seen", sums.a_nan),
        ("only NaN blocks of b are seen", sums.b_nan),
        ("only NaN blocks that meet are seen", sums.a_nan & sums.b_nan),
        ("only NaN blocks of the last group are seen", both[:, -1:]),
        ("only NaN blocks of the first group are seen", both[:, :1]),
        ("NaN blocks of the last group are not seen", both[:, :-1]),
        ("NaN blocks of the first group are not seen", both[:, 1:]),
    ):
        yield text, partial(sums.words, is_nan=any_group(seen))
