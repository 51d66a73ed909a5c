"""Other ways of decoding into a float: another rounding, no subnormals, no infinities (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import product

import numpy as np

from bfpemu.codec.codes import code_dtype, significands
from bfpemu.formats import BFPSpec, Conversion, Encoding, Rounding
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.element_rounding import GOES_AWAY, bits_go_away
from bfpemu.vectors.blocks.facts import Int64Array, Mask, UInt64Array
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import Fields

_POINT, _BIAS = 52, 1023
"""Of float64, which holds nearly every number of a format."""


def other_decodings(problem: Problem, stimulus: Fields) -> Iterator[tuple[str, UInt64Array]]:
    """Yield (text, patterns) of stimuli of `decode` into a narrower float than float64, for each other way.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("decode", resolve("8x2"), dtype="float16")
    >>> found = dict(other_decodings(problem, {"elements": np.array([[127, 1]]), "exponents": np.array([[109]])}))
    >>> [hex(pattern) for pattern in found["subnormals become 0"][0].tolist()]
    ['0x0', '0x0']
    """
    if problem.unit != "decode" or problem.dtype == "float64":
        return
    right = expected(problem, stimulus)["y"].astype(np.uint64)
    wide = expected(dataclasses.replace(problem, dtype="float64"), stimulus)["y"].astype(np.uint64)
    for rounding, saturates in product(GOES_AWAY, (False, True)):
        is_right = rounding is Rounding.TIES_TO_EVEN
        if is_right and not saturates:
            continue
        text = "" if is_right else f"rounding into {problem.dtype} by '{rounding}' instead of 'ties_to_even'"
        over = "numbers too large become the largest, not an infinity" if saturates else ""
        yield ", and ".join(filter(None, (text, over))), _rounded(problem, wide, right, rounding, saturates=saturates)
    for bits in range(24):
        text = f"{bits} bits behind the half are looked at when rounding"
        yield text, _rounded(problem, wide, right, Rounding.TIES_TO_EVEN, sticky_bits=bits)
    for width in range(3, 8):
        text = f"the shift of a subnormal has {width} bits"
        yield text, _rounded(problem, wide, right, Rounding.TIES_TO_EVEN, shift_bits=width)
    wrapped = _rounded(problem, wide, right, Rounding.TIES_TO_EVEN, wraps=True)
    yield "an exponent above the largest wraps", wrapped
    point, sign = (
        np.uint64(problem.kind.fraction_bits),
        np.uint64(1 << (problem.kind.exponent_bits + problem.kind.fraction_bits)),
    )
    infinity = np.uint64(((1 << problem.kind.exponent_bits) - 1) << problem.kind.fraction_bits)
    is_large = (wrapped & (sign - np.uint64(1)) > infinity) & (right & (sign - np.uint64(1)) <= infinity)
    text = "an exponent above the largest wraps, and what then has the largest field is an infinity"
    yield text, np.where(is_large, wrapped & sign | infinity, wrapped)
    is_small = right & (sign - np.uint64(1)) < np.uint64(1) << point
    yield "subnormals become 0", np.where(is_small, right & sign, right)
    size = right & (sign - np.uint64(1))
    yield "subnormals are twice too large", np.where(is_small, right + size, right)
    yield "subnormals are half as large", np.where(is_small, right - (size - (size >> np.uint64(1))), right)


def other_elements(problem: Problem, stimulus: Fields, given: Fields) -> Iterator[tuple[str, UInt64Array]]:
    """Yield (text, patterns) for a sign bit that counts as magnitude, and for special codes that are not decoded.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("decode", resolve("4x2"))
    >>> stimulus = {"elements": np.array([[0, 9]]), "exponents": np.array([[130]])}
    >>> found = dict(other_elements(problem, stimulus, expected(problem, stimulus)))
    >>> [hex(pattern) for pattern in found["the sign bit of elements counts as magnitude, too"][0].tolist()]
    ['0x0', '0xc1100000']
    """
    if problem.unit != "decode":
        return
    spec = problem.a_flat.format
    right = expected(problem, stimulus)["y"].astype(np.uint64)
    codes, sign = stimulus["elements"].astype(np.uint64), np.uint64(1 << (spec.mantissa_bits - 1))
    if spec.has_sign and spec.mantissa_bits < 32 and spec.sub_block_size is None:
        wide = dataclasses.replace(
            spec,
            mantissa_bits=spec.mantissa_bits + 1,
            encoding=Encoding.SIGN_MAGNITUDE,
            fraction_bits=spec.fraction_bits,
        )
        preset = dataclasses.replace(problem.format, format=wide, conversion=Conversion())
        read = np.where(codes & sign != 0, codes | sign << np.uint64(1), codes)
        words = expected(dataclasses.replace(problem, format=preset), {**stimulus, "elements": read})["y"]
        yield "the sign bit of elements counts as magnitude, too", words.astype(np.uint64)
    half = 1 << (spec.exponent_bits - 1)
    if spec.exponent_bits < 10:
        below = dataclasses.replace(spec, exponent_bias=spec.exponent_bias + 2 * half, fraction_bits=spec.fraction_bits)
        read_signed = expected(
            dataclasses.replace(problem, format=dataclasses.replace(problem.format, format=below)), stimulus
        )
        high = np.repeat(stimulus["exponents"] >= half, spec.elements_per_block or 1, axis=1)[:, : codes.shape[1]]
        yield "exponent codes are read as signed numbers", np.where(high, read_signed["y"], right).astype(np.uint64)
    is_reserved = spec.nan_code is not None
    top = np.uint64(1 << (problem.expected.fields[0].width - 1))
    exponents = np.repeat(stimulus["exponents"], spec.elements_per_block or 1, axis=1)[:, : codes.shape[1]]
    is_nan: Mask = (exponents == spec.all_ones_code) & is_reserved
    for text, mask in (
        ("element 0", (codes == 0) & ~is_nan),
        ("element 0 of a NaN block", (codes == 0) & is_nan),
        ("the element of the sign bit alone", (codes == sign) & spec.has_sign & ~is_nan),
        ("an element of the significand 1 or -1", (_magnitudes(spec, codes) == 1) & ~is_nan),
        ("an element of a NaN block", is_nan),
    ):
        others = given["y"][mask & (given["y"] != right)]
        if others.size:
            width = -(-problem.expected.fields[0].width // 4)
            found = np.where(mask, given["y"], right).astype(np.uint64)
            yield f"{text} is decoded otherwise, first as {int(others.flat[0]):0{width}x}", found
    if spec.has_sign:
        # Behind the last lane are zeros.
        signs = np.pad((codes & sign != 0).astype(np.uint64) * top, ((0, 0), (1, 1)))
        for which, lanes in (("before", signs[:, :-2]), ("behind", signs[:, 2:])):
            yield f"signs are those of the lane {which}", np.where(is_nan, right, right & ~top | lanes)


def _magnitudes(spec: BFPSpec, codes: UInt64Array) -> UInt64Array:
    return np.abs(significands(codes.astype(code_dtype(spec.mantissa_bits)), spec).astype(np.int64)).astype(np.uint64)


def _rounded(
    problem: Problem,
    wide: UInt64Array,
    right: UInt64Array,
    rounding: Rounding,
    *,
    saturates: bool = False,
    sticky_bits: int = 64,
    shift_bits: int = 62,
    wraps: bool = False,
) -> UInt64Array:
    """Return float64 patterns as patterns of the narrower float; infinities and NaN are the right ones."""
    point, bits = problem.kind.fraction_bits, problem.kind.exponent_bits
    smallest, infinity = 2 - (1 << (bits - 1)), np.uint64(((1 << bits) - 1) << point)
    negative: Mask = wide >> np.uint64(63) != 0
    field = (wide >> np.uint64(_POINT)).astype(np.int64) & 0x7FF
    significand = wide & np.uint64((1 << _POINT) - 1) | (field > 0).astype(np.uint64) << np.uint64(_POINT)
    top = np.maximum(field, 1) - _BIAS
    place: Int64Array = np.maximum(top, smallest)
    below_normal = place - top & ((1 << shift_bits) - 1)
    shift = np.minimum(_POINT - point + below_normal, 63).astype(np.uint64)
    whole, guard = significand >> shift, significand >> (shift - np.uint64(1)) & np.uint64(1)
    lowest = np.maximum(shift.astype(np.int64) - 1 - sticky_bits, 0).astype(np.uint64)
    below = (significand & ((np.uint64(1) << (shift - np.uint64(1))) - np.uint64(1))) >> lowest != 0
    away = bits_go_away(rounding, negative, whole & np.uint64(1), guard, below)
    magnitude = ((place - smallest).astype(np.uint64) << np.uint64(point)) + whole + away
    if wraps:
        magnitude &= np.uint64((1 << (bits + point)) - 1)
    else:
        magnitude = np.minimum(magnitude, infinity - np.uint64(saturates))
    found: UInt64Array = np.where(
        field == 0x7FF, right, magnitude | negative.astype(np.uint64) << np.uint64(bits + point)
    )
    return found
