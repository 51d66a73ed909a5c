"""The fake quantiser: floats in, the same floats on the grid of a format out (spec 14.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bfpemu.bitwise.blocks import Blocks, blocks_of
from bfpemu.bitwise.chain import apply_step
from bfpemu.bitwise.elements import Elements
from bfpemu.bitwise.in_place import PlainWords, is_plain
from bfpemu.bitwise.operations import Array, Operations
from bfpemu.bitwise.plan import Plan, make_plan
from bfpemu.bitwise.reading import read
from bfpemu.errors import DataError
from bfpemu.formats import ExponentRule, NanPolicy, Rounding
from bfpemu.formats.preset import Preset


def fake_quantize(
    operations: Operations,
    values: Array,
    preset: Preset,
    axis: int | None = -1,
    *,
    exponents: Array | None = None,
    random_words: Array | None = None,
) -> Array:
    """Return `values` encoded and decoded again, by integer operations alone (spec 14.1).

    Parameters
    ----------
    operations : Operations
        Those of the library that `values` belong to.
    values : float64, float32, float16 or bfloat16 array, any shape
    preset : Preset
    axis : int or None
        The axis that blocks run along, or the last of them; None flattens (spec 4).
    exponents : integer array, shape of spec 4.7, optional
        For the rule `given`, and only for it.
    random_words : 32-bit integer array, shape of `values`, optional
        For the rounding `stochastic`, and only for it; `random_words` makes them.

    Returns
    -------
    array
        Shape and dtype of `values`. Where the conversion asks for an error, NaN (spec 14.5).

    Raises
    ------
    SpecError
        ``adapter-format``.
    DataTypeError
        ``data-type``.
    DataError
        ``axis``, ``exponent-given`` or ``random-words``.
    """
    found, plan = _run(operations, values, preset, axis, exponents, random_words, Task.QUANTIZE)
    return operations.to_floats(found, plan.dtype)


def saturates(
    operations: Operations,
    values: Array,
    preset: Preset,
    axis: int | None = -1,
    *,
    exponents: Array | None = None,
    random_words: Array | None = None,
) -> Array:
    """Return where `fake_quantize` saturates: where the gradient option `clip` is 0 (spec 14.7).

    Parameters and errors are those of `fake_quantize`.

    Returns
    -------
    mask in the shape of `values`
    """
    found, _ = _run(operations, values, preset, axis, exponents, random_words, Task.SATURATES)
    return found != 0


class Task(Enum):
    """What is asked about the words of an array."""

    QUANTIZE = "quantize"
    SATURATES = "saturates"


@dataclass(frozen=True, slots=True)
class WordKernel:
    """Words in their blocks to words, or to where they saturate: everything but the division into blocks."""

    plan: Plan
    blocks: Blocks
    task: Task
    has_exponents: bool
    has_random_words: bool

    def __call__(self, operations: Operations, words: Array, *supplied: Array) -> Array:
        """Return integers of the lane; `supplied` are exponents and random words, those that there are."""
        given = supplied[0] if self.has_exponents else None
        drawn = supplied[-1] if self.has_random_words else None
        if self.task is Task.QUANTIZE and is_plain(self.plan):
            return PlainWords(operations, self.plan, self.blocks, words, drawn).words(given)
        conversion = self.plan.preset.conversion
        numbers = read(operations, words, self.plan)
        for step in conversion.source_chain:
            numbers = apply_step(operations, numbers, step, conversion.infinity, self.plan.lane)
        elements = Elements(operations, self.plan, self.blocks, numbers, drawn)
        if self.task is Task.SATURATES:
            return operations.integers(elements.saturates(given), self.plan.lane)
        return elements.words(given)


def _run(
    do: Operations,
    values: Array,
    preset: Preset,
    axis: int | None,
    exponents: Array | None,
    random_words: Array | None,
    task: Task,
) -> tuple[Array, Plan]:
    """Run a task on the words of an array in their blocks (spec 4); return integers in its shape, and the plan."""
    plan = make_plan(preset, do.dtype_name(values), do.lanes)
    _check_supplied(preset, exponents, random_words)
    shape = do.shape(values)
    if axis is None or not shape:
        _check_flat(preset, shape, axis)
        flat_words = None if random_words is None else do.flatten(random_words)
        found, _ = _run(do, do.flatten(values), preset, -1, exponents, flat_words, task)
        return do.reshape_like(found, values), plan
    blocks = blocks_of(preset.format, shape, axis)
    words = do.to_words(values, plan.lane)
    if 0 in shape:
        return words, plan
    arrays = [blocks.divide(do, words, _filler(plan))]
    if exponents is not None:
        arrays.append(blocks.divide_exponents(do, do.integers(exponents, plan.lane), shape))
    if random_words is not None:
        arrays.append(blocks.divide(do, random_words, 0))
    kernel = WordKernel(plan, blocks, task, exponents is not None, random_words is not None)
    return blocks.join(do, do.fused(kernel, *arrays)), plan


def _filler(plan: Plan) -> int:
    """Return the word that fills short blocks: no part of any maximum, and NaN where all must be NaN (spec 3.3)."""
    return plan.nan_word if plan.preset.conversion.nan is NanPolicy.ZERO_UNLESS_ALL else 0


def _check_flat(preset: Preset, shape: tuple[int | None, ...], axis: int | None) -> None:
    """Raise DataError ``axis`` for blocks over several axes, and for axes that a scalar has not (spec 4.4, 4.6)."""
    if isinstance(preset.format.block_size, tuple):
        raise DataError("axis", f"blocks over several axes need an axis that ends them (spec 4.4), got {axis!r}")
    if not shape and axis not in (None, 0, -1):
        raise DataError("axis", f"axis must be -1, 0 or None for a scalar (spec 4.6), got {axis!r}")


def _check_supplied(preset: Preset, exponents: Array | None, random_words: Array | None) -> None:
    rule, rounding = preset.conversion.exponent_rule, preset.conversion.rounding
    if (exponents is not None) != (rule is ExponentRule.GIVEN):
        got = "none" if exponents is None else "some"
        raise DataError(
            "exponent-given",
            "exponents must be supplied with the rule 'given' and only with it (spec 3.5), "
            f"got {got} and {str(rule)!r}",
        )
    if (random_words is not None) != (rounding is Rounding.STOCHASTIC):
        got = "none" if random_words is None else "some"
        raise DataError(
            "random-words",
            "random words, or a seed for them, must be supplied with stochastic rounding and only with it (spec 3.7), "
            f"got {got} and {str(rounding)!r}",
        )
