"""Expected words, from the compiled kernels (spec 12.11)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic import elementwise, products
from bfpemu.arithmetic.exact_values import Reader
from bfpemu.arithmetic.results import float_patterns
from bfpemu.blocking import blocking
from bfpemu.formats import Preset
from bfpemu.formats.unit import AccumulatorKind, FloatFormat
from bfpemu.kernels.accumulate import NOT_A_NUMBER
from bfpemu.kernels.products import dot_pairs
from bfpemu.kernels.source import Numbers
from bfpemu.tensor import BFPTensor
from bfpemu.vectors.problem import ACCUMULATOR_EXPONENT_BITS, Problem
from bfpemu.vectors.words import AnyArray, Fields

Int64Array = npt.NDArray[np.int64]


def expected(problem: Problem, stimulus: Fields) -> dict[str, AnyArray]:
    """Return the items of the expected words of some vectors.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("decode", resolve("8x2"))
    >>> found = expected(problem, {"elements": np.array([[64, 192]]), "exponents": np.array([[128]])})
    >>> [hex(item) for item in found["y"][0].tolist()]
    ['0x3f800000', '0xbf800000']
    """
    if problem.unit == "encode":
        return _codes(_encoded(problem, stimulus))
    if problem.unit == "decode":
        return {"y": _patterns(_tensor(problem, stimulus, "", problem.a_flat).dequantize(problem.dtype, threads=1))}
    a = _tensor(problem, stimulus, "a_", problem.a_flat)
    if problem.unit == "requantize":
        return _codes(elementwise.requantize(a, problem.target, threads=1, **supplied(problem, stimulus)))
    b = _tensor(problem, stimulus, "b_", problem.b_flat)
    if problem.unit == "dot":
        return _dot(problem, a, b)
    function = elementwise.add if problem.unit == "add" else elementwise.multiply
    return _codes(function(a, b, problem.target, threads=1, **supplied(problem, stimulus)))


def supplied(problem: Problem, stimulus: Fields) -> dict[str, Any]:
    """Return exponents and random words of some vectors, as functions of tensors take them."""
    found: dict[str, Any] = {}
    if problem.needs_exponents:
        found["exponents"] = stimulus["exponents"].astype(np.int64) - problem.target.format.exponent_bias
    if problem.needs_random_words:
        found["random_words"] = stimulus["random"].astype(np.uint64)
    return found


def _encoded(problem: Problem, stimulus: Fields) -> BFPTensor:
    dtype = problem.kind.dtype
    data = stimulus["x"].astype(f"u{dtype.itemsize}", copy=False).view(dtype)
    return BFPTensor(data, problem.target, threads=1, **supplied(problem, stimulus))


def _tensor(problem: Problem, stimulus: Fields, prefix: str, preset: Preset) -> BFPTensor:
    spec, blocks = preset.format, problem.blocks(preset)
    shifts = None
    if spec.sub_shift_bits:
        codes = stimulus[f"{prefix}shifts"]
        shifts = codes.reshape(len(codes), blocks, spec.shifts_per_block)
    return BFPTensor.from_codes(
        stimulus[f"{prefix}exponents"], stimulus[f"{prefix}elements"], preset, shift_codes=shifts
    )


def operand_values(problem: Problem, stimulus: Fields, prefix: str, preset: Preset) -> Numbers:
    """Return the exact numbers that the codes of one operand stand for, shape (vectors, elements)."""
    operand = _tensor(problem, stimulus, prefix, preset)
    places, exists = np.arange(math.prod(operand.shape)).reshape(operand.shape), np.ones(operand.shape, np.bool_)
    return Reader(operand, blocking(preset.format, operand.shape, -1)).read(places, exists)[0]


def _codes(tensor: BFPTensor) -> dict[str, AnyArray]:
    found = {"elements": tensor.element_codes, "exponents": tensor.exponent_codes}
    if tensor.format.sub_shift_bits:
        found["shifts"] = tensor.shift_codes.reshape(len(tensor.element_codes), -1)
    return found


def _patterns(values: AnyArray) -> AnyArray:
    found: AnyArray = values.view(f"u{values.dtype.itemsize}")
    return found


def _dot(problem: Problem, a: BFPTensor, b: BFPTensor) -> dict[str, AnyArray]:
    unit = problem.dot_unit
    assert unit is not None
    task = products.kernel_task(unit, a, b, (-1, -1))
    left, right = task.left, task.right
    count = len(left.significands)
    registers, numbers = np.zeros((count, 4), np.int64), np.zeros((count, 3), np.int64)
    flags = np.zeros(count, np.uint8)
    dot_pairs(
        products.kernel_unit(task),
        left.significands.astype(np.int64),
        right.significands.astype(np.int64),
        left.scales + right.scales,
        left.poisoned | right.poisoned,
        registers,
        numbers,
        flags,
    )
    found: dict[str, AnyArray] = {"result": _float_words(numbers, problem.output)[:, None], "flags": flags[:, None]}
    if problem.shows_accumulator:
        found |= _registers(problem, registers, numbers[:, 0] == NOT_A_NUMBER)
    return found


def _registers(problem: Problem, registers: Int64Array, is_nan: npt.NDArray[np.bool_]) -> dict[str, AnyArray]:
    """Return the fields of the accumulator (spec 12.4)."""
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator
    if accumulator.format is not None:
        held = _float_words(registers[:, :3], accumulator.format)
        return {"accumulator": np.where(is_nan, np.uint64(0), held)[:, None]}
    assert accumulator.bits is not None
    integers = np.where(is_nan, 0, registers[:, 1]) & ((1 << accumulator.bits) - 1)
    found = {"accumulator": integers.astype(np.uint64)[:, None]}
    if accumulator.kind is AccumulatorKind.ALIGNED:
        exponents = np.where(is_nan, 0, registers[:, 2]) & ((1 << ACCUMULATOR_EXPONENT_BITS) - 1)
        found["accumulator_exponent"] = exponents.astype(np.uint64)[:, None]
    return found


def _float_words(numbers: Int64Array, format: FloatFormat) -> npt.NDArray[np.uint64]:
    return float_patterns(numbers, format.exponent_bits, format.fraction_bits)
