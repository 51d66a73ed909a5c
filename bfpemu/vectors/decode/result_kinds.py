"""What `decode` makes of single codes, and codes for each: kinds of results, places, rounded bits (spec 12.10).

All places of the rounding into the float are looked at, so that what no code gives cannot occur.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import NamedTuple

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.formats import BFPSpec, DecodeUnderflow, Preset
from bfpemu.kernels.source import FINITE
from bfpemu.vectors.answers import expected, operand_values
from bfpemu.vectors.blocks.code_stimulus import code_of, few_significands, telling_codes, telling_exponents
from bfpemu.vectors.blocks.facts import Int64Array, split
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray, Fields

NO_CODE = "no code with any exponent gives it"
GROUPS = ("becomes", "below", "rounds", "breaks")
KINDS = ("zero", "subnormal.rounded", "subnormal.exact", "normal.rounded", "normal.exact", "infinity")
"""Of results of numbers other than 0."""

_PLACES = ("subnormal", "normal")
_EVERY_CODE_BITS = 4
_ALL_CODES_BITS = 8
_ALL_SCALES = 1 << 12
_PIECE = 1 << 18


class Example(NamedTuple):
    """A code with an exponent code and the shift code of all sub-blocks."""

    scale: tuple[int, int]
    code: int


def named_codes(spec: BFPSpec) -> list[int]:
    """Return the codes that `becomes` is about: all of narrow elements, else few ones and single bits of both signs.

    Examples
    --------
    >>> named_codes(BFPSpec("m3", 3, 2))
    [1, 2, 3, 4, 5, 6, 7]
    """
    least, largest = spec.significand_ends
    if spec.mantissa_bits <= _EVERY_CODE_BITS:
        significands = set(range(least, largest + 1))
    else:
        powers = {1 << bit for bit in range(spec.mantissa_bits)}
        significands = set(few_significands(spec)) | powers | {-power for power in powers}
    return sorted(code_of(spec, value) for value in significands if value and least <= value <= largest)


def things_of(problem: Problem) -> dict[str, list[str]]:
    """Return the names of things by group, some of which no code may give."""
    signs, point = ("pos", "neg"), problem.kind.fraction_bits
    cells = [f"lsb{cell >> 2}.guard{cell >> 1 & 1}.sticky{cell & 1}" for cell in range(8)]
    places = [*(f"places{place}" for place in range(1, point + 2)), "farther"]
    return {
        "becomes": [f"code{code}.{kind}" for code in named_codes(problem.a_flat.format) for kind in KINDS],
        "below": [f"{place}.{sign}" for place in places for sign in signs],
        "rounds": [f"{kind}.{sign}.{cell}" for kind in _PLACES for sign in signs for cell in cells],
        "breaks": [
            f"{kind}.behind{behind}.{sign}"
            for kind in _PLACES
            for behind in range(1, problem.a_flat.format.mantissa_bits + 1)
            for sign in signs
        ],
    }


def find_things(problem: Problem, stimulus: Fields, answer: Fields) -> dict[str, Int64Array]:
    """Return the numbers of things of elements, shape (vectors, elements), by group; -1 for none."""
    spec, kind = problem.a_flat.format, problem.kind
    point, smallest = kind.fraction_bits, 2 - (1 << (kind.exponent_bits - 1))
    numbers = operand_values(problem, stimulus, "", problem.a_flat)
    is_number = (numbers.kinds == FINITE) & (numbers.mantissas != 0)
    leading = numbers.tops - 1
    unit = np.maximum(leading, smallest) - point
    _, whole, rest, sticky = split(numbers.mantissas, numbers.tops, unit)
    guard, below = rest >> np.uint64(63) != 0, sticky | (rest << np.uint64(1) != 0)
    is_rounded, is_low, negative = guard | below, leading < smallest, numbers.negatives.astype(np.int64)

    magnitude = answer["y"].astype(np.uint64) & np.uint64((1 << (kind.exponent_bits + point)) - 1)
    infinity = np.uint64(((1 << kind.exponent_bits) - 1) << point)
    rank = np.where(magnitude < np.uint64(1 << point), 1, 3) + ~is_rounded
    rank = np.where(magnitude == 0, 0, np.where(magnitude == infinity, 5, rank))
    codes, items = np.array(named_codes(spec), np.uint64), stimulus["elements"].astype(np.uint64)
    at = np.minimum(np.searchsorted(codes, items), len(codes) - 1)
    is_named = is_number & (codes[at] == items) & (magnitude <= infinity)
    cell = 4 * (whole & np.uint64(1)).astype(np.int64) + 2 * guard + below
    place = np.minimum(smallest - leading, point + 2)
    # An even number and a half, and one bit more.
    left, depths = rest << np.uint64(1), spec.mantissa_bits
    behind = 65 - bit_lengths(left)
    is_broken = is_number & (cell == 3) & ~sticky & (left & (left - np.uint64(1)) == 0) & (behind <= depths)
    return {
        "becomes": np.where(is_named, at * len(KINDS) + rank, -1),
        "below": np.where(is_number & is_low, 2 * (place - 1) + negative, -1),
        "rounds": np.where(is_number, 16 * ~is_low + 8 * negative + cell, -1),
        "breaks": np.where(is_broken, 2 * (~is_low * depths + behind - 1) + negative, -1),
    }


class ResultKinds(NamedTuple):
    """Things with an example of each."""

    examples: dict[str, dict[int, Example]]
    """Group -> number of a thing -> one of the codes that give it."""
    is_complete: bool
    """Whether no code gives the other things."""


@cache
def result_kinds(problem: Problem) -> ResultKinds:
    """Return the things that codes of a problem of `decode` give.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("decode", resolve("4x2"), dtype="float16")
    >>> found = result_kinds(problem).examples["becomes"]
    >>> things_of(problem)["becomes"][2], found[2]
    ('code1.subnormal.exact', Example(scale=(106, 0), code=1))
    """
    spec = problem.a_flat.format
    scales, is_complete = _scales(problem)
    codes = np.array(_codes(spec), np.uint64)
    found: dict[str, list[AnyArray]] = {group: [] for group in GROUPS}
    rows = max(_PIECE // len(codes), 1)
    for first in range(0, len(scales), rows):
        things = _things_at(problem, codes, scales[first : first + rows])
        for group, numbers in things.items():
            found[group].append(numbers)
    examples = {}
    for group, pieces in found.items():
        numbers = np.concatenate(pieces).reshape(-1)
        order = np.argsort(numbers, kind="stable")
        values, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
        # Another one of the codes for each thing, so that examples lie at many scales.
        chosen = order[starts + 5 * np.arange(len(values)) % counts]
        examples[group] = {
            int(value): Example(scales[place // len(codes)], int(codes[place % len(codes)]))
            for value, place in zip(values, chosen.tolist(), strict=True)
            if value >= 0
        }
    return ResultKinds(examples, is_complete)


def _things_at(problem: Problem, codes: AnyArray, scales: list[tuple[int, int]]) -> dict[str, Int64Array]:
    """Return the things of all codes at some scales, shape (scales, codes)."""
    spec, count = problem.a_flat.format, len(codes)
    one_each = dataclasses.replace(spec, block_size=count, sub_block_size=count if spec.sub_shift_bits else None)
    wide = Problem("decode", Preset(one_each), dtype=problem.dtype)
    stimulus: dict[str, AnyArray] = {
        "elements": np.tile(codes, (len(scales), 1)),
        "exponents": np.array([[exponent] for exponent, _ in scales], np.uint64),
    }
    if spec.sub_shift_bits:
        stimulus["shifts"] = np.array([[shift] for _, shift in scales], np.uint64)
    return find_things(wide, stimulus, expected(wide, stimulus))


def _codes(spec: BFPSpec) -> list[int]:
    """Return all codes of narrow elements; else those with three telling bits anywhere below the leading one.

    These are the last kept bit, the guard bit, and one below it: whatever else is set there changes no thing but
    `breaks`, which is about one bit at each place.
    """
    bits = spec.mantissa_bits
    if bits <= _ALL_CODES_BITS:
        return list(range(1 << bits))
    least, largest = spec.significand_ends
    significands = {
        1 << leading | cell << place for leading in range(bits) for place in range(leading + 1) for cell in range(8)
    }
    # A half and one bit, behind nothing or behind the highest bit.
    top = spec.magnitude_bits - 1
    halves = [1 << half | 1 << bit for half in range(top + 1) for bit in range(half)]
    significands |= {one | kept for one in halves for kept in (0, 1 << top)}
    signed = {value for one in significands for value in (one, -one) if least <= value <= largest}
    return sorted({*telling_codes(spec), *named_codes(spec), *(code_of(spec, value) for value in signed)})


def _scales(problem: Problem) -> tuple[list[tuple[int, int]], bool]:
    """Return exponent codes with shift codes, and whether others give nothing else.

    Beyond the exponents that reach the float's range all numbers become 0, or all an infinity.
    """
    spec, kind = problem.a_flat.format, problem.kind
    bias = (1 << (kind.exponent_bits - 1)) - 1
    exponents, is_exact = telling_exponents(spec), spec.decode_underflow is DecodeUnderflow.EXACT
    has_all = len(exponents) == spec.all_ones_code + 1
    if not has_all:
        lowest = spec.exponent_bias + spec.fraction_bits - bias - kind.fraction_bits - spec.mantissa_bits - 3
        highest = spec.exponent_bias + spec.fraction_bits + bias + spec.largest_shift + 3
        exponents = sorted({*exponents, *range(max(lowest, 0), min(highest, spec.all_ones_code) + 1)})
    shifts = range(spec.largest_shift + 1)
    if len(exponents) * len(shifts) <= _ALL_SCALES:
        return [(exponent, shift) for exponent in exponents for shift in shifts], has_all or is_exact
    scales = {(exponent, shift) for exponent in exponents for shift in (0, spec.largest_shift)}
    return sorted(scales | {(0, shift) for shift in shifts}), is_exact
