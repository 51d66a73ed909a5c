"""A problem with one parameter changed: what a device may have done instead (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from typing import Any

from bfpemu.formats import Preset, Rounding, SourceStep
from bfpemu.vectors.problem import Problem

Alternative = tuple[str, Callable[[], Problem]]
"""What is different, and how to make it; making it may raise BfpError."""

_STEPS = {
    "exponent_bias": (1, -1),
    "fraction_bits": (1, -1),
    "exponent_offset": (1, -1),
    "bits": (1, -1),
    "sum_bits": (1, -1),
    "lsb_exponent": (1, -1),
    "product_drop_bits": (1, -1),
    "post_truncate_bits": (1, 2, 3, 4),
}
"""Whole numbers of a description that are tried beside their value."""
_INSTEAD_OF_NONE = {"sum_bits": range(2, 33), "group_size": (1, 2, 4, 8, 16, 32)}
"""Whole numbers that are tried where there is none."""
_FIXED = ("name", "source", "status", "encoding", "block_size", "mantissa_bits", "exponent_bits", "kind")


def alternatives(problem: Problem) -> Iterator[Alternative]:
    """Yield problems that differ in one parameter from a problem.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> texts = [text for text, _ in alternatives(Problem("encode", resolve("bfp8")))]
    >>> "rounding 'ties_away' instead of 'ties_to_even'" in texts, "exponent_bias 128 instead of 127" in texts
    (True, True)
    """
    which = "result" if problem.result is not None else "format"
    for name in dict.fromkeys((which, "format", "b")):
        if getattr(problem, name) is not None:
            encodes = name == which and problem.unit not in ("decode", "dot")
            yield from _of_preset(problem, (name,), encodes=encodes)
    if problem.dot_unit is not None:
        yield from _of_part(problem, ("dot_unit",))
        if problem.block_output is None:
            yield from _of_part(problem, ("dot_unit", "output"))
        else:
            yield from _of_preset(problem, ("dot_unit", "output"), encodes=True)
        yield from _of_part(problem, ("dot_unit", "accumulator"))
        if problem.dot_unit.accumulator.format is not None:
            yield from _of_part(problem, ("dot_unit", "accumulator", "format"))


def _changed(whole: Any, path: tuple[str, ...], changes: dict[str, Any]) -> Any:
    """Return a description with fields changed in one of its parts."""
    if not path:
        return dataclasses.replace(whole, **changes)
    return dataclasses.replace(whole, **{path[0]: _changed(getattr(whole, path[0]), path[1:], changes)})


def _of_part(problem: Problem, path: tuple[str, ...]) -> Iterator[Alternative]:
    """Yield every other value of every field of a part."""
    part = _part_of(problem, path)
    shown = [name for name in path if name not in ("dot_unit", "format", "conversion") or name == path[-1] == "b"]
    prefix = "".join(f"{name}." for name in shown) + ("format." if path[1:] == ("accumulator", "format") else "")
    for text, value, field in _other_values(part, prefix):
        yield text, partial(_changed, problem, path, {field: value})


def _part_of(problem: Problem, path: tuple[str, ...]) -> Any:
    part: Any = problem
    for name in path:
        part = getattr(part, name)
    return part


def _of_preset(problem: Problem, place: tuple[str, ...], *, encodes: bool) -> Iterator[Alternative]:
    yield from _of_part(problem, (*place, "format"))
    if not encodes:
        return
    path = (*place, "conversion")
    yield from _of_part(problem, path)
    preset: Preset = _part_of(problem, place)
    conversion = preset.conversion
    for text, steps in _chains(problem, preset):
        yield text, partial(_changed, problem, path, {"source_chain": (*conversion.source_chain, *steps)})
    for bits in range(1, 5):
        for mode in (Rounding.TIES_TO_EVEN, Rounding.TIES_AWAY, Rounding.TOWARD_ZERO):
            text = f"two roundings: to {bits} more bits by {mode}, then toward zero"
            yield text, partial(_changed, problem, path, {"post_truncate_bits": bits, "rounding": mode})
    magnitude = preset.format.magnitude_bits + conversion.post_truncate_bits
    for more in (0, 1, 2, 3):
        for mode in (Rounding.TOWARD_ZERO, Rounding.TO_ODD, Rounding.TOWARD_NEGATIVE):
            text = f"{more} bits kept below the last when aligned, {mode}"
            changes = {"alignment_bits": magnitude + more, "alignment_rounding": mode}
            yield text, partial(_changed, problem, path, changes)


def _chains(problem: Problem, preset: Preset) -> Iterator[tuple[str, tuple[SourceStep, ...]]]:
    """Yield roundings of the source before the block's own."""
    if problem.unit != "encode":
        return
    named = [("bfloat16", 7, -126, 127), ("float16", 10, -14, 15), ("tf32", 10, -126, 127)]
    named += [(f"{bits} fraction bits", bits, -126, 127) for bits in range(1, min(problem.kind.fraction_bits, 16))]
    for name, bits, low, high in named:
        for mode in (Rounding.TIES_TO_EVEN, Rounding.TOWARD_ZERO, Rounding.TIES_AWAY):
            step = SourceStep(fraction_bits=bits, minimum_exponent=low, maximum_exponent=high, rounding=mode)
            yield f"two roundings: first to {name} by {mode}", (step,)


def _other_values(part: Any, prefix: str) -> Iterator[tuple[str, Any, str]]:
    """Yield (text, value, field) of every other value that a field may have."""
    # What follows from a bias follows from other fraction bits too, and the bias is the likelier mistake.
    for field in sorted(dataclasses.fields(part), key=lambda field: field.name == "fraction_bits"):
        value = getattr(part, field.name)
        if field.name in _FIXED:
            continue
        others: tuple[Any, ...] = ()
        if isinstance(value, bool):
            others = (not value,)
        elif isinstance(value, StrEnum):
            others = tuple(choice for choice in type(value) if choice is not value and choice != "stochastic")
        elif isinstance(value, int) and field.name in _STEPS:
            others = tuple(value + step for step in _STEPS[field.name])
            if field.name == "exponent_bias":
                others += tuple(bias for bias in (0, (1 << (part.exponent_bits - 1)) - 1) if abs(value - bias) > 1)
        elif value is None:
            others = tuple(_INSTEAD_OF_NONE.get(field.name, ()))
        elif isinstance(value, int) and field.name in ("splits", "lanes"):
            others = tuple(count for count in (1, 2, 4, 8) if count != value)
        for other in others:
            yield f"{prefix}{field.name} {_spelled(other)} instead of {_spelled(value)}", other, field.name


def _spelled(value: Any) -> str:
    if value is None:
        return "none"
    return (
        str(value).lower()
        if isinstance(value, bool)
        else repr(str(value))
        if isinstance(value, StrEnum)
        else str(value)
    )
