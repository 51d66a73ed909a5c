"""Dot products by the reference model, with what their stages held (spec 6.15, 12.3, 12.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from bfpemu.formats.unit import DotProductUnit
from bfpemu.reference.dot import Accumulated, DotResult, accumulated, dot_rows
from bfpemu.reference.group import Row
from bfpemu.reference.output import ResultCodes, encoded
from bfpemu.reference.tensor import EncodedTensor
from bfpemu.reference.trace import ResultStep, Scaled
from bfpemu.reference.value import Value
from bfpemu.vectors.layouts import ACCUMULATOR_EXPONENT_BITS
from bfpemu.vectors.problem import Problem

Items = dict[str, list[int]]
"""Name of a field -> the items of one vector."""


class TracedVector(NamedTuple):
    """The dot products of one vector."""

    results: Sequence[DotResult]
    sums: Sequence[Value]
    """What the accumulators hold in the end; of an output that is a float, the results."""
    block: EncodedTensor | None
    """Of an output in blocks."""


def traced_vector(problem: Problem, stimulus: Items) -> TracedVector:
    """Return the dot products of a vector with the traces of their stages.

    Raises
    ------
    DataError
        As encoding does, of an output in blocks that refuses a sum.
    """
    assert problem.dot_unit is not None
    row = Row(stimulus["a_exponents"], stimulus.get("a_shifts", []), stimulus["a_elements"], problem.a_flat.format)
    if not problem.results:
        found = dot_rows(row, _b_rows(problem, stimulus)[0], problem.dot_unit)
        return TracedVector([found], [found.value], None)
    # Rows that are the same are computed once: directed vectors have many.
    known: dict[tuple[tuple[int, ...], ...], Accumulated] = {}
    sums = []
    for b in _b_rows(problem, stimulus):
        key = (tuple(b.exponent_codes), tuple(b.shift_codes), tuple(b.element_codes))
        if key not in known:
            known[key] = accumulated(row, b, problem.dot_unit)
        sums.append(known[key])
    return _block_of(dataclasses.replace(problem.dot_unit, output=problem.target, output_axis=-1), sums)


def _b_rows(problem: Problem, stimulus: Items) -> list[Row]:
    """Return the rows `b`, which follow each other in their fields (spec 12.3)."""
    spec, blocks = problem.b_flat.format, problem.blocks(problem.b_flat)

    def part(name: str, row: int, count: int) -> list[int]:
        return stimulus.get(f"b_{name}", [])[row * count : (row + 1) * count]

    return [
        Row(
            part("exponents", row, blocks),
            part("shifts", row, blocks * spec.shifts_per_block),
            part("elements", row, problem.elements),
            spec,
        )
        for row in range(problem.results or 1)
    ]


def _block_of(unit: DotProductUnit, sums: Sequence[Accumulated]) -> TracedVector:
    """Return the block of what some accumulators hold."""
    values = [found.value for found in sums]
    tensor, raised = encoded(values, (len(sums),), unit)
    shifts = tuple(tensor.shift_codes)
    size = tensor.preset.format.sub_block_size
    results = []
    for place, (found, flags) in enumerate(zip(sums, raised, strict=True)):
        own = (shifts[place // size],) if size else ()
        codes = ResultCodes(tensor.exponent_codes[0], own, tensor.element_codes[place])
        step = ResultStep(found.register, codes, int(found.flags | flags if found.register is None else flags))
        results.append(DotResult(codes, found.value, int(found.flags | flags), [*found.trace, step]))
    return TracedVector(results, values, tensor)


def dot_items(problem: Problem, vector: TracedVector) -> Items:
    """Return the expected items of a traced vector (spec 12.3, 12.4)."""
    flags = [result.flags for result in vector.results]
    found: Items
    if vector.block is None:
        found = {"result": [vector.results[0].pattern], "flags": flags}
    else:
        block = vector.block
        found = {"elements": block.element_codes, "exponents": block.exponent_codes, "flags": flags}
        found |= {"shifts": block.shift_codes} if block.shift_codes else {}
    if problem.shows_accumulator:
        shown = [_shown(problem, result, value) for result, value in zip(vector.results, vector.sums, strict=True)]
        found |= {name: [items[name] for items in shown] for name in shown[0]}
    return found


def _shown(problem: Problem, result: DotResult, value: Value) -> dict[str, int]:
    """Return the fields of an accumulator (spec 12.4)."""
    assert problem.dot_unit is not None
    last = result.trace[-1]
    assert isinstance(last, ResultStep)
    held = None if value.is_nan else last.accumulator
    accumulator = problem.dot_unit.accumulator
    if accumulator.format is not None:
        assert not isinstance(held, Scaled)
        return {"accumulator": held or 0}
    integer = held.integer if isinstance(held, Scaled) else held or 0
    found = {"accumulator": integer % (1 << (accumulator.bits or 0))}
    if "accumulator_exponent" in {field.name for field in problem.expected.fields}:
        exponent = (held.exponent or 0) if isinstance(held, Scaled) else 0
        found["accumulator_exponent"] = exponent % (1 << ACCUMULATOR_EXPONENT_BITS)
    return found
