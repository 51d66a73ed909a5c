"""The fast way through a unit: group sums from tiles, accumulators for a whole tile at once.

Taken only where it gives the bits of the general kernels; what it cannot tell is left to them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.rows import Rows
from bfpemu.kernels._tile import COLUMNS, LIFT, LIFTED_BITS, LOW_BITS, ROWS, Tiling
from bfpemu.kernels._vector import Words, best_words
from bfpemu.kernels.accumulate import FloatRules
from bfpemu.kernels.aligned_steps import Alignment, normalising_steps
from bfpemu.kernels.dot import EXACT, FIXED, FLOAT, FUSED, KEEP, NORMALISE, SCALED_FLOAT, Stages
from bfpemu.kernels.float_steps import float_steps, sums_are_plain
from bfpemu.kernels.integer_steps import WIDEST, Register, exact_steps, fixed_steps, keeping_steps
from bfpemu.kernels.matmul import float32_products, unit_products
from bfpemu.kernels.order import Order, Steps
from bfpemu.kernels.ordinary_steps import lane_bits, ordinary_steps
from bfpemu.kernels.panels import Left, Right, subtract_group_sums, words_per_group, zero_groups
from bfpemu.kernels.parameters import AWAY_FROM_ZERO, TIES_TO_EVEN, TO_ODD, TOWARD_NEGATIVE, TOWARD_POSITIVE
from bfpemu.kernels.product_steps import fits_products, product_steps
from bfpemu.threads import for_each

AnyArray = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]

_FLOAT32 = FloatRules(127, 23, TIES_TO_EVEN, 0, 0)

_LARGEST = 120
"""Bound on the exponents of float32 sums: below 2 ** 127 even after many additions of finite numbers."""

_SUM_BITS = 30
"""Bits of a group sum that a tile adds up in 32-bit integers."""

_UNROLLED = 8
"""Words of a group that a tile takes without a loop, at most."""

_FAR = 400
"""Bound on the exponents of units in float64 lanes, so that no step meets a subnormal or an infinity."""


class Task(NamedTuple):
    """One product of matrices for the kernels."""

    stages: Stages
    rules: FloatRules
    output: FloatRules
    left: Rows
    right: Rows


class Result(NamedTuple):
    """Results in a float dtype that holds them, and which of them are left to the general kernels."""

    values: AnyArray
    left: npt.NDArray[np.bool_] | None
    """None stands for nothing."""


class _Range(NamedTuple):
    """The exponents of the units of products, over all pairs of groups that are not 0."""

    low: int
    high: int
    width: int
    """Bits of a group sum, without its sign."""
    total_width: int
    """Bits of the sum of all groups of one exponent."""
    split: bool
    """Whether a group sum needs more than 32 bits, and is taken from two parts of the right operand."""


def fast_product(task: Task, *, threads: int, portable: bool) -> Result | None:
    """Return the product of two matrices, or None when only the general kernels give its bits."""
    if 0 in (*task.left.significands.shape, *task.right.significands.shape):
        return None
    found = _range(task)
    if found is None:
        return None
    if _is_out_of_range(task, found):
        task = task._replace(left=_zeros_in_range(task.left, task), right=_zeros_in_range(task.right, task))
        low, high = _ends(task)
        found = found._replace(low=low, high=high)
    narrow = all(rows.significands.dtype == np.int8 for rows in (task.left, task.right))
    words = best_words(bytes_are_enough=narrow, portable=portable)
    if _is_plain(task, found) and not _is_out_of_range(task, found):
        return _float32(task, found, words, threads)
    steps = _steps(task, found)
    return None if steps is None else _any(task, found, steps, words, threads)


def _is_out_of_range(task: Task, found: _Range) -> bool:
    """Return whether the quickest way would not be exact for these exponents."""
    if _is_plain(task, found):
        return found.low < -126 or found.high + max(found.total_width, LIFTED_BITS) > _LARGEST
    return task.stages.kind == EXACT and found.high - found.low + found.total_width > WIDEST


def _is_plain(task: Task, found: _Range) -> bool:
    """Return whether nothing rounds but a sequential float32 accumulator.

    With moderate exponents it is the same where a sum is scaled, and a sum that float32 holds is as good as fused.
    """
    kind = task.stages.kind
    converts = kind in (FLOAT, SCALED_FLOAT) or (kind == FUSED and found.width <= 24)
    return converts and task.rules == task.output == _FLOAT32 and _order(task.stages) == Order(1, 1, 0)


def _range(task: Task) -> _Range | None:
    """Return the range of exponents, or None where group sums are too wide or a stage before them rounds."""
    stages = task.stages
    bits = [_bits(rows.significands) for rows in (task.left, task.right)]
    if max(bits) > 15 or stages.drop_bits > 0:
        return None
    size_bits = (stages.group_size - 1).bit_length()
    width = sum(bits) + size_bits
    split = width > _SUM_BITS
    if split and bits[0] + LOW_BITS + size_bits > _SUM_BITS:
        return None
    if stages.sum_bits and stages.sum_bits <= width + 1:
        return None
    return _Range(*_ends(task), width, width + task.left.scales.shape[1].bit_length(), split)


def _ends(task: Task) -> tuple[int, int]:
    """Return the smallest and the largest exponent of a product's unit."""
    scales = task.left.scales, task.right.scales
    return sum(int(array.min()) for array in scales), sum(int(array.max()) for array in scales)


def _zeros_in_range(rows: Rows, task: Task) -> Rows:
    """Return the operand with another scale for groups of zeros, whose own is the smallest and says nothing."""
    zero = np.empty(rows.scales.shape, np.bool_)
    zero_groups(rows.significands, task.stages.group_size, zero)
    if not zero.any() or zero.all():
        return rows
    middle = rows.scales[~zero].min()
    return Rows(rows.significands, np.where(zero, middle, rows.scales), rows.poisoned)


def _bits(significands: AnyArray) -> int:
    """Return the bits of the largest magnitude; ``-2 ** n`` counts as n, since its square has 2 n."""
    if significands.dtype == np.int8:
        return 7  # that is few enough, and looking takes time
    low, high = int(significands.min()), int(significands.max())
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0, 1)


def _order(stages: Stages) -> Order:
    return Order(stages.splits, stages.lanes, stages.pairwise)


def _steps(task: Task, found: _Range) -> Steps | None:
    """Return the steps of the accumulator, or None where they would not be exact."""
    stages, rules, output = task.stages, task.rules, task.output
    kind = stages.kind
    if found.low < -_FAR or found.high > _FAR:
        return None
    if kind in (FLOAT, FUSED, SCALED_FLOAT):
        bits = lane_bits(rules, found.width, fused=kind == FUSED)
        if bits is not None and _is_ordinary(task, found):
            return ordinary_steps(rules, output, bits, fused=kind == FUSED)
        wide = rules.fraction_bits > 50 and not (kind != FUSED and sums_are_plain(rules))
        return None if wide else float_steps(rules, output, fused=kind == FUSED, scaled=kind == SCALED_FLOAT)
    alignment = Alignment(
        stages.alignment, stages.kept_fraction, stages.reference, stages.zero_takes_part, stages.aligns_products
    )
    size_bits = (stages.group_size - 1).bit_length()
    if kind not in (EXACT, FIXED, KEEP):
        fits = stages.kept_fraction + size_bits + 3 <= 52
        ordinary = _is_ordinary(task, found)
        if ordinary and not found.split and fits_products(alignment, rules, size_bits, found.low, found.high):
            return product_steps(alignment, rules, output)
        return normalising_steps(alignment, rules, output, ordinary=ordinary) if fits else None
    if output.fraction_bits > 49:
        return None
    register = Register(stages.bits, stages.saturates)
    if kind == KEEP:
        fits = not stages.aligns_products and stages.kept_fraction + size_bits + 2 <= WIDEST
        return keeping_steps(alignment, register, output) if fits else None
    if kind == EXACT:
        # Every lowest exponent is compiled, so neighbours share one where the sums leave room.
        room = WIDEST - (found.high - found.low + found.total_width)
        return exact_steps(found.low - min(found.low % 16, room), output) if room >= 0 else None
    fits = abs(stages.lsb_exponent) <= _FAR and found.high - stages.lsb_exponent + found.width <= WIDEST
    return fixed_steps(stages.lsb_exponent, stages.alignment, register, output) if fits else None


def _is_ordinary(task: Task, found: _Range) -> bool:
    """Return whether no number of the accumulator's format is below its normal ones, and none overflows.

    Every number is a multiple of the smallest unit. By rounding to nearest or toward zero an addition moves
    a sum by twice the addend at most; otherwise by that and a unit of its last place, and where addends
    are aligned by two units more.
    """
    rules, groups = task.rules, task.left.scales.shape[1]
    slack = 2
    if task.stages.kind == NORMALISE:
        slack = 4 + (8 * groups >> min(rules.fraction_bits, task.stages.kept_fraction))
    elif rules.rounding in (AWAY_FROM_ZERO, TOWARD_POSITIVE, TOWARD_NEGATIVE, TO_ODD):
        slack = 3 + (2 * groups >> rules.fraction_bits)
    return found.low >= 1 - rules.bias and found.high + found.total_width + slack <= rules.bias


def _is_narrow(task: Task, found: _Range) -> bool:
    """Return whether float32 holds every result, and none of them is one of its subnormals."""
    stages = task.stages
    last_bit = min(found.low, stages.lsb_exponent) - max(stages.kept_fraction, 0)
    return task.output.bias <= 127 and task.output.fraction_bits <= 23 and last_bit >= -126


def _float32(task: Task, found: _Range, words: Words, threads: int) -> Result:
    lifted = found.width <= LIFTED_BITS
    left, right = _left(task, words, start=LIFT if lifted else 0), _right(task, words)
    # The weights of the left operand are moved about 1, since only those of products are known to be moderate.
    middle = (int(task.left.scales.min()) + int(task.left.scales.max())) // 2
    # Rows of the left operand are taken one by one, those of the right one `COLUMNS` together.
    a_scale = _powers(task.left.scales - middle)
    b_scale = _powers(right.exponents + middle).reshape(len(right.exponents), -1)
    out = np.empty((_whole(len(left.words), ROWS), len(right.words)), np.float32)
    run = float32_products(_tiling(task, found, words)._replace(lifted=lifted))
    for_each(
        _pieces(len(b_scale), threads), lambda part: run(left, right, a_scale, b_scale, part[0], part[1], out), threads
    )
    return Result(_cut(task, out), None)


def _any(task: Task, found: _Range, steps: Steps, words: Words, threads: int) -> Result:
    """Compute with any steps."""
    left, right = _left(task, words), _right(task, words)
    if steps.bits == 32:  # as wide as the lanes; only the exponents of products are known to be moderate, and they wrap
        left = left._replace(exponents=left.exponents.astype(np.int32))
        right = right._replace(exponents=right.exponents.astype(np.int32))
    shape = _whole(len(left.words), ROWS), len(right.words)
    out, marks = np.empty(shape, np.float32 if _is_narrow(task, found) else np.float64), np.empty(shape, np.bool_)
    run, order = unit_products(_tiling(task, found, words), steps), _order(task.stages)

    def work(part: tuple[int, int]) -> None:
        with np.errstate(all="ignore"):  # without the JIT, NumPy would warn of infinities
            run(left, right, order, part[0], part[1], out, marks)

    for_each(_pieces(shape[1] // COLUMNS, threads), work, threads)
    return Result(_cut(task, out), _cut(task, marks))


def _tiling(task: Task, found: _Range, words: Words) -> Tiling:
    unrolled = math.gcd(words_per_group(task.stages.group_size, words), _UNROLLED)
    return Tiling(words, unrolled, split=found.split)


def _pieces(panels: int, threads: int) -> list[tuple[int, int]]:
    """Return the first and last panel of each piece of work."""
    step = max(-(-panels // (2 * threads)), 1)
    return [(first, min(first + step, panels)) for first in range(0, panels, step)]


def _cut(task: Task, padded: AnyArray) -> AnyArray:
    return np.ascontiguousarray(padded[: task.left.significands.shape[0], : task.right.significands.shape[0]])


def _whole(count: int, multiple: int) -> int:
    """Return the next multiple."""
    return count + -count % multiple


def _words(rows: Rows, size: int, words: Words, multiple: int) -> AnyArray:
    """Return significands in words, groups padded with zeros to whole words and rows to a multiple."""
    count, length = rows.significands.shape
    groups, padded_size = rows.scales.shape[1], words_per_group(size, words) * words.per_word
    dtype = np.int8 if words.per_word == 4 else np.int16
    if count % multiple == 0 and length == groups * padded_size and rows.significands.dtype == dtype:
        return rows.significands.view(np.int32)
    found = np.zeros((_whole(count, multiple), groups, padded_size), dtype)
    whole = length // size
    found[:count, :whole, :size] = rows.significands[:, : whole * size].reshape(count, whole, size)
    if whole < groups:
        found[:count, whole, : length - whole * size] = rows.significands[:, whole * size :]
    return found.reshape(len(found), -1).view(np.int32)


def _left(task: Task, words: Words, *, start: int = 0) -> Left:
    rows = task.left
    found = _words(rows, task.stages.group_size, words, 1)
    starts = np.full((len(found), rows.scales.shape[1]), start, np.int32)
    if words.offset:
        subtract_group_sums(found.view(np.int8).reshape(*starts.shape, -1), words.offset, starts)
    return Left(found, starts, _exponents(rows, ROWS))


def _right(task: Task, words: Words) -> Right:
    rows = task.right
    return Right(_words(rows, task.stages.group_size, words, COLUMNS), _exponents(rows, COLUMNS))


def _exponents(rows: Rows, multiple: int) -> Int64Array:
    """Return exponents as shape (tiles or panels, groups, their rows)."""
    padded = np.pad(rows.scales, ((0, -len(rows.scales) % multiple), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded.reshape(-1, multiple, padded.shape[1]).transpose(0, 2, 1))


def _powers(exponents: Int64Array) -> npt.NDArray[np.float32]:
    """Return ``2 ** exponents`` in float32, made from bits."""
    return ((exponents + 127) << 23).astype(np.uint32).view(np.float32)
