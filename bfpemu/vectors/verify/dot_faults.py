"""Faults of dot-product units: in the sums of groups, their exponents, NaN, and the accumulator (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from bfpemu.arithmetic.integers import wrapped
from bfpemu.formats.unit import AccumulatorKind, FloatFormat, IntegerOverflow
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.accumulators import AccumulatorFaults, Addend, accumulated, is_modelled
from bfpemu.vectors.verify.float_adder import FloatAdder
from bfpemu.vectors.verify.group_sums import GroupSums, any_group, has_group_sums
from bfpemu.vectors.verify.staged_encoder import Fault
from bfpemu.vectors.words import Fields

_FEWER_BITS = range(1, 9)
_SHIFT_BITS = range(2, 8)
_WIDEST = 62


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
    assert problem.dot_unit is not None
    if is_modelled(problem.dot_unit) and np.array_equal(accumulated(sums, AccumulatorFaults()), words):
        for text, faults in _accumulators(sums):
            yield text, partial(accumulated, sums, faults)


def _group_sums(sums: GroupSums) -> Iterator[Fault]:
    """Yield sums of groups that lose bits, are not cleared, or are left out."""
    totals, widest = sums.totals, sums.sum_bits
    for bits in range(max(widest - len(_FEWER_BITS), 2), widest):
        text = f"the sum of a group, {widest - bits} bits too short, "
        yield f"{text}wraps", partial(sums.words, wrapped(totals, bits))
        limit = 1 << (bits - 1)
        yield f"{text}saturates", partial(sums.words, np.clip(totals, -limit, limit - 1))
    groups = totals.shape[1]
    if groups < 2:
        return
    kept = np.cumsum(totals, axis=1)
    for text, found in (("", kept), (f", in {widest} bits", wrapped(kept, widest))):
        yield f"the sum of a group starts from that of the group before{text}", partial(sums.words, found)
    both = sums.a_nan | sums.b_nan
    for text, part in (
        ("the last group is not added", slice(None, -1)),
        ("the first group is not added", slice(1, None)),
        ("every group replaces those before", slice(-1, None)),
    ):
        of_part = partial(sums.words, totals[:, part], sums.exponents[:, part])
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


def _accumulators(sums: GroupSums) -> Iterator[tuple[str, AccumulatorFaults]]:
    """Yield what an accumulator may do otherwise."""
    accumulator, output = sums.accumulator, sums.problem.output
    for text, adder in _roundings(output):
        yield text, AccumulatorFaults(adder=adder)
    yield "only the flags of the last group are kept", AccumulatorFaults(keeps_last_flags=True)
    if accumulator.kind is AccumulatorKind.FLOAT:
        for text, adder in _adders(output):
            yield text, AccumulatorFaults(adder=adder)
        return
    assert accumulator.bits is not None
    if accumulator.overflow is IntegerOverflow.SATURATE:
        one, limit = Addend(symmetric=True), "one above the least integer"
        yield f"group sums and the accumulator saturate at {limit}", AccumulatorFaults(addend=one, held=one)
        yield f"a group sum saturates at {limit}", AccumulatorFaults(addend=one)
        yield f"the accumulator saturates at {limit}", AccumulatorFaults(held=one)
    widths = {accumulator.bits: 62, accumulator.bits + 1: 62, sums.sum_bits: 62}
    widths[sums.sum_bits + accumulator.bits] = sums.sum_bits
    for text, addend in _addends(widths, "a group sum"):
        yield text, AccumulatorFaults(addend=addend)
    other = "wraps" if accumulator.overflow is IntegerOverflow.SATURATE else "saturates"
    yield f"the accumulator {other}", AccumulatorFaults(held=Addend(other_overflow=True))
    raised = "does not raise saturated"
    yield f"a sum that does not fit {raised}", AccumulatorFaults(held=Addend(raises_saturated=False))
    if accumulator.kind is AccumulatorKind.FIXED:
        yield f"a group sum that does not fit {other}", AccumulatorFaults(addend=Addend(other_overflow=True))
        yield f"a group sum that does not fit {raised}", AccumulatorFaults(addend=Addend(raises_saturated=False))
        return
    for text, held in _addends(widths, "the accumulator"):
        yield text, AccumulatorFaults(held=held)
    zero = Addend(zero_takes_part=True)
    yield "a group sum of 0 takes part in the larger exponent", AccumulatorFaults(addend=zero)
    yield "an accumulator of 0 takes part in the larger exponent", AccumulatorFaults(held=zero)


def _addends(widths: dict[int, int], what: str) -> Iterator[tuple[str, Addend]]:
    """Yield how an integer is shifted to its place otherwise; `widths` are of registers, with the most places."""
    for bits, most in sorted(widths.items()):
        addend = Addend(logical_bits=min(bits, 62), most_places=most)
        yield f"{what} is shifted without its sign, in {bits} bits", addend
    for bits in _SHIFT_BITS:
        yield f"the distance by which {what} is shifted wraps in {bits} bits", Addend(apart_bits=bits)
    yield f"bits that {what} loses when it is shifted are cut off its magnitude", Addend(toward_zero=True)
    yield f"bits that {what} loses when it is shifted do not raise inexact", Addend(raises_inexact=False)


def _roundings(output: FloatFormat) -> Iterator[tuple[str, FloatAdder]]:
    yield "overflow does not raise inexact", FloatAdder(output, overflow_is_inexact=False)
    yield "underflow is decided before rounding", FloatAdder(output, tiny_before_rounding=True)
    yield "exact subnormals raise underflow", FloatAdder(output, exact_underflow=True)
    text = "exact subnormals, and overflows whose exponent field wraps to 0, raise underflow"
    yield text, FloatAdder(output, exact_underflow=True, wrapped_underflow=True)


def _adders(output: FloatFormat) -> Iterator[tuple[str, FloatAdder]]:
    """Yield how floats are added otherwise."""
    for places in range(output.fraction_bits + 4):
        text = f"{places} bits of the smaller addend kept below the last of the larger, "
        yield f"{text}a sticky bit", FloatAdder(output, places=places)
        yield f"{text}none of those below", FloatAdder(output, places=places, is_sticky=False)
    for bits in _SHIFT_BITS:
        text = f"the distance by which the smaller addend is shifted wraps in {bits} bits"
        yield text, FloatAdder(output, apart_bits=bits)
        for below in range(output.fraction_bits + 3, min((1 << bits) - 1, _WIDEST - output.fraction_bits)):
            lost = f"{text}, and bits more than {below} places below the last of the larger are lost"
            yield lost, FloatAdder(output, apart_bits=bits, lost_below=below)
    for places in range(4):
        text = f"addends of one exponent are not exchanged, with {places} bits below the last and a sticky bit"
        yield text, FloatAdder(output, places=places, compares_exponents=True)
    yield "an exact cancellation gives -0", FloatAdder(output, zero_keeps_sign=True)
    yield "infinities of opposite signs give an infinity", FloatAdder(output, meets_infinity="infinity")
    yield (
        "infinities of opposite signs give an infinity and raise invalid",
        FloatAdder(output, meets_infinity="infinity with flag"),
    )
    yield "infinities of opposite signs do not raise invalid", FloatAdder(output, meets_infinity="nan without flag")
    yield "an infinity is added as a number", FloatAdder(output, aligns_infinities=True)
