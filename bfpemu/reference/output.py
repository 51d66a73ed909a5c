"""What comes out of an accumulator: one rounding to a float format, or one encoding in blocks (spec 6.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bfpemu.formats import Preset
from bfpemu.formats.unit import DotProductUnit
from bfpemu.reference.elementwise import as_source
from bfpemu.reference.flags import Flags
from bfpemu.reference.float_format import pattern_of, round_to_format
from bfpemu.reference.tensor import EncodedTensor, encode_values, tensor_values
from bfpemu.reference.value import Value


class ResultCodes(NamedTuple):
    """The codes of a result that is a block of its own (spec 4.6)."""

    exponent_code: int
    shift_codes: tuple[int, ...]
    element_code: int


class SingleResult(NamedTuple):
    """One result, the value of its bits, and the flags that the output raised."""

    result: int | ResultCodes
    value: Value
    flags: Flags


class Encoded(NamedTuple):
    """Results in block floating point, and the flags that encoding each of them raised (spec 6.8, 6.10)."""

    tensor: EncodedTensor
    flags: list[Flags]


def encoded(values: Sequence[Value], shape: Sequence[int], unit: DotProductUnit) -> Encoded:
    """Return results of a shape in the format of the output, along its axis (spec 6.8).

    Raises
    ------
    DataError
        ``axis``, ``nan``, ``infinity`` or ``exponent-overflow``, as encoding does.
    """
    preset = unit.output
    assert isinstance(preset, Preset)
    sources = [as_source(value, preset.conversion) for value in values]
    tensor = encode_values(sources, shape, preset, unit.output_axis)
    pairs = zip(values, tensor_values(tensor), strict=True)
    return Encoded(tensor, [Flags.NONE if _is_same(value, code) else Flags.INEXACT for value, code in pairs])


def single_result(value: Value, unit: DotProductUnit) -> SingleResult:
    """Return one result, rounded, or encoded without axes (spec 4.6, 6.8); errors as `encoded`."""
    if not isinstance(unit.output, Preset):
        result, raised = round_to_format(value, unit.output)
        return SingleResult(pattern_of(result, unit.output), result, raised)
    tensor, flags = encoded([value], (), unit)
    codes = ResultCodes(tensor.exponent_codes[0], tuple(tensor.shift_codes), tensor.element_codes[0])
    return SingleResult(codes, tensor_values(tensor)[0], flags[0])


def _is_same(x: Value, y: Value) -> bool:
    """Return whether two values are one number; zeros of both signs are (spec 6.10)."""
    if x.is_finite and y.is_finite:
        return x.signed == y.signed
    return x == y
