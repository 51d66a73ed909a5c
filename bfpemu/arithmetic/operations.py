"""Products of tensors through any unit, as functions (spec 6)."""

from __future__ import annotations

from typing import Literal, TypeAlias, overload

from bfpemu.arithmetic.unit import DotProductUnit, Result, TracedDot
from bfpemu.arithmetic.unit import unit as named_unit
from bfpemu.errors import SpecError
from bfpemu.tensor import BFPTensor

UnitLike: TypeAlias = str | DotProductUnit
"""A unit, or the name of one."""


@overload
def dot(a: BFPTensor, b: BFPTensor, unit: UnitLike = "exact", *, trace: Literal[False] = False) -> Result: ...


@overload
def dot(a: BFPTensor, b: BFPTensor, unit: UnitLike = "exact", *, trace: Literal[True]) -> TracedDot: ...


def dot(a: BFPTensor, b: BFPTensor, unit: UnitLike = "exact", *, trace: bool = False) -> Result | TracedDot:
    """Return a dot product as a unit computes it; the unit `exact` rounds once, to float32.

    Parameters
    ----------
    a, b : BFPTensor, shape (K,)
    unit : str or DotProductUnit
    trace : bool
        Return a `TracedDot` with every stage.

    Raises
    ------
    DataTypeError, DataError, SpecError
        As `DotProductUnit.matmul`, and ``unknown-unit``.

    Examples
    --------
    >>> a = BFPTensor([1.5, -2.0, 0.25], "bfp8")
    >>> float(dot(a, a)), dot(a, a, trace=True).flags
    (6.3125, 0)
    """
    found = _unit(unit)
    return found.dot(a, b, trace=True) if trace else found.dot(a, b)


def matmul(a: BFPTensor, b: BFPTensor, unit: UnitLike = "exact", *, threads: int | None = None) -> Result:
    """Return a matrix product as a unit computes it; as `DotProductUnit.matmul`.

    Examples
    --------
    >>> import numpy as np
    >>> a = BFPTensor(np.eye(3, dtype=np.float32), "bfp8")
    >>> b = BFPTensor(np.arange(6, dtype=np.float32).reshape(3, 2), "bfp8", axis=0)
    >>> matmul(a, b).tolist()
    [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    """
    return _unit(unit).matmul(a, b, threads=threads)


def conv2d(
    x: BFPTensor,
    w: BFPTensor,
    unit: UnitLike = "exact",
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    threads: int | None = None,
) -> Result:
    """Return the convolution of images with kernels as a unit computes it; as `DotProductUnit.conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> x = BFPTensor(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3), "bfp8", axis=1)
    >>> w = BFPTensor(np.ones((1, 1, 2, 2), np.float32), "bfp8", axis=1)
    >>> conv2d(x, w)[0, 0].tolist()
    [[8.0, 12.0], [20.0, 24.0]]
    """
    return _unit(unit).conv2d(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups, threads=threads)


def _unit(unit: UnitLike) -> DotProductUnit:
    if isinstance(unit, DotProductUnit):
        return unit
    if isinstance(unit, str):
        return named_unit(unit)
    raise SpecError("unit", f"unit must be a DotProductUnit or a name (spec 6.1), got {unit!r}")
