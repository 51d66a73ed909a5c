"""The crosses of both operands' codes: of elements, and of exponents (spec 12.14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bfpemu.formats import BFPSpec, Encoding, NegativeZeroCode, ReservedExponent
from bfpemu.vectors.blocks.code_stimulus import code_of
from bfpemu.vectors.blocks.cross_families import Axis, Labels, cross_family
from bfpemu.vectors.blocks.families import Family, Indices
from bfpemu.vectors.problem import Problem


def operand_crosses(problem: Problem, *, has_lanes: bool = True) -> list[Family[Any]]:
    """Return the crosses of both operands' codes: of elements, in every lane, and of exponents."""
    assert problem.b is not None
    size = problem.elements
    sides = [("a", problem.a_flat.format), ("b", problem.b_flat.format)]
    elements = [Axis(_element_kinds(which, spec), lambda name: name, of_element=True) for which, spec in sides]
    exponents = [Axis(_exponent_ends(which, spec, size), lambda name: name, of_element=True) for which, spec in sides]
    lane = Axis(Family([f"lane{n}" for n in range(size)], _lanes(size)), lambda name: name, of_element=True)
    return [
        cross_family("operands", elements, _why_no_operand(problem), lane=lane if has_lanes else None),
        cross_family("exponents", exponents, _why_no_operand(problem)),
    ]


def _lanes(count: int) -> Callable[[Any], Indices]:
    return lambda facts: np.broadcast_to(np.arange(count), facts.stimulus["a_elements"].shape)


def kinds_of_codes(spec: BFPSpec) -> dict[str, int]:
    """Return a code of each kind of element, the first of those that are the same."""
    least, largest = spec.significand_ends
    values = {"zero": 0, "one": 1, "largest": largest}
    values |= {"least": least, "minus_one": -1} if spec.has_sign else {}
    found = {name: code_of(spec, value) for name, value in values.items()}
    if spec.encoding is Encoding.SIGN_MAGNITUDE:
        found["minus_zero"] = 1 << (spec.mantissa_bits - 1)
    return {name: code for place, (name, code) in enumerate(found.items()) if code not in list(found.values())[:place]}


def _element_kinds(which: str, spec: BFPSpec) -> Family[Any]:
    codes = list(kinds_of_codes(spec).values())
    kinds = [f"{which}_{name}" for name in kinds_of_codes(spec)]
    if len(codes) < 1 << spec.mantissa_bits:
        kinds.append(f"{which}_other")

    def find(facts: Any) -> Indices:
        items = facts.stimulus[f"{which}_elements"].astype(np.int64)
        return np.select([items == code for code in codes], [np.int64(n) for n in range(len(codes))], len(codes))

    return Family(kinds, find)


def exponent_ends(spec: BFPSpec) -> list[int]:
    """Return the exponent codes that are crossed: both ends, those beside them, and that of the exponent 0."""
    ones = spec.all_ones_code
    return sorted({code for code in (0, 1, spec.exponent_bias, ones - 1, ones) if 0 <= code <= ones})


def _exponent_ends(which: str, spec: BFPSpec, size: int) -> Family[Any]:
    codes = exponent_ends(spec)
    block = np.arange(size) // (spec.elements_per_block or size)

    def find(facts: Any) -> Indices:
        items = facts.stimulus[f"{which}_exponents"].astype(np.int64)[:, block]
        return np.select([items == code for code in codes], [np.int64(n) for n in range(len(codes))], -1)

    return Family([f"{which}_code{code}" for code in codes], find)


def _why_no_operand(problem: Problem) -> Callable[[Labels], str | None]:
    """Return why an operand is not given some codes."""

    def absent(labels: Labels) -> str | None:
        for label, preset in zip(labels, (problem.a_flat, problem.b_flat), strict=False):
            spec = preset.format
            if problem.unit == "dot":
                continue
            is_nan = label.endswith(f"code{spec.all_ones_code}") and spec.exponent_reserved is ReservedExponent.NAN
            if is_nan and problem.refuses_nan:
                return "the conversion refuses NaN"
            # What is an infinity may become a NaN beside another, and a reserved exponent another thing.
            is_infinity = spec.negative_zero_code is NegativeZeroCode.NEGATIVE_INFINITY
            is_infinity &= spec.exponent_reserved is ReservedExponent.NONE
            if label.endswith("minus_zero") and is_infinity and problem.refuses_nan and problem.refuses_infinity:
                return "the conversion refuses infinities"
        return None

    return absent
