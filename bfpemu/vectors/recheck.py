"""The same answers from the reference model, one vector at a time (spec 12.11)."""

from __future__ import annotations

from typing import Any

from bfpemu.formats import Preset
from bfpemu.reference import elementwise
from bfpemu.reference.tensor import EncodedTensor, decode_tensor, encode_tensor
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.traced import Items, dot_items, traced_vector
from bfpemu.vectors.words import Fields


def reference_answer(problem: Problem, stimulus: Items) -> Items:
    """Return the expected items of one vector, from the reference model.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> reference_answer(Problem("encode", resolve("8x2")), {"x": [0x3f800000, 0xbf800000]})
    {'elements': [64, 192], 'exponents': [128]}
    """
    if problem.unit == "dot":
        return dot_items(problem, traced_vector(problem, stimulus))
    shape = (problem.elements,)
    given = _supplied(problem, stimulus)
    if problem.unit == "encode":
        return _codes(encode_tensor(stimulus["x"], problem.dtype, shape, problem.target, **given))
    a = _operand(problem, stimulus, "" if problem.unit == "decode" else "a_", problem.a_flat)
    if problem.unit == "decode":
        return {"y": decode_tensor(a, problem.dtype)}
    target = elementwise.Target(problem.target, **given)
    if problem.unit == "requantize":
        return _codes(elementwise.requantize(a, target))
    b = _operand(problem, stimulus, "b_", problem.b_flat)
    return _codes((elementwise.add if problem.unit == "add" else elementwise.multiply)(a, b, target))


def row_of(items: Fields, row: int) -> Items:
    """Return the items of one vector as integers."""
    return {name: array[row].tolist() for name, array in items.items()}


def _supplied(problem: Problem, stimulus: Items) -> dict[str, Any]:
    bias = problem.target.format.exponent_bias
    return {
        "exponents": [code - bias for code in stimulus["exponents"]] if problem.needs_exponents else None,
        "random_words": stimulus["random"] if problem.needs_random_words else None,
    }


def _operand(problem: Problem, stimulus: Items, prefix: str, preset: Preset) -> EncodedTensor:
    return EncodedTensor(
        preset,
        (problem.elements,),
        -1,
        stimulus[f"{prefix}exponents"],
        stimulus.get(f"{prefix}shifts", []),
        stimulus[f"{prefix}elements"],
    )


def _codes(tensor: EncodedTensor) -> Items:
    found = {"elements": tensor.element_codes, "exponents": tensor.exponent_codes}
    return found | ({"shifts": tensor.shift_codes} if tensor.shift_codes else {})
