"""The order in which the sums of groups are added, for all results of a tile at once (spec 6.7).

Every result of the tile goes through the same additions, so each step is a loop over the tile that
the compiler turns into vector code. An accumulator is `PARTS` integers; what they mean is known to
the steps alone (`float_steps`, `integer_steps`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels._tile import COLUMNS, ROWS
from bfpemu.kernels._vector import widest_vectors
from bfpemu.kernels.types import AnyArray, Integer

PARTS = 3
"""Integers of an accumulator, at most."""

TILE = ROWS * COLUMNS


Parts = tuple[Any, Any, Any]
"""Integers of the lanes' width."""


class Order(NamedTuple):
    """The order of additions as plain integers (spec 6.7)."""

    splits: int
    lanes: int
    pairwise: int


class Steps(NamedTuple):
    """What an accumulator does with one result, as compiled functions."""

    bits: int
    """Of each of its integers: 32 or 64."""
    parts: int
    """Integers that this accumulator uses; the others are never stored."""
    start: tuple[int, int, int]
    """An accumulator of 0."""
    convert: Callable[..., Parts]
    """(sum, exponent of its unit) -> addend"""
    join: Callable[..., Parts]
    """(accumulator or addend, the other) -> accumulator"""
    finish: Callable[..., np.float64]
    """accumulator -> the result in the output format"""
    add: Callable[..., Parts] | None = None
    """(accumulator, sum, exponent of its unit) -> accumulator, where that is quicker than `convert` and `join`"""
    mark: int | None = None
    """The part that is `LEFT` where this way cannot tell the result"""


LEFT = -(1 << 30)
"""Mark of an accumulator that only the general kernels can compute."""


@kernel
def scratch_slots(order: Order, groups: Integer) -> Integer:
    """Return how many accumulators of a tile `accumulate_tile` needs."""
    return groups + order.lanes + 2


def converting(steps: Steps) -> Callable[..., Parts]:
    """Return the addition of a group's sum that converts it first."""
    convert, join = steps.convert, steps.join

    @kernel
    def add(x: Any, x1: Any, x2: Any, total: Any, exponent: Any) -> Parts:
        y, y1, y2 = convert(total, exponent)
        return join(x, x1, x2, y, y1, y2)

    return add


def accumulate_tile(steps: Steps) -> Callable[..., None]:
    """Return the loop that adds up one tile.

    It takes the order; the sums of the groups, at least one, int32, shape (groups, `TILE`); the exponents
    of the two operands, shapes (groups, `ROWS`) and (groups, `COLUMNS`); and `scratch`, integers of the lanes,
    shape (`scratch_slots`, `PARTS`, `TILE`), whose first slot has the accumulators in the end.
    """
    convert_one, join_one, add_one = steps.convert, steps.join, steps.add or converting(steps)
    has_one, has_two = steps.parts > 1, steps.parts > 2
    integer = np.int32 if steps.bits == 32 else np.int64
    nothing, (zero, one, two) = integer(0), (integer(part) for part in steps.start)

    @kernel
    def get(slot: AnyArray, i: Integer) -> Parts:
        return slot[0, i], slot[1, i] if has_one else nothing, slot[2, i] if has_two else nothing

    @kernel
    def put(slot: AnyArray, i: Integer, parts: Parts) -> None:
        slot[0, i] = parts[0]
        if has_one:
            slot[1, i] = parts[1]
        if has_two:
            slot[2, i] = parts[2]

    @kernel
    def reset(out: AnyArray) -> None:
        for i in range(TILE):
            put(out, i, (zero, one, two))

    @kernel
    def convert(sums: AnyArray, a_exponents: AnyArray, b_exponents: AnyArray, out: AnyArray) -> None:
        widest_vectors()
        for row in range(ROWS):
            exponent = a_exponents[row]
            for column in range(COLUMNS):
                i = row * COLUMNS + column
                put(out, i, convert_one(sums[i], exponent + b_exponents[column]))

    @kernel
    def step(
        sums: AnyArray, a_exponents: AnyArray, b_exponents: AnyArray, group: Integer, scratch: AnyArray, slot: Integer
    ) -> None:
        """Convert the sums of a group and add them to a slot; a view of each array would cost as much as the sums.

        Exponents are laid out first: the compiler asks once a loop whether arrays overlap, so it is one for all rows.
        """
        widest_vectors()
        units = scratch.shape[0] - 2
        for column in range(COLUMNS):
            exponent = b_exponents[group, column]
            for row in range(ROWS):
                scratch[units, 0, row * COLUMNS + column] = a_exponents[group, row] + exponent
        for i in range(TILE):
            x1 = scratch[slot, 1, i] if has_one else nothing
            x2 = scratch[slot, 2, i] if has_two else nothing
            x, x1, x2 = add_one(scratch[slot, 0, i], x1, x2, sums[group, i], scratch[units, 0, i])
            scratch[slot, 0, i] = x
            if has_one:
                scratch[slot, 1, i] = x1
            if has_two:
                scratch[slot, 2, i] = x2

    @kernel
    def join(x: AnyArray, y: AnyArray) -> None:
        """Add `y` to `x`; both in place, since two arrays that overlap would not become vector code."""
        widest_vectors()
        for i in range(TILE):
            one, other = get(x, i), get(y, i)
            put(x, i, join_one(one[0], one[1], one[2], other[0], other[1], other[2]))

    @kernel
    def tree(scratch: AnyArray, count: Integer) -> None:
        """Add neighbours until one is left, in the first slot."""
        while count > 1:
            half = count // 2
            for i in range(half):
                join(scratch[2 * i], scratch[2 * i + 1])
                if i > 0:
                    scratch[i] = scratch[2 * i]
            if count % 2 == 1:
                scratch[half] = scratch[count - 1]
            count = half + count % 2

    @kernel
    def run(order: Order, sums: AnyArray, a_exponents: AnyArray, b_exponents: AnyArray, scratch: AnyArray) -> None:
        groups = sums.shape[0]
        total = scratch[scratch.shape[0] - 1]
        per_run = -(-groups // order.splits)
        for first in range(0, groups, per_run):
            last = min(first + per_run, groups)
            lanes = min(order.lanes, last - first)
            for lane in range(lanes):
                count = 0
                if order.pairwise == 0:
                    reset(scratch[lane])
                for group in range(first + lane, last, order.lanes):
                    if order.pairwise == 1:
                        convert(sums[group], a_exponents[group], b_exponents[group], scratch[lane + count])
                        count += 1
                    else:
                        step(sums, a_exponents, b_exponents, group, scratch, lane)
                if order.pairwise == 1:
                    tree(scratch[lane:], count)
            tree(scratch, lanes)
            if per_run == groups:
                return
            if first == 0:
                total[:] = scratch[0]
            else:
                join(total, scratch[0])
        scratch[0] = total

    return run
