"""Expected words of dot products, from the compiled kernels (spec 12.3, 12.4, 12.11)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.fast import Task
from bfpemu.arithmetic.outputs import encoded_results, inexact_flags
from bfpemu.arithmetic.pairs import Sums, pair_sums
from bfpemu.arithmetic.products import kernel_task
from bfpemu.arithmetic.results import float_patterns
from bfpemu.formats.preset import Preset
from bfpemu.formats.unit import AccumulatorKind, FloatFormat
from bfpemu.kernels.accumulate import FINITE, NOT_A_NUMBER
from bfpemu.tensor import BFPTensor
from bfpemu.vectors.layouts import ACCUMULATOR_EXPONENT_BITS
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray, Fields

Int64Array = npt.NDArray[np.int64]


def tensor_of(problem: Problem, stimulus: Fields, prefix: str, preset: Preset) -> BFPTensor:
    """Return the tensor of the codes of an operand."""
    spec, blocks = preset.format, problem.blocks(preset)
    shifts = None
    if spec.sub_shift_bits:
        codes = stimulus[f"{prefix}shifts"]
        shifts = codes.reshape(len(codes), blocks, spec.shifts_per_block)
    return BFPTensor.from_codes(
        stimulus[f"{prefix}exponents"], stimulus[f"{prefix}elements"], preset, shift_codes=shifts
    )


def codes_of_tensor(tensor: BFPTensor) -> dict[str, AnyArray]:
    """Return the fields of a tensor of results."""
    found = {"elements": tensor.element_codes, "exponents": tensor.exponent_codes}
    if tensor.format.sub_shift_bits:
        found["shifts"] = tensor.shift_codes.reshape(len(tensor.element_codes), -1)
    return found


def row_pairs(problem: Problem, stimulus: Fields) -> Fields:
    """Return the dot products of some vectors, `results` of each, every one with a row `a` of its own (spec 12.2)."""
    if not problem.results:
        return stimulus
    return {
        name: np.repeat(items, problem.results, axis=0)
        if name.startswith("a_")
        else items.reshape(len(items) * problem.results, -1)
        for name, items in stimulus.items()
    }


def sums_of(problem: Problem, pairs: Fields) -> Sums:
    """Return what the accumulators of some dot products hold."""
    return pair_sums(task_of(problem, pairs))


def task_of(problem: Problem, pairs: Fields) -> Task:
    """Return some dot products as the kernels take them."""
    unit = problem.dot_unit
    assert unit is not None
    a = tensor_of(problem, pairs, "a_", problem.a_flat)
    b = tensor_of(problem, pairs, "b_", problem.b_flat)
    return kernel_task(unit, a, b, (-1, -1))


def dot_answers(problem: Problem, stimulus: Fields) -> dict[str, AnyArray]:
    """Return the items of the expected words of some vectors of `dot`."""
    return answers_of_sums(problem, sums_of(problem, row_pairs(problem, stimulus)))


def answers_of_sums(problem: Problem, sums: Sums) -> dict[str, AnyArray]:
    """Return the items of expected words of what accumulators hold."""
    rows = problem.results or 1
    flags = sums.flags
    if problem.float_output is not None:
        found: dict[str, AnyArray] = {"result": _float_words(sums.numbers, problem.float_output)[:, None]}
    else:
        numbers = sums.numbers.reshape(-1, rows, 3)
        tensor = encoded_results(numbers, problem.target, -1, threads=1)
        found = codes_of_tensor(tensor)
        flags = flags | inexact_flags(numbers, tensor).reshape(-1)
    found["flags"] = flags.reshape(-1, rows)
    if problem.shows_accumulator:
        shown = _registers(problem, sums.registers, sums.numbers[:, 0] == NOT_A_NUMBER)
        found |= {name: items.reshape(-1, rows) for name, items in shown.items()}
    return found


def refused_rows(problem: Problem, stimulus: Fields) -> npt.NDArray[np.bool_]:
    """Return which vectors have an accumulator in the end that the output's conversion refuses (spec 3.3)."""
    state = sums_of(problem, row_pairs(problem, stimulus)).numbers[:, 0].reshape(-1, problem.results)
    is_nan, is_infinite = state == NOT_A_NUMBER, (state != NOT_A_NUMBER) & (state != FINITE)
    refused = (is_nan & problem.refuses_nan) | (is_infinite & problem.refuses_infinity)
    found: npt.NDArray[np.bool_] = refused.any(axis=1) | (is_nan.all(axis=1) & problem.refuses_only_nan)
    return found


def _registers(problem: Problem, registers: Int64Array, is_nan: npt.NDArray[np.bool_]) -> dict[str, AnyArray]:
    """Return the fields of the accumulator (spec 12.4)."""
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator
    if accumulator.format is not None:
        held = _float_words(registers[:, :3], accumulator.format)
        return {"accumulator": np.where(is_nan, np.uint64(0), held)}
    assert accumulator.bits is not None
    integers = np.where(is_nan, 0, registers[:, 1]) & ((1 << accumulator.bits) - 1)
    found = {"accumulator": integers.astype(np.uint64)}
    if accumulator.kind is AccumulatorKind.ALIGNED:
        exponents = np.where(is_nan, 0, registers[:, 2]) & ((1 << ACCUMULATOR_EXPONENT_BITS) - 1)
        found["accumulator_exponent"] = exponents.astype(np.uint64)
    return found


def _float_words(numbers: Int64Array, format: FloatFormat) -> npt.NDArray[np.uint64]:
    return float_patterns(numbers, format.exponent_bits, format.fraction_bits)
