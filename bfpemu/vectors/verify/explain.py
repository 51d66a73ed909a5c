"""One differing vector, taken apart: fields, numbers, stages (spec 12.12)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from bfpemu.formats import Preset
from bfpemu.reference.decode import decode_block
from bfpemu.reference.encode import EncodedBlock
from bfpemu.reference.output import ResultCodes
from bfpemu.reference.source import read_float
from bfpemu.reference.trace import GroupStep, JoinStep, Step
from bfpemu.reference.value import Value
from bfpemu.vectors.blocks.facts import BlockFacts, block_facts
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.dot.block_bins import result_facts
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.recheck import row_of
from bfpemu.vectors.traced import Items, traced_vector
from bfpemu.vectors.verify.compare import Comparison, ordered
from bfpemu.vectors.words import AnyArray, Bytes, words_of_digits

_FLAGS = ("invalid", "overflow", "underflow", "inexact", "saturated")
_MOST_ITEMS = 16
_MOST_RESULTS = 4
_MOST_FOR_BINS = 2048


def explained(comparison: Comparison, place: int = 0) -> dict[str, Any]:
    """Return everything about the differing vector that was kept at `place`."""
    found = comparison.found
    number, digits = comparison.kept[place]
    stimulus = row_of(found.words("stimulus").items(number, 1), 0)
    entry = explained_vector(found.problem, stimulus, found.words("expected").digits(number, 1)[0], digits)
    return {"vector": number, "bins": sorted(bins_of_vectors(comparison, [number])[0])} | entry


def explained_vector(problem: Problem, stimulus: Items, expected: Bytes, got: Bytes) -> dict[str, Any]:
    """Return what a stimulus and the digits of two results, expected and got, say; an ``x`` counts as 0."""
    wanted, given = (row_of(problem.expected.unpack(words_of_digits(digits[None])[0]), 0) for digits in (expected, got))
    differences = _differences(problem, wanted, given)
    return {
        "unknown": bool((got == ord("x")).any()),
        "expected": bytes(expected).decode(),
        "got": bytes(got).decode(),
        "differences": differences,
        "stimulus": _decoded_stimulus(problem, stimulus),
        "stages": _stages(problem, stimulus, wanted, _places(differences)),
    }


def _places(differences: list[dict[str, Any]]) -> list[int]:
    """Return the elements or results that differ, each once; exponents and shifts are those of blocks."""
    return list(dict.fromkeys(d["item"] for d in differences if d["field"] not in ("exponents", "shifts")))


def bins_of_vectors(comparison: Comparison, numbers: list[int]) -> list[set[str]]:
    """Return the bins that some vectors hit, few enough to look at."""
    found = comparison.found
    at = np.array(numbers[:_MOST_FOR_BINS], np.int64)
    facts = found.plan.facts(found.words("stimulus").items_of(at), found.words("expected").items_of(at))
    return bins_of(found.plan.families, facts, len(at))


def failures_by_bin(comparison: Comparison) -> list[tuple[str, int, int]]:
    """Return (bin, differing vectors, vectors) of the directed vectors, the worst first, of the bins of the set."""
    numbers = [number for number, _ in comparison.kept if number < comparison.found.directed]
    if not numbers:
        return []
    counts: dict[str, int] = {}
    for names in bins_of_vectors(comparison, numbers):
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    hits = {name: entry.get("hits", 0) for name, entry in comparison.found.coverage().items()}
    rows = [(name, count, hits[name]) for name, count in counts.items() if name in hits]
    return sorted(rows, key=lambda row: (-row[1] / max(row[2], 1), -row[1], row[0]))


def _differences(problem: Problem, wanted: Items, got: Items) -> list[dict[str, Any]]:
    found = []
    for field in problem.expected.fields:
        for item, (right, left) in enumerate(zip(wanted[field.name], got[field.name], strict=True)):
            if right == left:
                continue
            digits = -(-field.width // 4)
            entry: dict[str, Any] = {
                "field": field.name,
                "item": item,
                "expected": f"{right:0{digits}x}",
                "got": f"{left:0{digits}x}",
                "changed_bits": f"{right ^ left:0{digits}x}",
            }
            if field.name == "flags":
                entry |= {"expected_flags": _flag_names(right), "got_flags": _flag_names(left)}
            elif field is problem.expected.fields[0]:
                pair = np.array([right, left], np.uint64)
                steps = ordered(problem, pair)
                entry["distance"] = int(steps[1] - steps[0])
                entry |= _split(problem, right, left, field.width)
            elif field.name == "exponents":
                bias = problem.target.format.exponent_bias
                entry |= {"expected_value": str(right - bias), "got_value": str(left - bias), "distance": left - right}
            found.append(entry)
    return found


def _split(problem: Problem, right: int, left: int, width: int) -> dict[str, Any]:
    """Return both items by sign and significand, or as numbers of a float."""
    if problem.expected.fields[0].name == "elements":
        pair = ordered(problem, np.array([right, left], np.uint64)).tolist()
        return {"expected_value": f"significand {pair[0]}", "got_value": f"significand {pair[1]}"}
    if problem.dot_unit is not None:
        output = problem.output
        exponent_bits, fraction_bits = output.exponent_bits, output.fraction_bits
    else:
        exponent_bits, fraction_bits = problem.kind.exponent_bits, problem.kind.fraction_bits
    texts = []
    for pattern in (right, left):
        sign, field = pattern >> (width - 1), pattern >> fraction_bits & ((1 << exponent_bits) - 1)
        texts.append(f"sign {sign}, exponent field {field}, fraction {pattern & ((1 << fraction_bits) - 1):x}")
    return {"expected_value": texts[0], "got_value": texts[1]}


def _flag_names(flags: int) -> str:
    return " ".join(name for bit, name in enumerate(_FLAGS) if flags >> bit & 1) or "none"


def _decoded_stimulus(problem: Problem, stimulus: Items) -> list[dict[str, Any]]:
    """Return the stimulus as numbers, field by field."""
    found: list[dict[str, Any]] = []
    if problem.unit == "encode":
        conversion = problem.target.conversion
        values = [value_text(read_float(pattern, problem.dtype, conversion)) for pattern in stimulus["x"]]
        digits = problem.stimulus.fields[0].width // 4
        found.append({"field": "x", "hex": [f"{x:0{digits}x}" for x in stimulus["x"]], "values": values})
        return found
    sides = [("", problem.a_flat)] if problem.unit == "decode" else [("a_", problem.a_flat)]
    if problem.b is not None:
        sides.append(("b_", problem.b_flat))
    for prefix, preset in sides:
        values = [value_text(value) for value in _values(preset, stimulus, prefix, problem.elements)]
        digits = -(-preset.format.mantissa_bits // 4)
        found.append(
            {
                "field": f"{prefix}elements",
                "hex": [f"{code:0{digits}x}" for code in stimulus[f"{prefix}elements"]],
                "values": values,
                "exponents": [code - preset.format.exponent_bias for code in stimulus[f"{prefix}exponents"]],
            }
        )
    return found


def _values(preset: Preset, stimulus: Items, prefix: str, in_row: int) -> list[Value]:
    """Return what codes stand for, of rows of so many elements that follow each other."""
    spec = preset.format
    size, count = spec.elements_per_block or 1, spec.shifts_per_block
    elements, shifts = stimulus[f"{prefix}elements"], stimulus.get(f"{prefix}shifts", [])
    values: list[Value] = []
    for block, code in enumerate(stimulus[f"{prefix}exponents"]):
        row, place = divmod(block, -(-in_row // size))  # the last block of a row may be short
        own = elements[row * in_row : (row + 1) * in_row][place * size : (place + 1) * size]
        padded = tuple(own) + (0,) * (size - len(own))
        codes = EncodedBlock(code, tuple(shifts[block * count : (block + 1) * count]), padded)
        values += decode_block(codes, spec)[: len(own)]
    return values


def value_text(value: Value) -> str:
    """Return a value as text that says exactly what it is.

    Examples
    --------
    >>> from bfpemu.reference.value import number
    >>> value_text(number(Fraction(3, 8), negative=True)), value_text(number(0, negative=True))
    ('-3 * 2**-3', '-0')
    """
    if value.is_nan:
        return "nan"
    sign = "-" if value.negative else ""
    if value.is_infinite:
        return f"{sign}inf"
    return f"{sign}{_dyadic(value.magnitude)}"


def _dyadic(x: Fraction) -> str:
    if x == 0:
        return "0"
    zeros = (x.numerator & -x.numerator).bit_length() - 1
    exponent = zeros - (x.denominator.bit_length() - 1)
    odd = x.numerator >> zeros
    if -16 <= exponent < 0 and odd < 1 << 24:
        return f"{odd} * 2**{exponent}"
    return str(odd << exponent) if exponent >= 0 and odd.bit_length() + exponent <= 24 else f"{odd} * 2**{exponent}"


# ------------------------------------------------------------------------------------------ stages


def _stages(problem: Problem, stimulus: Items, wanted: Items, items: list[int]) -> list[str]:
    """Return what the stages of the model held, as lines."""
    if problem.unit == "dot":
        return _dot_stages(problem, stimulus, wanted, items)
    if problem.unit == "decode":
        return []
    return _block_lines(block_facts(problem, _one_row(stimulus), _one_row(wanted)), items)


def _one_row(items: Items) -> dict[str, AnyArray]:
    return {name: np.array([own], np.uint64) for name, own in items.items()}


def _block_lines(facts: BlockFacts, items: list[int]) -> list[str]:
    """Return what happens to blocks while they are encoded, and to some of their elements."""
    problem = facts.problem
    size = problem.target.format.elements_per_block or 1
    lines = []
    for block in range(len(facts.code)):
        exponent = facts.code[block] - problem.target.format.exponent_bias
        if not facts.has_number[block]:
            state = ", a NaN block" if facts.is_nan[block] else ""
            lines.append(f"block {block}: no number other than 0, exponent {exponent}{state}")
            continue
        state = "a NaN block" if facts.is_nan[block] else "flushed" if facts.is_flushed[block] else "rounded"
        largest = f"largest magnitude in binade {facts.highest[block] - 1}"
        lines.append(f"block {block}: {largest}, the rule gives {facts.wanted[block]}, exponent {exponent}, {state}")
    for item in items[:_MOST_ITEMS]:
        block, lane = divmod(item, size)
        if block >= len(facts.code) or not facts.rounds[block, lane]:
            continue
        lines.append(
            f"element {item}: {facts.highest[block] - facts.top[block, lane]} binades below the largest, integer part "
            f"{facts.whole[block, lane]}, guard {int(facts.guard[block, lane])}, "
            f"sticky {int(facts.below_guard[block, lane])}"
        )
    return lines


def _dot_stages(problem: Problem, stimulus: Items, wanted: Items, items: list[int]) -> list[str]:
    """Return the steps of a dot product; of results in a block those of the ones that differ, and its encoding."""
    vector = traced_vector(problem, stimulus)
    if vector.block is None:
        return [_step_text(step) for step in vector.results[0].trace]
    places = sorted({item for item in items if item < problem.results})
    lines = [
        f"result {place}: {_step_text(step)}"
        for place in places[:_MOST_RESULTS]
        for step in vector.results[place].trace
    ]
    return lines + _block_lines(result_facts(problem, _one_row(stimulus), _one_row(wanted), [vector]), places)


def _step_text(step: Step) -> str:
    if isinstance(step, GroupStep):
        aligned = "" if step.aligned is None else f", aligned {list(step.aligned)} * 2**{step.aligned_exponent}"
        return (
            f"group {step.group} (run {step.run}, lane {step.lane}): sum {step.group_sum} * 2**{step.exponent}, "
            f"accumulator {_register(step.accumulator_before)}{aligned} -> {_register(step.accumulator_after)}, "
            f"flags {_flag_names(step.flags)}"
        )
    if isinstance(step, JoinStep):
        return (
            f"{step.level}: {_register(step.left)} and {_register(step.right)} -> {_register(step.accumulator_after)}, "
            f"flags {_flag_names(step.flags)}"
        )
    result = f"{step.result:x}" if isinstance(step.result, int) else _codes_text(step.result)
    return f"result: {_register(step.accumulator)} -> {result}, flags {_flag_names(step.flags)}"


def _codes_text(codes: ResultCodes) -> str:
    shift = f", shift {codes.shift_codes[0]:x}" if codes.shift_codes else ""
    return f"element {codes.element_code:x} at exponent {codes.exponent_code:x}{shift}"


def _register(register: Any) -> str:
    if register is None:
        return "none"
    if isinstance(register, int):
        return f"{register:#x}" if register >= 0 else str(register)
    return f"{register.integer} * 2**{register.exponent}"
