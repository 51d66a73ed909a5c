"""Faults of accumulators that align their addends at one exponent, add them and normalise the sum (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bfpemu.formats import Rounding
from bfpemu.formats.unit import Accumulator
from bfpemu.vectors.verify.aligned_sums import AlignedSums, Part, Place
from bfpemu.vectors.verify.group_sums import GroupSums

_MORE_BITS = (0, -1, 1, -2, 2, -3, 3, -4, 4)
_SHIFT_BITS = range(2, 9)
_ROUNDINGS = tuple(mode for mode in Rounding if mode is not Rounding.STOCHASTIC)


def alignment_faults(sums: GroupSums) -> Iterator[tuple[str, AlignedSums]]:
    """Yield how addends are aligned, added and normalised otherwise."""
    of_group = "products" if sums.are_products else "group sums"
    yield from _exponents(of_group)
    for text, part in _parts(sums):
        if not _is_parameter(part, sums.accumulator):
            yield f"{text} of {of_group} and the accumulator", AlignedSums(part, part)
        yield f"{text} of {of_group}", AlignedSums(addends=part)
        yield f"{text} of the accumulator", AlignedSums(held=part)
    bits = sums.accumulator.fraction_bits
    widest = bits + sums.addends.shape[2].bit_length() + 3
    for width in range(max(bits - 2, 2), widest):
        text = f"the sum of what was aligned has {width} bits, and "
        yield f"{text}wraps", AlignedSums(sum_bits=width)
        yield f"{text}saturates", AlignedSums(sum_bits=width, saturates=True)
    yield f"{of_group} are added and rounded before the accumulator is added", AlignedSums(adds_group_first=True)


def _is_parameter(part: Part, accumulator: Accumulator) -> bool:
    """Return whether another value of a parameter, which is tried elsewhere, does the same to all that is aligned."""
    if part.rounding is accumulator.alignment_rounding:
        return abs(part.more_bits) == 1
    return part.rounding is not None and part.more_bits == 0


def _parts(sums: GroupSums) -> Iterator[tuple[str, Part]]:
    """Yield what becomes of what is aligned."""
    right = sums.accumulator.alignment_rounding
    modes = (right, *(mode for mode in _ROUNDINGS if mode is not right))
    yield "lost bits do not raise inexact,", Part(raises_inexact=False)
    for bits in _SHIFT_BITS:
        yield f"the distance wraps in {bits} bits,", Part(apart_bits=bits)
    kept = sums.accumulator.fraction_bits
    for places in sorted({*range(max(kept - 4, 0), kept + 2), 7, 15, 31}):
        yield f"no shift by more than {places} places,", Part(farthest=places)
    for places in range(2, kept + 2):
        yield f"nothing left from {places} places on,", Part(gone_from=places)
    for mode in modes:
        for more in _MORE_BITS:
            if more or mode is not right:
                where = f"{abs(more)} bits {'above' if more < 0 else 'below'} the last" if more else "at the last"
                yield f"alignment by {mode}, {where},", Part(mode, more)


def _exponents(of_group: str) -> Iterator[tuple[str, AlignedSums]]:
    """Yield at which exponents addends are aligned otherwise."""
    zero = Part(zero_takes_part=True)
    for what, of_held in (("the accumulator", True), (of_group, False)):

        def of(part: Part, is_held: bool = of_held) -> AlignedSums:
            return AlignedSums(held=part) if is_held else AlignedSums(addends=part)

        yield f"0 takes part in the larger exponent, of {what}", of(zero)
        text = f"{what} {'takes' if of_held else 'take'} no part in the larger exponent"
        absent = Part(takes_part=False)
        yield text, of(absent)
        yield f"{text}, and no shift is to the left", of(replace(absent, moves_left=False))
        for bits in _SHIFT_BITS:
            yield f"{text}, and the distance wraps in {bits} bits", of(replace(absent, apart_bits=bits))
        for offset in (-2, -1, 1, 2):
            where = f"{abs(offset)} too {'low' if offset < 0 else 'high'}"
            yield f"the reference exponent of {what} is {where}", of(Part(offset=offset))
    for offset in (-1, 0, 1):
        where = "above" if offset == 0 else "at" if offset < 0 else "two above"
        text = f"the reference exponent of {of_group} is the place {where} the leading bit of the largest"
        yield text, AlignedSums(addends=Part(place=Place.LEADING, offset=offset))
    text = "the reference exponent of the accumulator is that of its field, of subnormals, too"
    yield text, AlignedSums(held=Part(place=Place.FIELD))
    text = "the reference exponent of the accumulator stays that at which its sum was aligned"
    yield text, AlignedSums(held=Part(place=Place.KEPT))
