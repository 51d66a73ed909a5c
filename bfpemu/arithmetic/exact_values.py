"""Tensors as arrays of exact numbers in the order of a result, and the encoding of those (spec 6.12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.encode import BlockEncoder, Call, Supplied
from bfpemu.codec.translate import kernel_stored
from bfpemu.formats import NanPolicy
from bfpemu.formats.preset import Preset
from bfpemu.kernels.elementwise import Operand, add_numbers, multiply_numbers, read_numbers
from bfpemu.kernels.encode import encode_number_blocks
from bfpemu.kernels.parameters import Geometry
from bfpemu.kernels.source import FINITE, NOT_A_NUMBER, Numbers, Sums
from bfpemu.sources import KINDS
from bfpemu.tensor import BFPTensor

Operation = Callable[..., tuple[Numbers, Sums]]
"""Takes the numbers of each operand, which it may use up."""


class Reader:
    """The exact values of one tensor, in the order of a result."""

    def __init__(self, tensor: BFPTensor, result: Blocking) -> None:
        own, codes = tensor._blocking, tensor._codes
        geometry = Geometry(own.row_length, own.block_elements, own.blocks_per_row)
        self.operand = Operand(*codes, kernel_stored(tensor.format), geometry)
        self.order = None if _row_axis(own) == _row_axis(result) is not None else _order(own, result)

    def read(self, numbers: npt.NDArray[np.int64], exists: npt.NDArray[np.bool_]) -> tuple[Numbers, Any]:
        """Return the values of elements of the result, and which of its elements are no padding."""
        places = np.where(exists, numbers if self.order is None else self.order[numbers], -1)
        found = _numbers(places.shape)
        read_numbers(self.operand, places, found)
        return found, places >= 0


def _row_axis(blocked: Blocking) -> int | None:
    """Return the axis that is moved to the end in row order; None for blocks over several axes."""
    if len(blocked.block_shape) > 1:
        return None
    return max(len(blocked.shape) - 1, 0) if blocked.axis is None else blocked.axis


def _order(own: Blocking, result: Blocking) -> npt.NDArray[np.int64]:
    """Return for every element of `result` its number in the row order of `own`; -1 for padding."""
    return result.to_rows(own.from_rows(np.arange(own.rows * own.row_length)), -1)


class Elementwise(BlockEncoder):
    """Results of one operation, block by block."""

    def __init__(
        self, operation: Operation, readers: list[Reader], blocked: Blocking, preset: Preset, given: Supplied
    ) -> None:
        super().__init__(KINDS["float32"], blocked, preset, given)
        self.operation, self.readers = operation, readers
        conversion = preset.conversion
        # Padding takes part in nothing: zeros, but where a zero would hide that all elements are NaN.
        self.filler = NOT_A_NUMBER if conversion.nan is NanPolicy.ZERO_UNLESS_ALL else FINITE
        self.has_chain = bool(conversion.source_chain)

    def run(self, numbers: npt.NDArray[np.int64], exists: npt.NDArray[np.bool_], call: Call) -> None:
        """Read the operands, compute, and encode the blocks of `call`."""
        found = [reader.read(numbers, exists) for reader in self.readers]
        values, sums = self.operation(*(values for values, _ in found))
        is_padding = ~found[0][1]
        values.kinds[is_padding] = self.filler
        values.negatives[is_padding] = False
        encode_number_blocks(values, no_sums(len(numbers)) if self.has_chain else sums, *call)


def _numbers(shape: tuple[int, ...]) -> Numbers:
    return Numbers(
        np.empty(shape, np.int64), np.empty(shape, np.bool_), np.empty(shape, np.uint64), np.empty(shape, np.int64)
    )


def no_sums(rows: int) -> Sums:
    """Return what goes with numbers of which none is a sum of more bits than it shows."""
    return Sums(np.empty((rows, 0), np.uint8), _numbers((rows, 0)), _numbers((rows, 0)))


def keep(a: Numbers) -> tuple[Numbers, Sums]:
    """Return the numbers themselves."""
    return a, no_sums(len(a.kinds))


def negate(a: Numbers) -> tuple[Numbers, Sums]:
    """Flip every sign, that of zeros too."""
    a.negatives[...] = ~a.negatives & (a.kinds != NOT_A_NUMBER)
    return keep(a)


def relu(a: Numbers) -> tuple[Numbers, Sums]:
    """Replace what is negative, zeros too, by +0."""
    a.kinds[a.negatives] = FINITE
    a.mantissas[a.negatives] = 0
    a.negatives[...] = False
    return keep(a)


def multiply(a: Numbers, b: Numbers) -> tuple[Numbers, Sums]:
    """Return the products."""
    multiply_numbers(a, b)
    return keep(a)


def add(a: Numbers, b: Numbers) -> tuple[Numbers, Sums]:
    """Return the sums, and what is lost of them."""
    out = _numbers(a.kinds.shape)
    sums = Sums(np.empty(a.kinds.shape, np.uint8), a, b)
    add_numbers(sums, out)
    return out, sums


def subtract(a: Numbers, b: Numbers) -> tuple[Numbers, Sums]:
    """Return the differences, and what is lost of them."""
    negate(b)
    return add(a, b)
