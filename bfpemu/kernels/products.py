"""Dot products of rows, whole: accumulated, rounded to the output, with flags (spec 6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.accumulate import FINITE, INVALID, NOT_A_NUMBER, FloatRules, round_float
from bfpemu.kernels.dot import EXACT, Stages, dot_product, group_sum
from bfpemu.kernels.exact import add_shifted, leading
from bfpemu.kernels.types import AnyArray, Flag, Int64Array


class Unit(NamedTuple):
    """A unit as the kernels take it."""

    stages: Stages
    rules: FloatRules
    """Of its accumulator."""
    output: FloatRules
    limbs: int
    """Limbs that hold every exact sum, of which limb 0 weighs ``2 ** base``; 0 for other accumulators."""
    base: int


class Scratch(NamedTuple):
    """What one dot product works in."""

    addends: Int64Array
    """shape (groups + lanes + 4, 4), as of `dot_product`; the first row is the accumulator in the end."""
    products: Int64Array
    """shape (group_size,)"""
    limbs: Int64Array


@kernel
def scratch_for(unit: Unit, groups: int) -> Scratch:
    """Return scratch for dot products of so many groups."""
    return Scratch(
        np.empty((groups + unit.stages.lanes + 4, 4), np.int64),
        np.empty(unit.stages.group_size, np.int64),
        np.empty(unit.limbs, np.int64),
    )


@kernel
def one_product(
    unit: Unit, a: AnyArray, b: AnyArray, scales: Int64Array, scratch: Scratch, out_number: Int64Array
) -> np.int64:
    """Compute one dot product into `out_number`, (state, integer, exponent) in the output format; return the flags."""
    flags = np.int64(0)
    state = np.int64(FINITE)
    sticky: Flag = False
    if unit.stages.kind == EXACT:
        size = np.int64(unit.stages.group_size)
        scratch.limbs[:] = 0
        for group in range(scales.shape[0]):
            part = slice(group * size, min((group + 1) * size, a.shape[0]))
            total, raised = group_sum(unit.stages, a[part], b[part], scratch.products)
            flags |= raised
            add_shifted(scratch.limbs, total, scales[group] - unit.base)
        value, exponent, sticky = leading(scratch.limbs)
        exponent += unit.base
    else:
        flags = dot_product(unit.stages, unit.rules, a, b, scales, scratch.addends, scratch.products)
        state, value, exponent = scratch.addends[0, 0], scratch.addends[0, 1], scratch.addends[0, 2]
    if state == FINITE:
        state, value, exponent, raised = round_float(unit.output, value, exponent, sticky)
        flags |= raised
    out_number[0], out_number[1], out_number[2] = state, value, exponent
    return flags


@kernel
def dot_products(
    unit: Unit,
    a: AnyArray,
    b: AnyArray,
    a_scales: Int64Array,
    b_scales: Int64Array,
    a_poisoned: AnyArray,
    b_poisoned: AnyArray,
    out_numbers: Int64Array,
    out_flags: AnyArray,
) -> None:
    """Compute the dot product of every row of `a` with every row of `b`.

    Parameters
    ----------
    a, b : int, shapes (M, K), (N, K)
    a_scales, b_scales : int64, shapes (M, groups), (N, groups)
        Exponents of the groups; those of two rows add up to ``k``.
    a_poisoned, b_poisoned : bool, shapes (M,), (N,)
        Whether a row has a NaN block.
    out_numbers : int64, shape (M, N, 3)
        (state, integer, exponent) of the results in the output format.
    out_flags : uint8, shape (M, N)
    """
    scratch = scratch_for(unit, a_scales.shape[1])
    for m in range(a.shape[0]):
        for n in range(b.shape[0]):
            if a_poisoned[m] or b_poisoned[n]:
                out_numbers[m, n, 0] = NOT_A_NUMBER
                out_flags[m, n] = INVALID
            else:
                scales = a_scales[m] + b_scales[n]
                out_flags[m, n] = one_product(unit, a[m], b[n], scales, scratch, out_numbers[m, n])


@kernel
def dot_pairs(
    unit: Unit,
    a: AnyArray,
    b: AnyArray,
    scales: Int64Array,
    poisoned: AnyArray,
    out_registers: Int64Array,
    out_numbers: Int64Array,
    out_flags: AnyArray,
) -> None:
    """Compute the dot product of every row of `a` with the same row of `b`.

    Parameters
    ----------
    a, b : int64, shape (n, K)
    scales : int64, shape (n, groups)
        Exponents ``k`` of the groups.
    poisoned : bool, shape (n,)
        Whether a row has a NaN block.
    out_registers : int64, shape (n, 4)
        (state, integer, exponent, reference) of the accumulators; left alone for exact ones and of NaN blocks.
    out_numbers : int64, shape (n, 3)
        (state, integer, exponent) of the results in the output format.
    out_flags : uint8, shape (n,)
    """
    scratch = scratch_for(unit, scales.shape[1])
    for n in range(a.shape[0]):
        if poisoned[n]:
            out_numbers[n, 0] = NOT_A_NUMBER
            out_flags[n] = INVALID
            continue
        out_flags[n] = one_product(unit, a[n], b[n], scales[n], scratch, out_numbers[n])
        if unit.stages.kind != EXACT:
            out_registers[n, :] = scratch.addends[0]
