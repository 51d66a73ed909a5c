"""Faults of accumulators that are floats: of the adder, and of what group sums become before (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bfpemu.formats import Rounding
from bfpemu.formats.unit import Accumulator, FloatFormat, FloatOverflow, ScalePoint, Subnormals
from bfpemu.vectors.verify.accumulators import AccumulatorFaults
from bfpemu.vectors.verify.float_adder import FloatAdder
from bfpemu.vectors.verify.fused_adder import Below, FusedAdder
from bfpemu.vectors.verify.group_sums import GroupSums
from bfpemu.vectors.verify.scaled_sums import Conversion

_SHIFT_BITS = range(2, 8)
_WIDEST = 62
_ROUNDINGS = tuple(mode for mode in Rounding if mode is not Rounding.STOCHASTIC)
_BELOW = {
    Below.STICKY: "a sticky bit",
    Below.CUT: "none of those below",
    Below.DOWN: "those below rounded down",
}


def float_faults(accumulator: Accumulator) -> Iterator[tuple[str, AccumulatorFaults]]:
    """Yield what a float accumulator that is not fused may do otherwise."""
    format = accumulator.format
    assert format is not None
    for text, adder in _adders(format):
        yield text, AccumulatorFaults(adder=adder)
    right = FloatAdder(format)
    for text, other in _other_roundings(format):
        yield f"group sums become floats {text}", AccumulatorFaults(conversion=Conversion(converter=other))
        yield f"sums of floats are rounded {text}", AccumulatorFaults(adder=other, conversion=Conversion(right, right))
    text = "the conversion of a group sum into a float raises no flags"
    yield text, AccumulatorFaults(conversion=Conversion(raises_flags=False))
    if accumulator.scale_point is ScalePoint.AFTER_CONVERSION:
        for text, conversion in _scalings(format):
            yield text, AccumulatorFaults(conversion=conversion)


def _other_roundings(format: FloatFormat) -> Iterator[tuple[str, FloatAdder]]:
    """Yield other roundings to a float format."""
    for mode in _ROUNDINGS:
        if mode is not format.rounding:
            yield f"by {mode}", FloatAdder(dataclasses.replace(format, rounding=mode))
    if format.subnormals is Subnormals.KEEP:
        yield "with subnormals as 0", FloatAdder(dataclasses.replace(format, subnormals=Subnormals.FLUSH))
    if format.overflow is FloatOverflow.INFINITY:
        limited = FloatAdder(dataclasses.replace(format, overflow=FloatOverflow.SATURATE))
        yield "with the largest number in place of infinities", limited


def _scalings(format: FloatFormat) -> Iterator[tuple[str, Conversion]]:
    """Yield how floats of integers are scaled otherwise."""
    for text, other in _other_roundings(format):
        yield f"floats of group sums are scaled, and rounded {text}", Conversion(scaler=other)
    yield "the scaling of a group sum raises no flags", Conversion(scaling_raises_flags=False)
    silent = Conversion(raises_flags=False, scaling_raises_flags=False)
    yield "neither the conversion of a group sum nor its scaling raises flags", silent
    wide = FloatAdder(dataclasses.replace(format, exponent_bits=11))
    yield "a group sum does not overflow before it is scaled", Conversion(converter=wide)
    text = "the exponent field of a group sum wraps when it is scaled"
    for zero, of_zero in ((False, ""), (True, ", that of 0, too")):
        for infinity, of_infinity in ((False, ""), (True, ", that of an infinity, too")):
            wrapping = Conversion(wraps_field=True, scales_zero=zero, scales_infinity=infinity)
            yield f"{text}{of_zero}{of_infinity}", wrapping


def fused_faults(sums: GroupSums, format: FloatFormat) -> Iterator[tuple[str, FusedAdder]]:
    """Yield how a float and a group sum are added otherwise."""
    point, bits, stages = format.fraction_bits, sums.addend_bits, sums.task.stages
    largest = stages.reference + (stages.group_size - 1).bit_length()
    for below, of_below in _BELOW.items():
        for places in range(-2, bits + point):
            text = _kept(places, "the smaller addend", "the larger")
            yield f"{text}, {of_below}", FusedAdder(places=places, below=below)
    for below in (Below.CUT, Below.DOWN):
        for places in range(-2, bits + point):
            text = _kept(places, "the accumulator", "the group sum")
            yield f"{text}, {_BELOW[below]}", FusedAdder(held_places=places, below=below)
            text = _kept(places, "the group sum", "the accumulator")
            yield f"{text}, {_BELOW[below]}", FusedAdder(group_places=places, below=below)
        for window in range(point - 2, point + bits + 4):
            text = f"{window} bits kept below the larger exponent of accumulator and group sum, {_BELOW[below]}"
            yield text, FusedAdder(window=window, largest=largest, below=below)
    for width in range(2, 9):
        text = "the distance by which {} is shifted wraps in {} bits"
        yield text.format("the smaller addend", width), FusedAdder(apart_bits=width)
        yield text.format("the accumulator", width), FusedAdder(held_apart_bits=width)
        yield text.format("a group sum", width), FusedAdder(group_apart_bits=width)
    for places in range(point - 2, point + bits + 3):
        text = f"an addend whose leading bit lies {places} places lower, or more, is lost"
        yield text, FusedAdder(gone_from=places)
    for kept in range(2, bits):
        for mode in (Rounding.TIES_TO_EVEN, Rounding.TIES_AWAY, Rounding.TOWARD_ZERO, Rounding.TOWARD_NEGATIVE):
            text = f"two roundings: a group sum to {kept} bits by {mode}, then its sum with the accumulator"
            yield text, FusedAdder(group_bits=kept, group_rounding=mode)


def _kept(places: int, what: str, other: str) -> str:
    if places < 0:
        return f"{what} cut {-places} bits above the last of {other}"
    return f"{places} bits of {what} kept below the last of {other}"


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
