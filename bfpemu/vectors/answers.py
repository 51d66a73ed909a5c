"""Expected words, from the compiled kernels (spec 12.11)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic import elementwise, exact_values
from bfpemu.arithmetic.exact_values import Operation, Reader
from bfpemu.blocking import blocking
from bfpemu.formats import Preset
from bfpemu.kernels.source import Numbers
from bfpemu.tensor import BFPTensor
from bfpemu.vectors.dot_answers import codes_of_tensor, dot_answers, tensor_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray, Fields

OPERATIONS: dict[str, Operation] = {
    "add": exact_values.add,
    "multiply": exact_values.multiply,
    "requantize": exact_values.keep,
}
"""Unit -> what it makes of the numbers of its operands."""


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
        return codes_of_tensor(_encoded(problem, stimulus))
    if problem.unit == "decode":
        return {"y": _patterns(tensor_of(problem, stimulus, "", problem.a_flat).dequantize(problem.dtype, threads=1))}
    if problem.unit == "dot":
        return dot_answers(problem, stimulus)
    a = tensor_of(problem, stimulus, "a_", problem.a_flat)
    if problem.unit == "requantize":
        return codes_of_tensor(elementwise.requantize(a, problem.target, threads=1, **supplied(problem, stimulus)))
    b = tensor_of(problem, stimulus, "b_", problem.b_flat)
    function = elementwise.add if problem.unit == "add" else elementwise.multiply
    return codes_of_tensor(function(a, b, problem.target, threads=1, **supplied(problem, stimulus)))


def refused_results(problem: Problem, stimulus: Fields) -> npt.NDArray[np.bool_]:
    """Return which vectors of two operands, or of one, have a block of results that the conversion refuses."""
    tensors = [tensor_of(problem, stimulus, "a_", problem.a_flat)]
    if problem.b is not None:
        tensors.append(tensor_of(problem, stimulus, "b_", problem.b_flat))
    found = elementwise.refused_blocks(OPERATIONS[problem.unit], tensors, problem.target, **supplied(problem, stimulus))
    refused: npt.NDArray[np.bool_] = np.asarray(found.reshape(len(tensors[0].element_codes), -1).any(axis=1))
    return refused


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


def operand_values(problem: Problem, stimulus: Fields, prefix: str, preset: Preset) -> Numbers:
    """Return the exact numbers that the codes of one operand stand for, shape (vectors, elements)."""
    operand = tensor_of(problem, stimulus, prefix, preset)
    places, exists = np.arange(math.prod(operand.shape)).reshape(operand.shape), np.ones(operand.shape, np.bool_)
    return Reader(operand, blocking(preset.format, operand.shape, -1)).read(places, exists)[0]


def _patterns(values: AnyArray) -> AnyArray:
    found: AnyArray = values.view(f"u{values.dtype.itemsize}")
    return found
