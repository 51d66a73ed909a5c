"""Tensors added, multiplied, negated, clipped and converted, element by element (spec 6.12).

Values are exact from the codes of the operands to the one encoding of the result: no float
takes part. Operands may differ in format, axis and blocks; each is read in the order of the result.
"""

from __future__ import annotations

from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu import supplied
from bfpemu.arithmetic import exact_values
from bfpemu.arithmetic.exact_values import Elementwise, Operation, Reader
from bfpemu.blocking import blocking
from bfpemu.catalog import FormatLike, resolve
from bfpemu.codec.codes import empty_codes
from bfpemu.errors import DataError, DataTypeError
from bfpemu.formats import Conversion, Preset
from bfpemu.tensor import BFPTensor
from bfpemu.threads import thread_count

Axis = int | EllipsisType | None


class _Options(NamedTuple):
    """What every function takes beside its operands."""

    format: FormatLike | None
    axis: Axis
    conversion: Conversion | None = None
    exponents: npt.ArrayLike | None = None
    random_words: npt.ArrayLike | None = None
    threads: int | None = None


def add(
    a: BFPTensor,
    b: BFPTensor,
    format: FormatLike | None = None,
    axis: Axis = ...,
    *,
    conversion: Conversion | None = None,
    exponents: npt.ArrayLike | None = None,
    random_words: npt.ArrayLike | None = None,
    threads: int | None = None,
) -> BFPTensor:
    """Return ``a + b``, exact and then encoded once (spec 6.12).

    Parameters
    ----------
    a, b : BFPTensor
        Of the same shape; formats, axes and blocks may differ.
    format : str, tuple, BFPSpec or Preset, optional
        Of the result; that of `a`, with its conversion, unless given.
    axis : int or None, optional
        The axis that blocks of the result run along; that of `a` unless given. None flattens.
    conversion : Conversion, optional
        Replaces the one of the format.
    exponents, random_words, threads
        As for `BFPTensor`.

    Returns
    -------
    BFPTensor
        With the dtype of `a` for `dequantize`.

    Raises
    ------
    DataTypeError
        ``operand-type``, if an operand is no `BFPTensor`.
    DataError
        ``operand-shape``, and what encoding raises: ``axis``, ``nan``, ``infinity``,
        ``exponent-overflow``, ``exponent-given``, ``random-words`` or ``threads``.
    SpecError
        For the format: ``unknown-format`` and the codes of its fields.

    Examples
    --------
    >>> a, b = BFPTensor([1.0, 0.5], "bfp8"), BFPTensor([100.0, 0.25], "bfp4")
    >>> b.dequantize().tolist()
    [96.0, 0.0]
    >>> add(a, b).dequantize().tolist()
    [97.0, 0.0]
    >>> add(a, b, "bfp16").dequantize().tolist()
    [97.0, 0.5]
    """
    return _computed(exact_values.add, [a, b], _Options(format, axis, conversion, exponents, random_words, threads))


def subtract(
    a: BFPTensor,
    b: BFPTensor,
    format: FormatLike | None = None,
    axis: Axis = ...,
    *,
    conversion: Conversion | None = None,
    exponents: npt.ArrayLike | None = None,
    random_words: npt.ArrayLike | None = None,
    threads: int | None = None,
) -> BFPTensor:
    """Return ``a - b``, exact and then encoded once; parameters and errors as for `add` (spec 6.12).

    Examples
    --------
    >>> a = BFPTensor([3.0, 0.1], "bfp16")
    >>> subtract(a, requantize(a, "bfp4")).dequantize().tolist()
    [0.0, 0.0999755859375]
    """
    return _computed(
        exact_values.subtract, [a, b], _Options(format, axis, conversion, exponents, random_words, threads)
    )


def multiply(
    a: BFPTensor,
    b: BFPTensor,
    format: FormatLike | None = None,
    axis: Axis = ...,
    *,
    conversion: Conversion | None = None,
    exponents: npt.ArrayLike | None = None,
    random_words: npt.ArrayLike | None = None,
    threads: int | None = None,
) -> BFPTensor:
    """Return ``a * b``, exact and then encoded once; parameters and errors as for `add` (spec 6.12).

    Examples
    --------
    >>> a = BFPTensor([1.5, -2.0], "bfp8")
    >>> multiply(a, a).dequantize().tolist()
    [2.25, 4.0]
    """
    return _computed(
        exact_values.multiply, [a, b], _Options(format, axis, conversion, exponents, random_words, threads)
    )


def negate(
    a: BFPTensor,
    format: FormatLike | None = None,
    axis: Axis = ...,
    *,
    conversion: Conversion | None = None,
    exponents: npt.ArrayLike | None = None,
    random_words: npt.ArrayLike | None = None,
    threads: int | None = None,
) -> BFPTensor:
    """Return ``-a``, encoded once; parameters and errors as for `add` (spec 6.12).

    Examples
    --------
    A significand of -128 has no counterpart in 8 bits, so its block takes the next exponent:

    >>> a = BFPTensor.from_codes([127], [0x80, 1], "bfp8")
    >>> negate(a).mantissas.tolist(), negate(a).exponents.tolist()
    ([64, 0], [1])
    """
    return _computed(exact_values.negate, [a], _Options(format, axis, conversion, exponents, random_words, threads))


def relu(
    a: BFPTensor,
    format: FormatLike | None = None,
    axis: Axis = ...,
    *,
    conversion: Conversion | None = None,
    exponents: npt.ArrayLike | None = None,
    random_words: npt.ArrayLike | None = None,
    threads: int | None = None,
) -> BFPTensor:
    """Return `a` with +0 for all that is negative, encoded once; parameters and errors as for `add` (spec 6.12).

    Examples
    --------
    >>> relu(BFPTensor([1.0, -2.0], "bfp8")).dequantize().tolist()
    [1.0, 0.0]
    """
    return _computed(exact_values.relu, [a], _Options(format, axis, conversion, exponents, random_words, threads))


def requantize(
    a: BFPTensor,
    format: FormatLike | None = None,
    axis: Axis = ...,
    *,
    conversion: Conversion | None = None,
    exponents: npt.ArrayLike | None = None,
    random_words: npt.ArrayLike | None = None,
    threads: int | None = None,
) -> BFPTensor:
    """Return the values of `a` in another format or along another axis; the rest is as for `add` (spec 6.12).

    Examples
    --------
    >>> requantize(BFPTensor([1.0, 0.3], "bfp16"), "bfp4").dequantize().tolist()
    [1.0, 0.25]
    """
    return _computed(exact_values.keep, [a], _Options(format, axis, conversion, exponents, random_words, threads))


def refused_blocks(
    operation: Operation,
    tensors: list[BFPTensor],
    preset: Preset,
    *,
    exponents: npt.ArrayLike | None = None,
    random_words: npt.ArrayLike | None = None,
) -> npt.NDArray[np.bool_]:
    """Return which blocks of results the conversion refuses (spec 3.3, 3.6); parameters are those of `requantize`."""
    blocked = blocking(preset.format, tensors[0].shape, -1)
    given = supplied.checked(preset, blocked, exponents, random_words)
    encoder = Elementwise(operation, [Reader(tensor, blocked) for tensor in tensors], blocked, preset, given)
    return encoder.refused(np.arange(blocked.blocks), empty_codes(preset.format, blocked))


def _computed(operation: Operation, tensors: list[Any], options: _Options) -> BFPTensor:
    for tensor in tensors:
        if not isinstance(tensor, BFPTensor):
            kind = type(tensor).__name__
            raise DataTypeError(
                "operand-type",
                f"operands must be BFPTensors (spec 6.12), got {kind}; BFPTensor(data, format) makes one",
            )
    first = tensors[0]
    for tensor in tensors[1:]:
        if tensor.shape != first.shape:
            raise DataError(
                "operand-shape", f"operands must have one shape (spec 6.12), got {first.shape} and {tensor.shape}"
            )
    workers = thread_count(options.threads)
    preset = resolve(first.preset if options.format is None else options.format, options.conversion)
    axis = first.axis if isinstance(options.axis, EllipsisType) else options.axis
    blocked = blocking(preset.format, first.shape, axis)
    given = supplied.checked(preset, blocked, options.exponents, options.random_words)
    codes = empty_codes(preset.format, blocked)
    if blocked.blocks:
        encoder = Elementwise(operation, [Reader(tensor, blocked) for tensor in tensors], blocked, preset, given)
        encoder.encode(np.arange(blocked.blocks), codes, workers)
    return BFPTensor._assembled(preset, blocked, codes, first.dtype)
