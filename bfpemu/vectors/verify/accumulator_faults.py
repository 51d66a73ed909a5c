"""Faults of accumulators: of their roundings, and of integers that are shifted and added (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator

from bfpemu.formats.unit import AccumulatorKind, FloatFormat, IntegerOverflow
from bfpemu.vectors.verify.accumulators import AccumulatorFaults, Addend
from bfpemu.vectors.verify.alignment_faults import alignment_faults
from bfpemu.vectors.verify.float_adder import FloatAdder
from bfpemu.vectors.verify.float_faults import float_faults, fused_faults
from bfpemu.vectors.verify.group_sums import GroupSums

_SHIFT_BITS = range(2, 8)

AccumulatorFault = tuple[str, AccumulatorFaults]


def accumulator_faults(sums: GroupSums) -> Iterator[AccumulatorFault]:
    """Yield what an accumulator may do otherwise."""
    accumulator, output = sums.accumulator, sums.problem.output
    yield "only the flags of the last group are kept", AccumulatorFaults(keeps_last_flags=True)
    if accumulator.format is None:
        for text, adder in _roundings(output):
            yield text, AccumulatorFaults(output=adder)
        yield from _integers(sums)
        return
    for text, adder in _roundings(accumulator.format):
        yield text, AccumulatorFaults(adder=adder)
    if output != accumulator.format:
        for text, adder in _roundings(output):
            yield f"{text}, in the output", AccumulatorFaults(output=adder)
    if accumulator.kind is AccumulatorKind.ALIGNED:
        for text, aligned in alignment_faults(sums):
            yield text, AccumulatorFaults(aligned=aligned)
    elif accumulator.fused:
        for text, fused in fused_faults(sums, accumulator.format):
            yield text, AccumulatorFaults(fused=fused)
    else:
        yield from float_faults(accumulator)


def _integers(sums: GroupSums) -> Iterator[AccumulatorFault]:
    """Yield what accumulators of integers may do otherwise."""
    accumulator = sums.accumulator
    assert accumulator.bits is not None
    if accumulator.overflow is IntegerOverflow.SATURATE:
        one, limit = Addend(symmetric=True), "one above the least integer"
        yield f"group sums and the accumulator saturate at {limit}", AccumulatorFaults(addend=one, held=one)
        yield f"a group sum saturates at {limit}", AccumulatorFaults(addend=one)
        yield f"the accumulator saturates at {limit}", AccumulatorFaults(held=one)
    widths = {accumulator.bits: 62, accumulator.bits + 1: 62, sums.addend_bits: 62}
    widths[sums.addend_bits + accumulator.bits] = sums.addend_bits
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
