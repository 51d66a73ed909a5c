"""The fields of stimulus and expected words of a unit (spec 12.3, 12.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bfpemu.formats import BFPSpec, Preset
from bfpemu.formats.unit import AccumulatorKind
from bfpemu.vectors.words import WordLayout

if TYPE_CHECKING:
    from bfpemu.vectors.problem import Problem

ACCUMULATOR_EXPONENT_BITS = 16
FLAG_BITS = 5

_Fields = Iterator[tuple[str, int, int]]


def stimulus_layout(problem: Problem) -> WordLayout:
    """Return the fields of a stimulus word (spec 12.3)."""
    return WordLayout.of(_stimulus(problem))


def _stimulus(problem: Problem) -> _Fields:
    if problem.unit == "decode":
        yield from _codes(problem, "", problem.a_flat)
        return
    if problem.unit == "encode":
        yield "x", 8 * problem.kind.dtype.itemsize, problem.elements
    else:
        yield from _codes(problem, "a_", problem.a_flat)
        if problem.b is not None:
            yield from _codes(problem, "b_", problem.b_flat, rows=problem.results or 1)
    if problem.needs_random_words:
        yield "random", problem.target.conversion.random_bits, problem.elements
    if problem.needs_exponents:
        yield "exponents", problem.target.format.exponent_bits, problem.result_blocks


def expected_layout(problem: Problem) -> WordLayout:
    """Return the fields of an expected word (spec 12.3, 12.4)."""
    return WordLayout.of(_expected(problem))


def _expected(problem: Problem) -> _Fields:
    if problem.unit == "decode":
        yield "y", 8 * problem.kind.dtype.itemsize, problem.elements
    elif problem.unit != "dot":
        yield from _codes(problem, "", problem.target)
    else:
        output, results = problem.float_output, problem.results or 1
        if output is not None:
            yield "result", 1 + output.exponent_bits + output.fraction_bits, 1
        else:
            spec = problem.target.format
            yield "elements", spec.mantissa_bits, results
            yield "shifts", spec.sub_shift_bits, spec.shifts_per_block
            yield "exponents", spec.exponent_bits, 1
        yield "flags", FLAG_BITS, results
        if problem.shows_accumulator:
            yield from _accumulator(problem, results)


def _accumulator(problem: Problem, results: int) -> _Fields:
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator
    if accumulator.format is not None:
        yield "accumulator", 1 + accumulator.format.exponent_bits + accumulator.format.fraction_bits, results
        return
    yield "accumulator", accumulator.bits or 0, results
    if accumulator.kind is AccumulatorKind.ALIGNED:
        yield "accumulator_exponent", ACCUMULATOR_EXPONENT_BITS, results


def _codes(problem: Problem, prefix: str, preset: Preset, rows: int = 1) -> _Fields:
    spec, blocks = preset.format, rows * problem.blocks(preset)
    yield f"{prefix}elements", spec.mantissa_bits, rows * problem.elements
    yield f"{prefix}shifts", spec.sub_shift_bits, blocks * spec.shifts_per_block
    yield f"{prefix}exponents", spec.exponent_bits, blocks


def value_text(spec: BFPSpec) -> str:
    """Return the value of a code as text (spec 12.7)."""
    shift = " - shift" if spec.sub_shift_bits else ""
    return (
        f"significand * 2 ** (exponent_code - {spec.exponent_bias}{shift} - {spec.fraction_bits}), significand in "
        f"{str(spec.encoding).replace('_', ' ')} of {spec.mantissa_bits} bits (spec 2.2 to 2.6)"
    )
