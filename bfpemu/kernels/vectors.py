"""Rows of independent vectors: dot products row by row, and the exact numbers of source words (spec 3.1 to 3.4, 6)."""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.accumulate import FINITE, INVALID, NOT_A_NUMBER, FloatRules, round_float
from bfpemu.kernels.dot import EXACT, Stages, dot_product, group_sum
from bfpemu.kernels.exact import add_shifted, leading
from bfpemu.kernels.parameters import Source
from bfpemu.kernels.source import Numbers, read_block
from bfpemu.kernels.types import AnyArray, Flag, Int64Array, Integer, UInt64Array


@kernel
def dot_pairs(
    stages: Stages,
    rules: FloatRules,
    output: FloatRules,
    a: AnyArray,
    b: AnyArray,
    scales: Int64Array,
    poisoned: AnyArray,
    limb_count: Integer,
    base: Integer,
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
    limb_count, base
        As for `exact_products`; used by exact accumulators only.
    out_registers : int64, shape (n, 4)
        (state, integer, exponent, reference) of the accumulators; zeros for exact ones and of NaN blocks.
    out_numbers : int64, shape (n, 3)
        (state, integer, exponent) of the results in the output format.
    out_flags : uint8, shape (n,)
    """
    groups = scales.shape[1]
    scratch = np.empty((groups + stages.lanes + 4, 4), np.int64)
    products = np.empty(stages.group_size, np.int64)
    limbs = np.empty(limb_count, np.int64)
    size = np.int64(stages.group_size)
    for n in range(a.shape[0]):
        if poisoned[n]:
            out_numbers[n, 0] = NOT_A_NUMBER
            out_flags[n] = INVALID
            continue
        flags = np.int64(0)
        state = np.int64(FINITE)
        sticky: Flag = False
        if stages.kind == EXACT:
            limbs[:] = 0
            for group in range(groups):
                part = slice(group * size, min((group + 1) * size, a.shape[1]))
                total, raised = group_sum(stages, a[n, part], b[n, part], products)
                flags |= raised
                add_shifted(limbs, total, scales[n, group] - base)
            value, exponent, sticky = leading(limbs)
            exponent += base
        else:
            flags = dot_product(stages, rules, a[n], b[n], scales[n], scratch, products)
            state, value, exponent = scratch[0, 0], scratch[0, 1], scratch[0, 2]
            out_registers[n, :] = scratch[0]
        if state == FINITE:
            state, value, exponent, raised = round_float(output, value, exponent, sticky)
            flags |= raised
        out_numbers[n, 0], out_numbers[n, 1], out_numbers[n, 2] = state, value, exponent
        out_flags[n] = flags


@kernel
def read_rows(words: UInt64Array, source: Source, steps: Int64Array, out: Numbers) -> None:
    """Read source words of shape (n, elements), source chain included, as `read_block` does."""
    for n in range(words.shape[0]):
        read_block(words[n], source, steps, out.kinds[n], out.negatives[n], out.mantissas[n], out.tops[n])
