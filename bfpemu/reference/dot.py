"""The dot product of two rows, and products of matrices (spec 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec
from bfpemu.formats.unit import DotProductUnit
from bfpemu.reference.accumulate import Added, Addend, add, convert, start
from bfpemu.reference.blocks import ravel
from bfpemu.reference.flags import Flags
from bfpemu.reference.group import Group, Row, groups
from bfpemu.reference.output import ResultCodes, encoded, single_result
from bfpemu.reference.tensor import EncodedTensor
from bfpemu.reference.trace import GroupStep, JoinStep, Register, ResultStep, Step, register
from bfpemu.reference.value import NAN, Value


@dataclass(frozen=True, slots=True)
class DotResult:
    """The result of one dot product (spec 6.8, 6.10)."""

    result: int | ResultCodes
    """The bits in the encoding of the unit's output format, or the codes in block floating point."""
    value: Value
    flags: int
    trace: list[Step]

    @property
    def pattern(self) -> int:
        """The bits of a result in a float format."""
        assert isinstance(self.result, int), "the output is in block floating point"
        return self.result


class Accumulated(NamedTuple):
    """What an accumulator holds in the end (spec 6.7), before the output."""

    value: Value
    register: Register
    """None where a NaN block makes the value NaN."""
    flags: Flags
    trace: list[Step]


def dot_blocks(
    a_exponents: Sequence[int],
    a_shifts: Sequence[int],
    a_elements: Sequence[int],
    a_spec: BFPSpec,
    b_exponents: Sequence[int],
    b_shifts: Sequence[int],
    b_elements: Sequence[int],
    b_spec: BFPSpec,
    unit: DotProductUnit,
) -> DotResult:
    """Return the dot product of one row of each operand, from their codes (spec 6).

    Parameters
    ----------
    a_exponents, b_exponents : sequence of int
        The exponent codes of a row's blocks.
    a_shifts, b_shifts : sequence of int
        The shift codes of the row, block after block; empty in a one-level format.
    a_elements, b_elements : sequence of int
        The K element codes, without padding.
    a_spec, b_spec : BFPSpec
    unit : DotProductUnit

    Raises
    ------
    SpecError
        ``unit``, if the unit's groups do not fit the blocks (spec 6.3).

    Examples
    --------
    >>> m4 = BFPSpec("m4", 4, 2, fraction_bits=0)
    >>> result = dot_blocks([127], [], [3, 2], m4, [128], [], [1, 15], m4, DotProductUnit())
    >>> result.value.signed, hex(result.result)  # (3 * 1 + 2 * -1) * 2
    (Fraction(2, 1), '0x40000000')
    """
    a = Row(a_exponents, a_shifts, a_elements, a_spec)
    return dot_rows(a, Row(b_exponents, b_shifts, b_elements, b_spec), unit)


def dot_rows(a: Row, b: Row, unit: DotProductUnit) -> DotResult:
    """Return the dot product of two rows of one length; in block floating point it has no axes (spec 6.8)."""
    value, held, flags, trace = accumulated(a, b, unit)
    result, of_result, raised = single_result(value, unit)
    # A NaN block raises its flag here, where no stage before it is computed (spec 6.9).
    step = ResultStep(held, result, int(flags | raised if held is None else raised))
    return DotResult(result, of_result, int(flags | raised), [*trace, step])


def accumulated(a: Row, b: Row, unit: DotProductUnit) -> Accumulated:
    """Return the sum of two rows of one length; with a NaN block no stage computes (spec 6.9)."""
    order = _Order(unit)
    cut = list(groups(a, b, unit))
    if a.has_nan or b.has_nan:
        return Accumulated(NAN, None, Flags.INVALID, [])
    for run in _runs(cut, unit.splits):
        order.add_run(run)
    total = order.total()
    return Accumulated(total.value, register(total, unit.accumulator), order.flags, order.trace)


def matmul(a: EncodedTensor, b: EncodedTensor, unit: DotProductUnit) -> tuple[list[int], list[int]]:
    """Return the patterns and the flags of a product of matrices, each as a flat list in C order (spec 4.8, 6).

    The output is a float format; `encoded_matmul` is for block floating point.

    Parameters
    ----------
    a : EncodedTensor
        Of the shape (M, K), blocked along its last axis.
    b : EncodedTensor
        Of the shape (K, N), blocked along its first axis.
    unit : DotProductUnit

    Raises
    ------
    DataError
        ``operand-shape``, or ``operand-axis`` if an operand is not blocked along K.
    SpecError
        ``unit``, if the unit's groups do not fit the blocks (spec 6.3).
    """
    results = [dot_rows(row, column, unit) for row, column in _pairs(a, b)]
    return [result.pattern for result in results], [result.flags for result in results]


def encoded_matmul(a: EncodedTensor, b: EncodedTensor, unit: DotProductUnit) -> tuple[EncodedTensor, list[int]]:
    """Return a product of matrices in block floating point, and its flags (spec 6.8); otherwise as `matmul`.

    Raises
    ------
    DataError
        As `matmul`, and what encoding raises: ``axis``, ``nan``, ``infinity`` or ``exponent-overflow``.
    """
    sums = [accumulated(row, column, unit) for row, column in _pairs(a, b)]
    tensor, raised = encoded([found.value for found in sums], (a.shape[0], b.shape[1]), unit)
    return tensor, [int(found.flags | flags) for found, flags in zip(sums, raised, strict=True)]


def _pairs(a: EncodedTensor, b: EncodedTensor) -> list[tuple[Row, Row]]:
    """Return every row of `a` with every column of `b`."""
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[1] != b.shape[0]:
        raise DataError("operand-shape", f"factors must be (M, K) and (K, N) (spec 4.8), got {a.shape} and {b.shape}")
    left, right = matrix_rows(a, summed_axis=1), matrix_rows(b, summed_axis=0)
    return [(row, column) for row in left for column in right]


def matrix_rows(matrix: EncodedTensor, *, summed_axis: int) -> list[Row]:
    """Return the rows of a matrix along an axis: its rows for 1, its columns for 0.

    Raises
    ------
    DataError
        ``operand-axis``, if blocks run along another axis; one block for the whole matrix has none (spec 4.8).
    """
    spec, blocking = matrix.preset.format, matrix.blocking
    one_block = spec.block_size is None
    is_along = isinstance(spec.block_size, int) and matrix.axis is not None and matrix.axis % 2 == summed_axis
    if not one_block and not is_along:
        raise DataError(
            "operand-axis", f"a factor must be blocked along the axis that is summed (spec 4.8), got {matrix.axis}"
        )
    lines, elements = matrix.shape[1 - summed_axis], matrix.shape[summed_axis]
    shifts = spec.shifts_per_block
    rows = []
    for line in range(lines):
        indices = [(line, k) if summed_axis else (k, line) for k in range(elements)]
        # The one block of a whole matrix belongs to all of its rows.
        row = 0 if one_block else line
        blocks = [blocking.exponent_position(row, block) for block in range(blocking.blocks_per_row)]
        rows.append(
            Row(
                [matrix.exponent_codes[block] for block in blocks],
                [code for block in blocks for code in matrix.shift_codes[block * shifts : (block + 1) * shifts]],
                [matrix.element_codes[ravel(index, matrix.shape)] for index in indices],
                spec,
            )
        )
    return rows


def _runs(groups: list[Group], splits: int) -> list[list[Group]]:
    """Cut the groups into runs; a run without a group is left out (spec 6.7)."""
    length = max(-(-len(groups) // splits), 1)
    return [groups[first : first + length] for first in range(0, len(groups), length)]


@dataclass(slots=True)
class _Order:
    """The order of additions, and what it leaves behind (spec 6.7)."""

    unit: DotProductUnit
    runs: list[Addend] = field(default_factory=list)
    """What each run has come to."""
    flags: Flags = Flags.NONE
    trace: list[Step] = field(default_factory=list)

    def add_run(self, groups: Sequence[Group]) -> None:
        """Add the groups of a run in their lanes, and the lanes pairwise."""
        lanes: list[list[Addend]] = [[] for _ in range(min(self.unit.lanes, len(groups)))]
        for index, group in enumerate(groups):
            lane = index % self.unit.lanes
            self._add_group(group, lane, lanes[lane])
        self.runs.append(self._tree([self._tree(terms, "tree") for terms in lanes], "lanes"))

    def total(self) -> Addend:
        """Add the runs one after the other; without any the sum is empty (spec 6.7, 6.11)."""
        if not self.runs:
            return start(self.unit.accumulator)
        total, *others = self.runs
        for other in others:
            total = self._join(total, other, "runs")
        return total

    def _tree(self, terms: Sequence[Addend], level: str) -> Addend:
        """Add neighbours until one is left; an odd one moves up."""
        while len(terms) > 1:
            pairs = [terms[first : first + 2] for first in range(0, len(terms), 2)]
            terms = [self._join(pair[0], pair[1], level) if len(pair) == 2 else pair[0] for pair in pairs]
        return terms[0]

    def _add_group(self, group: Group, lane: int, terms: list[Addend]) -> None:
        """Convert a group, and add it to the one term of its lane, or append it to the leaves of its tree."""
        accumulator = self.unit.accumulator
        addend, flags = convert(group, accumulator)
        before = None
        added = Added(addend)
        if not self.unit.pairwise:
            before = terms.pop() if terms else start(accumulator)
            added = add(before, addend, accumulator)
        terms.append(added.total)
        flags |= group.flags | added.flags
        self.flags |= flags
        self.trace.append(
            GroupStep(
                group=group.number,
                run=len(self.runs),
                lane=lane,
                products=group.products,
                group_sum=group.total,
                exponent=group.exponent,
                converted=register(addend, accumulator),
                aligned=added.aligned,
                aligned_exponent=added.aligned_exponent,
                accumulator_before=None if before is None else register(before, accumulator),
                accumulator_after=register(added.total, accumulator),
                flags=int(flags),
            )
        )

    def _join(self, left: Addend, right: Addend, level: str) -> Addend:
        """Add two neighbours, lanes or runs."""
        accumulator = self.unit.accumulator
        added = add(left, right, accumulator)
        self.flags |= added.flags
        self.trace.append(
            JoinStep(
                level=level,
                left=register(left, accumulator),
                right=register(right, accumulator),
                aligned=added.aligned,
                aligned_exponent=added.aligned_exponent,
                accumulator_after=register(added.total, accumulator),
                flags=int(added.flags),
            )
        )
        return added.total
