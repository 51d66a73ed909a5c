"""`DotProductUnit`: a datapath that multiplies tensors (spec 6)."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy.typing as npt

from bfpemu import units as catalogue
from bfpemu.arithmetic import products
from bfpemu.arithmetic.products import Products
from bfpemu.formats import unit as formats
from bfpemu.reference.dot import dot_rows
from bfpemu.reference.group import Row
from bfpemu.reference.trace import Step
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]


class TracedDot(NamedTuple):
    """A dot product with everything on the way to it, from the reference model (spec 6.3 to 6.10)."""

    pattern: int
    """Bits of the result in the unit's output format."""
    flags: int
    trace: list[Step]
    """Every stage of every group, as integers and bit patterns."""


class DotProductUnit(formats.DotProductUnit):
    """An emulated dot-product unit; its fields are those of the value object it extends (spec 6.1).

    Examples
    --------
    >>> import numpy as np
    >>> unit = DotProductUnit(accumulator=formats.Accumulator(kind="float", format="fp24"))
    >>> a = BFPTensor(np.ones((2, 40), np.float32), "bfp8")
    >>> b = BFPTensor(np.ones((40, 3), np.float32), "bfp8", axis=0)
    >>> unit.matmul(a, b)[0].tolist()
    [40.0, 40.0, 40.0]
    """

    __slots__ = ()

    def dot(self, a: BFPTensor, b: BFPTensor) -> AnyArray:
        """Return the dot product of two tensors of one axis, in the output format; errors as `matmul`."""
        return products.dot(self, a, b)

    def traced_dot(self, a: BFPTensor, b: BFPTensor) -> TracedDot:
        """Return a dot product with the trace of every stage; errors as `matmul`.

        It comes from the reference model, so it is slow and exact; its bits are those of `dot`.
        """
        products.dot_number(self, a, b)  # refuses what cannot be multiplied
        found = dot_rows(_row(a), _row(b), self)
        return TracedDot(found.pattern, found.flags, found.trace)

    def matmul(self, a: BFPTensor, b: BFPTensor, *, threads: int | None = None) -> AnyArray:
        """Return the matrix product of `a` (..., M, K) and `b` (..., K, N), in the output format.

        Parameters
        ----------
        a, b : BFPTensor
            Blocked along the axis that is summed: the last of `a`, the last but one of `b`.
        threads : int, optional
            Threads to share the work; no bit depends on it.

        Raises
        ------
        DataError
            ``operand-shape`` or ``operand-axis``.
        SpecError
            ``unit``, if the groups do not fit the blocks.
        """
        return products.matmul(self, a, b, threads=threads)

    def matmul_with_flags(self, a: BFPTensor, b: BFPTensor, *, threads: int | None = None) -> Products:
        """Return a matrix product and the sticky flags of every result (spec 6.10); otherwise as `matmul`."""
        return products.matmul_with_flags(self, a, b, threads=threads)


def unit(name: str) -> DotProductUnit:
    """Return a named unit (spec 6.1).

    Raises
    ------
    SpecError
        ``unknown-unit``, with a suggestion.

    Examples
    --------
    >>> unit("fp32_sequential").accumulator.format.fraction_bits
    23
    """
    found = catalogue.unit(name)
    return DotProductUnit(**{field.name: getattr(found, field.name) for field in dataclasses.fields(found)})


def _row(tensor: BFPTensor) -> Row:
    codes = (tensor.exponent_codes, tensor.shift_codes, tensor.element_codes)
    exponents, shifts, elements = ([int(code) for code in array.reshape(-1)] for array in codes)
    return Row(exponents, shifts, elements, tensor.format)
