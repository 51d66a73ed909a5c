"""Dot products through every stage of a unit (spec 6.3 to 6.10)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.accumulate import (
    FINITE,
    INEXACT,
    FloatRules,
    add_exactly,
    add_states,
    bounded,
    round_float,
    shift_right,
)
from bfpemu.kernels.rounding import bit_length
from bfpemu.kernels.types import AnyArray, Int64Array

EXACT = 0
FLOAT = 1
FUSED = 2
FIXED = 3
KEEP = 4
NORMALISE = 5
SCALED_FLOAT = 6
"""As `FLOAT`, but a group sum is rounded before it is scaled, and after it."""

_NEVER = np.int64(-(1 << 40))
"""Reference exponent of a sum that has not begun."""


class Stages(NamedTuple):
    """The stages of a unit as plain integers."""

    kind: int
    group_size: int
    drop_bits: int
    drop_rounding: int
    sum_bits: int
    """0 for exact."""
    sum_saturates: int
    splits: int
    lanes: int
    pairwise: int
    bits: int
    lsb_exponent: int
    kept_fraction: int
    alignment: int
    saturates: int
    aligns_products: int
    zero_takes_part: int
    reference: int
    """Bits of the largest product of two significands, without signs (spec 6.6)."""


@kernel
def group_sum(stages: Stages, a: AnyArray, b: AnyArray, out_products: Int64Array) -> tuple[np.int64, np.int64]:
    """Return the sum of products of one group and its flags; `out_products` gets the products (spec 6.4, 6.5)."""
    total, flags = np.int64(0), np.int64(0)
    if stages.drop_bits == 0 and stages.sum_bits == 0 and stages.aligns_products == 0:
        for i in range(a.shape[0]):
            total += np.int64(a[i]) * np.int64(b[i])
        return total, flags
    for i in range(a.shape[0]):
        product = np.int64(a[i]) * np.int64(b[i])
        if stages.drop_bits > 0:
            kept, changed = shift_right(product, np.int64(stages.drop_bits), False, np.int64(stages.drop_rounding))
            product = kept << np.int64(stages.drop_bits)
            if changed:
                flags |= INEXACT
        out_products[i] = product
        if stages.sum_bits > 0:
            product, raised = bounded(product, np.int64(stages.sum_bits), np.int64(stages.sum_saturates))
            flags |= raised
            total, raised = bounded(total + product, np.int64(stages.sum_bits), np.int64(stages.sum_saturates))
            flags |= raised
        else:
            total += product
    return total, flags


@kernel
def aligned(stages: Stages, value: np.int64, exponent: np.int64, reference: np.int64) -> tuple[np.int64, np.int64]:
    """Return a value as an integer of ``2 ** (reference - F)``, and its flags (spec 6.6)."""
    shift = reference - np.int64(stages.kept_fraction) - exponent
    if shift <= 0 or value == 0:
        return (value << -shift if value != 0 else value), np.int64(0)
    found, changed = shift_right(value, shift, False, np.int64(stages.alignment))
    return found, np.int64(INEXACT if changed else 0)


@kernel
def join_aligned(
    stages: Stages, rules: FloatRules, x: Int64Array, y: Int64Array, products: Int64Array, out: Int64Array
) -> np.int64:
    """Add two aligned addends (state, integer, exponent, reference) into `out`; return the flags (spec 6.6).

    `products`, when not empty, stand for the integer of `y`, each aligned by itself.
    """
    reference = max(x[3], y[3])
    if stages.zero_takes_part == 0:
        y_is_zero = y[1] == 0
        for i in range(products.shape[0]):
            y_is_zero = y_is_zero and products[i] == 0
        if x[1] == 0 and y_is_zero:
            reference = min(x[3], y[3]) if x[3] != _NEVER and y[3] != _NEVER else reference
        elif x[1] == 0:
            reference = y[3]
        elif y_is_zero:
            reference = x[3]
    total, flags = aligned(stages, x[1], x[2], reference)
    if products.shape[0] == 0:
        found, raised = aligned(stages, y[1], y[2], reference)
        total, flags = total + found, flags | raised
    for i in range(products.shape[0]):
        found, raised = aligned(stages, products[i], y[2], reference)
        total, flags = total + found, flags | raised
    out[0], out[2], out[3] = FINITE, reference - np.int64(stages.kept_fraction), reference
    if stages.kind == KEEP:
        out[1], raised = bounded(total, np.int64(stages.bits), np.int64(stages.saturates))
        return flags | raised
    out[0], out[1], out[2], raised = round_float(rules, total, out[2], False)
    out[3] = np.int64(1) - rules.bias
    if out[1] != 0:
        out[3] = out[2] + bit_length(np.uint64(abs(out[1]))) - np.int64(1)
    return flags | raised


@kernel
def join(
    stages: Stages, rules: FloatRules, x: Int64Array, y: Int64Array, products: Int64Array, out: Int64Array
) -> np.int64:
    """Add two addends (state, integer, exponent, reference) into `out`; return the flags (spec 6.6)."""
    if x[0] != FINITE or y[0] != FINITE:
        out[0], flags = add_states(x[0], y[0])
        out[1] = 0
        return flags
    if stages.kind == KEEP or stages.kind == NORMALISE:
        return join_aligned(stages, rules, x, y, products, out)
    if stages.kind == FIXED:
        out[0], out[2] = FINITE, stages.lsb_exponent
        out[1], flags = bounded(x[1] + y[1], np.int64(stages.bits), np.int64(stages.saturates))
        return flags
    total, exponent, sticky = add_exactly(x[1], x[2], y[1], y[2])
    out[0], out[1], out[2], flags = round_float(rules, total, exponent, sticky)
    return flags


@kernel
def convert(stages: Stages, rules: FloatRules, total: np.int64, exponent: np.int64, out: Int64Array) -> np.int64:
    """Convert a group sum to an addend (spec 6.6); return the flags."""
    out[0], out[1], out[2], out[3] = FINITE, total, exponent, exponent + np.int64(stages.reference)
    if stages.kind == FLOAT:
        out[0], out[1], out[2], flags = round_float(rules, total, exponent, False)
        return flags
    if stages.kind == SCALED_FLOAT:
        out[0], out[1], out[2], flags = round_float(rules, total, np.int64(0), False)
        if out[0] == FINITE:
            out[0], out[1], out[2], raised = round_float(rules, out[1], out[2] + exponent, False)
            flags |= raised
        return flags
    if stages.kind == FIXED:
        shift = np.int64(stages.lsb_exponent) - exponent
        flags = np.int64(0)
        if shift > 0:
            total, changed = shift_right(total, shift, False, np.int64(stages.alignment))
            flags = np.int64(INEXACT if changed else 0)
        elif total != 0 and shift < 0:
            if stages.saturates == 1 and -shift > 62:
                total = np.int64(1) << np.int64(61) if total > 0 else -(np.int64(1) << np.int64(61))
            elif -shift > 62:
                flags, total = np.int64(16), np.int64(0)
            else:
                wide = total << -shift
                if wide >> -shift != total:
                    flags = np.int64(16)
                    if stages.saturates == 1:
                        wide = np.int64(1) << np.int64(61) if total > 0 else -(np.int64(1) << np.int64(61))
                total = wide
        out[1], raised = bounded(total, np.int64(stages.bits), np.int64(stages.saturates))
        out[2] = stages.lsb_exponent
        return flags | raised
    return np.int64(0)


@kernel
def tree(stages: Stages, rules: FloatRules, addends: Int64Array, count: np.int64, products: Int64Array) -> np.int64:
    """Add `count` addends pairwise; the sum is left in the first row (spec 6.7)."""
    flags = np.int64(0)
    while count > 1:
        half = count // 2
        for i in range(half):
            flags |= join(stages, rules, addends[2 * i], addends[2 * i + 1], products, addends[i])
        if count % 2 == 1:
            addends[half, :] = addends[count - 1, :]
        count = half + count % 2
    return flags


@kernel
def dot_product(
    stages: Stages,
    rules: FloatRules,
    a: AnyArray,
    b: AnyArray,
    scales: Int64Array,
    scratch: Int64Array,
    products: Int64Array,
) -> np.int64:
    """Accumulate one dot product; the sum is left in the first row of `scratch`; return the flags.

    Parameters
    ----------
    a, b : int, shape (K,)
        Significands of 6.3.
    scales : int64, shape (groups,)
        Exponents ``k`` of the groups.
    scratch : int64, shape (groups + lanes + 4, 4)
        Addends: (state, integer, exponent, reference exponent).
    products : int64, shape (group_size,)
    """
    groups, size = scales.shape[0], np.int64(stages.group_size)
    none = products[:0]
    flags = np.int64(0)
    per_run = -(-groups // stages.splits) if groups > 0 else np.int64(1)
    total, addend = scratch[scratch.shape[0] - 1], scratch[scratch.shape[0] - 2]
    _reset(stages, rules, total)
    runs = 0
    for first in range(0, groups, per_run):
        last = min(first + per_run, groups)
        lanes = min(np.int64(stages.lanes), last - first)
        for lane in range(lanes):
            count = np.int64(0)
            sum_of_lane = scratch[lane]
            if stages.pairwise == 0:
                _reset(stages, rules, sum_of_lane)
            for group in range(first + lane, last, np.int64(stages.lanes)):
                part = slice(group * size, min((group + 1) * size, a.shape[0]))
                found, raised = group_sum(stages, a[part], b[part], products)
                flags |= raised | convert(stages, rules, found, scales[group], addend)
                if stages.pairwise == 1:
                    scratch[lane + count, :] = addend
                elif stages.aligns_products == 1:
                    flags |= join(stages, rules, sum_of_lane, addend, products[: part.stop - part.start], sum_of_lane)
                else:
                    flags |= join(stages, rules, sum_of_lane, addend, none, sum_of_lane)
                count += 1
            if stages.pairwise == 1:
                flags |= tree(stages, rules, scratch[lane:], count, none)
        flags |= tree(stages, rules, scratch, lanes, none)
        if runs == 0:
            total[:] = scratch[0]
        else:
            flags |= join(stages, rules, total, scratch[0], none, total)
        runs += 1
    scratch[0, :] = total
    return flags


@kernel
def _reset(stages: Stages, rules: FloatRules, out: Int64Array) -> None:
    """Start an accumulator at 0 (spec 6.6)."""
    out[0], out[1], out[2] = FINITE, 0, 0
    out[3] = np.int64(1) - rules.bias if stages.kind == NORMALISE else _NEVER
    if stages.kind == FIXED:
        out[2] = stages.lsb_exponent
