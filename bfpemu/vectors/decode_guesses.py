"""Other ways of decoding into a float: another rounding, no subnormals, no infinities (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import product

import numpy as np

from bfpemu.formats import Rounding
from bfpemu.vectors.answers import expected
from bfpemu.vectors.decision_bins import GOES_AWAY
from bfpemu.vectors.facts import Int64Array, Mask, UInt64Array
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
    point, sign = (
        np.uint64(problem.kind.fraction_bits),
        np.uint64(1 << (problem.kind.exponent_bits + problem.kind.fraction_bits)),
    )
    is_small = right & (sign - np.uint64(1)) < np.uint64(1) << point
    yield "subnormals become 0", np.where(is_small, right & sign, right)


def _rounded(
    problem: Problem, wide: UInt64Array, right: UInt64Array, rounding: Rounding, *, saturates: bool
) -> UInt64Array:
    """Return float64 patterns as patterns of the narrower float; infinities and NaN are the right ones."""
    point, bits = problem.kind.fraction_bits, problem.kind.exponent_bits
    smallest, infinity = 2 - (1 << (bits - 1)), np.uint64(((1 << bits) - 1) << point)
    negative: Mask = wide >> np.uint64(63) != 0
    field = (wide >> np.uint64(_POINT)).astype(np.int64) & 0x7FF
    significand = wide & np.uint64((1 << _POINT) - 1) | (field > 0).astype(np.uint64) << np.uint64(_POINT)
    top = np.maximum(field, 1) - _BIAS
    place: Int64Array = np.maximum(top, smallest)
    shift = np.minimum(_POINT - point + place - top, 63).astype(np.uint64)
    whole, guard = significand >> shift, significand >> (shift - np.uint64(1)) & np.uint64(1)
    below = significand & ((np.uint64(1) << (shift - np.uint64(1))) - np.uint64(1)) != 0
    cell = 8 * negative + 4 * (whole & np.uint64(1)).astype(np.int64) + 2 * guard.astype(np.int64) + below
    magnitude = ((place - smallest).astype(np.uint64) << np.uint64(point)) + whole + GOES_AWAY[rounding][cell]
    magnitude = np.minimum(magnitude, infinity - np.uint64(saturates))
    found: UInt64Array = np.where(
        field == 0x7FF, right, magnitude | negative.astype(np.uint64) << np.uint64(bits + point)
    )
    return found
