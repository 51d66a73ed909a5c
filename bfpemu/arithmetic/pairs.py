"""Dot products of pairs of rows, one by one in the general kernels (spec 6)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.fast import Task
from bfpemu.arithmetic.results import as_floats
from bfpemu.kernels.dot import EXACT
from bfpemu.kernels.products import Unit, dot_pairs
from bfpemu.threads import for_each

Int64Array = npt.NDArray[np.int64]

_PAIRS = 64
"""Pairs of rows that are copied together: enough for a call, and few enough to stay in the cache."""


class Sums(NamedTuple):
    """What accumulators hold in the end, a row for every dot product."""

    registers: Int64Array
    """(state, integer, exponent, reference)"""
    numbers: Int64Array
    """(state, integer, exponent) after the rounding to a float; for an output in blocks before any (6.8)."""
    flags: npt.NDArray[np.uint8]


def kernel_unit(task: Task) -> Unit:
    """Return the unit of a task for the general kernels, with limbs for its scales where sums are exact."""
    limbs, base, (left, right) = 0, 0, (task.left.scales, task.right.scales)
    if task.stages.kind == EXACT:
        limbs = 3
        if left.size and right.size:
            base = int(left.min()) + int(right.min())
            top = int(left.max()) + int(right.max()) + 60 + left.shape[1].bit_length()
            limbs += (top - base) // 32
    return Unit(task.stages, task.rules, task.output, limbs, base)


def pair_sums(task: Task) -> Sums:
    """Return the dot product of every row of the left operand with the same row of the right one."""
    left, right = task.left, task.right
    count = len(left.significands)
    found = Sums(np.zeros((count, 4), np.int64), np.zeros((count, 3), np.int64), np.zeros(count, np.uint8))
    dot_pairs(
        kernel_unit(task),
        left.significands.astype(np.int64),
        right.significands.astype(np.int64),
        left.scales + right.scales,
        left.poisoned | right.poisoned,
        *found,
    )
    return found


def fill_in(task: Task, wanted: npt.NDArray[np.bool_], out_values: npt.NDArray[Any], *, threads: int) -> None:
    """Write those results of a product of matrices that are wanted, in a float dtype that holds them."""
    if not wanted.any():  # to look for places takes a hundred times as long
        return
    rows, columns = np.nonzero(wanted)

    def work(first: int) -> None:
        some = slice(first, first + _PAIRS)
        pairs = task._replace(left=task.left.part(rows[some]), right=task.right.part(columns[some]))
        out_values[rows[some], columns[some]] = as_floats(pair_sums(pairs).numbers, out_values.dtype)

    for_each(range(0, len(rows), _PAIRS), work, threads)
