"""How many bits the stages of a dot-product unit need for given data, and for any data (spec 6).

All numbers are integers, computed from codes; no float takes part. Bits of a number ``n`` are those
of two's complement: the smallest ``w`` with ``-2**(w-1) <= n <= 2**(w-1) - 1``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfpemu.arithmetic import bounds
from bfpemu.arithmetic.report import Stage, WidthReport
from bfpemu.arithmetic.rows import Rows, group_elements, operand_rows
from bfpemu.arithmetic.stages import Tally
from bfpemu.errors import DataError
from bfpemu.formats.unit import Accumulator, AccumulatorKind, DotProductUnit
from bfpemu.tensor import BFPTensor

_PIECE_PRODUCTS = 1 << 19
_FEWEST_BITS = 2
"""The narrowest integer of spec 6.6."""

_MEANINGS = {
    "product": ("product", "bits of p[i] (spec 6.4)"),
    "partial_sum": ("group", "bits of the largest product or partial sum of a group, in element order (spec 6.5)"),
    "group_sum": ("group", "bits of the group sum s (spec 6.5)"),
    "exponent_spread": ("output", "largest less smallest scale k of the groups whose sum is not 0 (spec 6.3)"),
    "accumulator": ("output", "bits of the largest addend or running sum, in units of {scale} (spec 6.6, 6.7)"),
    "aligned": ("output", "bits from the lowest set bit of any addend to the top of the largest running sum{float}"),
    "alignment": ("output", "fraction_bits with which an aligned accumulator drops no bit (spec 6.6)"),
}
"""Stage -> what is counted, and what its bits are."""


def analyze(a: BFPTensor, b: BFPTensor, unit: DotProductUnit, *, most_lines: int | None = None) -> WidthReport:
    """Return how many bits each stage of `unit` needs for the product of `a` and `b` (spec 6).

    Sums are exact but for the dropped bits of products: nothing wraps, saturates or is rounded on
    the way, so that every stage shows what the one before it would hand on in full. Only the stage
    `accumulator` of a `fixed` unit rounds, as its conversion does.

    Parameters
    ----------
    a : BFPTensor
        Of the shape (M, K) or (K,), blocked along its last axis.
    b : BFPTensor
        Of the shape (K, N) or (K,), blocked along its first axis.
    unit : DotProductUnit
    most_lines : int, optional
        At most so many rows of `a` and columns of `b`, evenly spread; all unless given.

    Raises
    ------
    DataError
        ``operand-axis``, if an operand is not blocked along K, or ``operand-shape``.
    SpecError
        ``unit``, if the unit's groups do not fit the blocks (spec 6.3) or are too wide for the kernels.

    Examples
    --------
    >>> import numpy as np
    >>> a = BFPTensor(np.full((1, 32), -1.0, np.float32), (8, 32))
    >>> b = BFPTensor(np.full((32, 1), -1.0, np.float32), (8, 32), axis=0)
    >>> report = analyze(a, b, DotProductUnit())
    >>> report.stages["product"].histogram, report.stages["group_sum"].largest
    ({14: 32}, 19)
    """
    shape = _shape(a, b)
    group = group_elements(a, b, unit)
    left = _some(operand_rows(a, -1, group), most_lines)
    right = _some(operand_rows(b, 0, group), most_lines)
    rows, columns = len(left.significands), len(right.significands)
    tally = Tally(a.format, b.format, unit, min(group, max(shape[1], 1)))
    if shape[1]:
        for part, other in _pieces(rows, columns, shape[1]):
            tally.add(left.part(part), right.part(other))
    worst = bounds.worst_case(a.format, b.format, unit, shape[1], group)
    lsb_exponent, bits = tally.window
    return WidthReport(
        unit=unit.name,
        a_format=a.format.name,
        b_format=b.format.name,
        shape=shape,
        outputs=rows * columns,
        nan_outputs=tally.nan_outputs,
        group_size=group,
        stages={name: _stage(name, tally, unit, worst[name]) for name in _MEANINGS},
        window_lsb_exponent=lsb_exponent,
        window_bits=max(bits, _FEWEST_BITS),
    )


def _shape(a: BFPTensor, b: BFPTensor) -> tuple[int, int, int]:
    """Return M, K and N; a vector has one row or one column."""
    if not (len(a.shape) in (1, 2) and len(b.shape) in (1, 2)) or a.shape[-1] != b.shape[0]:
        raise DataError(
            "operand-shape",
            f"operands must have shapes (M, K) and (K, N), or (K,) (spec 6.1), got {a.shape} and {b.shape}",
        )
    return (a.shape[0] if len(a.shape) == 2 else 1, b.shape[0], b.shape[1] if len(b.shape) == 2 else 1)


def _some(rows: Rows, most: int | None) -> Rows:
    """Return at most `most` rows, evenly spread."""
    count = len(rows.significands)
    return rows if most is None or most >= count else rows.part(np.arange(most) * count // most)


def _pieces(rows: int, columns: int, length: int) -> Iterator[tuple[slice, slice]]:
    """Divide the outputs so that the products of one piece are about `_PIECE_PRODUCTS`."""
    width = max(min(columns, _PIECE_PRODUCTS // length), 1)
    height = max(_PIECE_PRODUCTS // (length * width), 1)
    for row in range(0, rows, height):
        for column in range(0, columns, width):
            yield slice(row, row + height), slice(column, column + width)


def _stage(name: str, tally: Tally, unit: DotProductUnit, bound: bounds.Bound) -> Stage:
    counted, meaning = _MEANINGS[name]
    accumulator = unit.accumulator
    is_fixed = accumulator.kind is AccumulatorKind.FIXED
    scale = f"2**{accumulator.lsb_exponent}" if is_fixed else "the smallest 2**k of its groups whose sum is not 0"
    holds = "" if accumulator.format is None else "; any of fraction_bits + 2 fits a float exactly"
    return Stage(
        counted, meaning.format(scale=scale, float=holds), tally.histogram(name), _stated_bits(name, unit), bound
    )


def _stated_bits(name: str, unit: DotProductUnit) -> int | None:
    """Return the width that the unit states for a stage, or None."""
    accumulator = unit.accumulator
    if name in ("partial_sum", "group_sum"):
        return unit.sum_bits
    if name == "accumulator":
        return accumulator.bits if accumulator.kind is AccumulatorKind.FIXED else None
    if name == "aligned":
        return _window_bits(accumulator)
    return accumulator.fraction_bits if name == "alignment" and accumulator.kind is AccumulatorKind.ALIGNED else None


def _window_bits(accumulator: Accumulator) -> int | None:
    """Return the widest exact window that an accumulator holds wherever it lies, its sign included.

    A float's significand has a hidden one beside its fraction.
    """
    return accumulator.bits if accumulator.format is None else accumulator.format.fraction_bits + 2
