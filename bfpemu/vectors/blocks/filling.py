"""Filling: pseudo-random vectors of four kinds in turn (spec 12.8), and the removal of what a conversion refuses."""

from __future__ import annotations

import numpy as np

from bfpemu.formats import ReservedExponent
from bfpemu.formats.preset import Preset
from bfpemu.kernels.source import FINITE
from bfpemu.vectors.answers import operand_values, refused_results
from bfpemu.vectors.blocks.acceptance import accepted, refused_blocks, whole_fields
from bfpemu.vectors.blocks.pseudorandom import words
from bfpemu.vectors.blocks.source_numbers import has_infinity_codes
from bfpemu.vectors.dot_answers import refused_rows
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray, taken

_NEAR, _RUNS, _TIES, _UNIFORM = range(4)
_BASES, _SECOND = 100, 200
"""Streams beside those of the fields themselves."""

Stimulus = dict[str, AnyArray]


def filling(problem: Problem, seed: int, first: int, rows: int) -> Stimulus:
    """Return the filling vectors from number `first`; any piece of them is the same in whatever pieces they are made.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("encode", resolve("8x4"))
    >>> whole = filling(problem, 1, 0, 8)["x"]
    >>> bool((filling(problem, 1, 5, 3)["x"] == whole[5:]).all())
    True
    """
    kinds = ((first + np.arange(rows)) % 4)[:, None]
    found: Stimulus = {}
    for number, field in enumerate(problem.stimulus.fields):
        bits = words(seed, number, first, rows, field.count)
        if field.name == "x":
            found["x"] = _patterns(problem, seed, first, kinds, bits)
        elif field.name.endswith("elements"):
            found[field.name] = _elements(field.width, kinds, bits)
        elif field.name.endswith("exponents"):
            found[field.name] = _exponents(field.width, seed, number, first, kinds, bits)
        else:
            found[field.name] = bits >> np.uint64(64 - field.width)
    return acceptable(problem, found)


def _patterns(problem: Problem, seed: int, first: int, kinds: AnyArray, bits: AnyArray) -> AnyArray:
    """Return patterns of the source: near each other, runs of equal bits, beside ties, uniform."""
    kind = problem.kind
    point, ones = kind.fraction_bits, (1 << kind.exponent_bits) - 1
    mask = np.uint64((1 << point) - 1)
    base = words(seed, _BASES, first, len(bits), 1)
    # Half of the blocks lie around 1, where other formats have their exponents too.
    anywhere = (base >> np.uint64(8)) % np.uint64(ones)
    around = np.uint64(ones >> 1) + (base >> np.uint64(8)) % np.uint64(9)
    centre = np.where(base & np.uint64(1) == 0, anywhere, around).astype(np.int64)
    spread = ((bits >> np.uint64(58)) % np.uint64(problem.target.format.magnitude_bits + 4)).astype(np.int64)
    field = np.clip(centre - spread, 0, ones - 1).astype(np.uint64)
    fraction = bits & mask
    # A run: all bits above a place, or below it.
    place = (bits >> np.uint64(52)) % np.uint64(point + 1)
    run = (mask >> place) ^ np.where(bits >> np.uint64(51) & np.uint64(1) == 0, np.uint64(0), mask)
    # A tie or its neighbour: the bits below a place are 1000..., plus or minus 1.
    low = np.uint64(1) << place
    tie = (
        ((fraction & ~((low << np.uint64(1)) - np.uint64(1))) | low)
        + (bits >> np.uint64(49)) % np.uint64(3)
        - np.uint64(1)
    )
    fraction = np.where(kinds == _RUNS, run, np.where(kinds == _TIES, tie & mask, fraction))
    sign = (bits >> np.uint64(63)) << np.uint64(kind.exponent_bits + point)
    uniform = bits & np.uint64((1 << (1 + kind.exponent_bits + point)) - 1)
    return np.where(kinds == _UNIFORM, uniform, fraction | field << np.uint64(point) | sign)


def _elements(width: int, kinds: AnyArray, bits: AnyArray) -> AnyArray:
    """Return element codes: uniform, but for runs of equal bits, and small and extreme ones."""
    ones = np.uint64((1 << width) - 1)
    uniform = bits >> np.uint64(64 - width)
    place = bits % np.uint64(width + 1)
    run = (ones >> place) ^ np.where(bits >> np.uint64(32) & np.uint64(1) == 0, np.uint64(0), ones)
    ends = uniform ^ np.where(bits & np.uint64(3) == 0, np.uint64(0), uniform & ~np.uint64(3))
    ends = np.where(bits & np.uint64(16) == 0, ends, ones ^ ends) & ones
    return np.where(kinds == _RUNS, run, np.where(kinds == _TIES, ends, uniform))


def _exponents(width: int, seed: int, number: int, first: int, kinds: AnyArray, bits: AnyArray) -> AnyArray:
    """Return exponent codes that lie close to each other, but for the uniform kind."""
    ones = (1 << width) - 1
    base = words(seed, _BASES, first, len(bits), 1)
    centre = np.where(base & np.uint64(1) == 0, (base >> np.uint64(8)) & np.uint64(ones), np.uint64(ones >> 1)).astype(
        np.int64
    )
    window = np.where(kinds == _NEAR, 3, 25)
    near = np.clip(centre + (bits >> np.uint64(40)).astype(np.int64) % window - window // 2, 0, ones)
    return np.where(kinds == _UNIFORM, bits >> np.uint64(64 - width), near.astype(np.uint64))


# ---------------------------------------------------------------------------------- what is refused


def acceptable(problem: Problem, stimulus: Stimulus) -> Stimulus:
    """Return vectors without what the conversion refuses, or what cannot be supplied (spec 12.2)."""
    found = dict(stimulus)
    if problem.needs_exponents:
        count = np.uint64(problem.target.format.largest_exponent_code + 1)
        found["exponents"] = found["exponents"].astype(np.uint64) % count
    if not problem.may_refuse:
        return found
    if problem.unit == "encode":
        return found | {"x": _accepted_patterns(problem, found)}
    if problem.unit == "dot":
        return found | _accepted_sums(problem, found)
    rows = refused_results(problem, found)
    if not rows.any():
        return found
    own = taken(found, rows)
    for prefix, preset in (("a_", problem.a_flat), ("b_", problem.b and problem.b_flat)):
        if preset:
            own |= _accepted_codes(problem, own, prefix, preset)
    for name, items in own.items():
        found[name] = found[name].copy()
        found[name][rows] = items
    return found


def _accepted_patterns(problem: Problem, stimulus: Stimulus) -> AnyArray:
    """Return blocks that the conversion takes: of one that it refuses, with lower numbers for what it refuses."""
    kind, target, patterns = problem.kind, problem.target, stimulus["x"]
    rows = refused_blocks(kind, target, patterns, stimulus.get("random"))
    if not rows.any():
        return patterns
    found, own = patterns.copy(), patterns[rows].astype(np.uint64)
    point, ones = np.uint64(kind.fraction_bits), np.uint64((1 << kind.exponent_bits) - 1)
    largest = whole_fields(kind, target) - 1
    lower = own & ~(ones << point) | np.uint64(max(largest, 0)) << point
    if largest < 0:
        lower &= ~np.uint64((1 << kind.fraction_bits) - 1)
    found[rows] = np.where(accepted(kind, target, own, beside_zeros=True), own, lower)
    # Elements that are taken alone may be refused together, as with the rule even.
    found[refused_blocks(kind, target, found, stimulus.get("random"))] = 0
    return found


def _accepted_sums(problem: Problem, stimulus: Stimulus) -> Stimulus:
    """Return dot products of which the conversion of the output refuses none: zeros in place of those that it does."""
    refused = refused_rows(problem, stimulus)[:, None]
    found: Stimulus = {"a_elements": np.where(refused, np.uint64(0), stimulus["a_elements"])}
    for prefix, spec in (("a_", problem.a_flat.format), ("b_", problem.b_flat.format)):
        if spec.exponent_reserved is ReservedExponent.NAN:
            exponents = stimulus[f"{prefix}exponents"]
            lower = np.minimum(exponents, np.uint64(spec.all_ones_code - 1))
            found[f"{prefix}exponents"] = np.where(refused, lower, exponents)
    return found


def _accepted_codes(problem: Problem, stimulus: Stimulus, prefix: str, preset: Preset) -> Stimulus:
    """Return codes of an operand without NaN blocks, and with 0 for other codes of infinities and NaN."""
    spec = preset.format
    found: Stimulus = {}
    if spec.exponent_reserved is ReservedExponent.NAN:
        exponents = stimulus[f"{prefix}exponents"]
        found[f"{prefix}exponents"] = np.minimum(exponents, np.uint64(spec.all_ones_code - 1))
    if has_infinity_codes(spec):
        known = stimulus | found
        kinds = operand_values(problem, known, prefix, preset).kinds
        found[f"{prefix}elements"] = np.where(kinds == FINITE, known[f"{prefix}elements"], np.uint64(0))
    return found
