"""Formats drawn at random, small ones, and whether a bin that is said to be impossible there is hit (spec 12.10)."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bfpemu.errors import SpecError  # noqa: E402
from bfpemu.formats import (  # noqa: E402
    BFPSpec,
    Conversion,
    DecodeUnderflow,
    Encoding,
    NegativeZeroCode,
    ReservedExponent,
    Rounding,
)
from bfpemu.formats.preset import Preset  # noqa: E402
from bfpemu.formats.unit import DotProductUnit  # noqa: E402
from bfpemu.testing.strategies import conversions  # noqa: E402
from bfpemu.testing.units import units  # noqa: E402
from bfpemu.vectors.answers import expected  # noqa: E402
from bfpemu.vectors.blocks.families import Tally  # noqa: E402
from bfpemu.vectors.blocks.filling import Stimulus, acceptable, filling  # noqa: E402
from bfpemu.vectors.problem import UNITS, Problem  # noqa: E402
from bfpemu.vectors.sets.directed import Directed, pieces_of, rows_of  # noqa: E402
from bfpemu.vectors.sets.generate import recheck  # noqa: E402
from bfpemu.vectors.sets.plan import plan_of  # noqa: E402

_PIECE = 1 << 12
_RECHECKED_EVERY = 41
_MOST_DOT_VECTORS = 400
"""The reference model traces every vector of a dot product."""


@st.composite
def small_specs(draw: st.DrawFn) -> BFPSpec:
    """Draw a format of 2 to 4 bits an element, 2 to 4 bits an exponent, blocks of 1 to 4 or of a whole tensor."""
    has_sign = draw(st.integers(0, 4)) > 0
    exponent_bits = draw(st.integers(2, 4))
    sub_block_size = draw(st.integers(1, 2)) if draw(st.integers(0, 3)) == 0 else None
    middle = (1 << (exponent_bits - 1)) - 1
    bias = st.none() | st.integers(middle - 6, middle + 6) | st.integers(middle - 140, middle + 140)
    options: dict[str, Any] = {
        "encoding": draw(st.sampled_from([Encoding.TWOS_COMPLEMENT, Encoding.SIGN_MAGNITUDE])) if has_sign else None,
        "fraction_bits": draw(st.none() | st.integers(-2, 6)),
        "exponent_bias": draw(bias),
        "exponent_reserved": draw(st.just(ReservedExponent.NONE) | st.sampled_from(ReservedExponent)),
        "negative_zero_code": draw(st.sampled_from(NegativeZeroCode)),
        "decode_underflow": draw(st.sampled_from(DecodeUnderflow) | st.just(DecodeUnderflow.EXACT)),
        "sub_block_size": sub_block_size,
        "sub_shift_bits": draw(st.integers(1, 2)) if sub_block_size else 0,
    }
    size = draw(st.integers(1, 4) | st.integers(1, 4) | st.none())
    block_size = sub_block_size * draw(st.integers(1, 2)) if sub_block_size else size
    mantissa_bits = draw(st.integers(2, 4))
    return BFPSpec("drawn", mantissa_bits, block_size, exponent_bits, has_sign, draw(st.booleans()), **options)


@st.composite
def small_presets(draw: st.DrawFn) -> Preset:
    """Draw a small format with any conversion that fits it, or with the default one."""
    spec = draw(small_specs())
    return Preset(spec, draw(conversions(spec) | conversions(spec) | st.just(Conversion())))


@st.composite
def small_units(draw: st.DrawFn) -> DotProductUnit:
    """Draw a dot-product unit, now and then with an output in small blocks."""
    unit = draw(units())
    preset = draw(small_presets()) if draw(st.integers(0, 3)) == 0 else None
    if preset is None or preset.conversion.rounding is Rounding.STOCHASTIC:
        return unit
    try:
        return dataclasses.replace(unit, output=preset)
    except SpecError:
        # Not every conversion is one of an output (spec 6.8).
        return unit


@st.composite
def small_problems(draw: st.DrawFn, names: tuple[str, ...] = UNITS) -> Problem:
    """Draw a unit with small formats that it takes."""
    unit, format = draw(st.sampled_from(names)), draw(small_presets())
    second = st.none() | small_presets()
    words: dict[str, Any] = {}
    if unit in ("encode", "decode"):
        words["dtype"] = draw(st.sampled_from(["float16", "bfloat16", "float32", "float64"]))
    if unit in ("add", "multiply", "dot"):
        words["b"] = draw(second)
    if unit in ("add", "multiply", "requantize"):
        words["result"] = draw(second)
        # What is no multiple of a block leaves a short one.
        words["elements"] = draw(st.just(0) | st.just(0) | st.integers(1, 8))
    if unit == "dot":
        words["dot_unit"] = draw(small_units())
        words["elements"] = draw(st.integers(1, 8))
        words["shows_accumulator"] = draw(st.booleans())
    whole = [preset for preset in (format, words.get("b"), words.get("result")) if preset]
    if any(preset.format.block_size is None for preset in whole) and not words.get("elements"):
        words["elements"] = draw(st.integers(1, 4))
    output = words["dot_unit"].output if unit == "dot" else None
    if isinstance(output, Preset) and output.format.block_size is None:
        words["results"] = draw(st.integers(1, 4))
    try:
        return Problem(unit, format, **words)
    except SpecError:
        # Units and formats that do not go together (spec 12.2): another pair.
        return draw(st.nothing())


def inputs(problem: Problem, most_bits: int, vectors: int, seed: int) -> Iterator[Stimulus]:
    """Yield every stimulus of a unit whose words have so few bits; of others so many pseudo-random ones."""
    layout = problem.stimulus
    count = 1 << layout.bits if layout.bits <= most_bits else 0
    if problem.unit == "dot" and count > _MOST_DOT_VECTORS:
        count, vectors = 0, _MOST_DOT_VECTORS
    for first in range(0, count, _PIECE):
        numbers = np.arange(first, min(first + _PIECE, count), dtype="<u8")
        words = numbers.view(np.uint8).reshape(len(numbers), 8)[:, : layout.word_bytes]
        yield acceptable(problem, layout.unpack(np.ascontiguousarray(words)))
    if not count:
        yield from pieces_of(filling(problem, seed, 0, vectors), _PIECE)
        if problem.unit == "encode":
            yield from pieces_of(acceptable(problem, _near(problem, vectors, seed)), _PIECE)


def _near(problem: Problem, vectors: int, seed: int) -> Stimulus:
    """Return blocks of numbers of few bits around the exponents of the format."""
    kind, spec = problem.kind, problem.target.format
    random = np.random.default_rng(seed)
    shape = (vectors, problem.elements)
    bias = (1 << (kind.exponent_bits - 1)) - 1
    ends = (spec.smallest_exponent - spec.mantissa_bits - 4 + bias, spec.largest_exponent + 4 + bias)
    low, high = (min(max(end, 0), 2 * bias) for end in ends)
    centre = random.integers(low, high, (vectors, 1), endpoint=True)
    fields = np.clip(centre - random.integers(-1, 5, shape), 0, 2 * bias)
    fractions = random.integers(0, 16, shape) << (kind.fraction_bits - 4)
    fractions |= np.where(random.integers(0, 3, shape) == 0, 1 << random.integers(0, kind.fraction_bits - 4, shape), 0)
    zeros = random.integers(0, 6, shape) > 0
    signs = random.integers(0, 2, shape) << (kind.exponent_bits + kind.fraction_bits)
    found: Stimulus = {"x": (np.where(zeros, fields << kind.fraction_bits | fractions, 0) | signs).astype(np.uint64)}
    for field in problem.stimulus.fields[1:]:
        found[field.name] = random.integers(0, 1 << field.width, (vectors, field.count)).astype(np.uint64)
    return found


def contradictions(
    problem: Problem, *, level: int = 1, most_bits: int = 14, vectors: int = 2000, seed: int = 1
) -> dict[str, str]:
    """Return the bins of a level that an input hits although they are said to be impossible, with the reason of each.

    Where a stimulus word has at most `most_bits` bits, every input is looked at; else so many pseudo-random vectors.
    The reference model computes some of the directed vectors again.

    Raises
    ------
    DataError
        ``set-disagreement``, if kernels and reference model differ.
    """
    plan = plan_of(problem, level, 1)
    made = Directed(plan)
    first = 0
    for part in made.parts:
        recheck(problem, part.stimulus, part.answer, first, _RECHECKED_EVERY, part.traces)
        first += rows_of(part.stimulus)
    found = made.contradictions()
    tally, first = Tally(plan.families), 0
    for stimulus in inputs(problem, most_bits, vectors, seed):
        tally.add(plan.facts(stimulus, expected(problem, stimulus)), first, rows_of(stimulus))
        first += rows_of(stimulus)
    said = {name: entry["cannot_occur"] for name, entry in made.report().items() if "cannot_occur" in entry}
    return found | {name: said[name] for name in tally.hits if name in said}
