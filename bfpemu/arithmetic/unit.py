"""`DotProductUnit`: a datapath that multiplies tensors (spec 6)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from bfpemu import units as catalogue
from bfpemu.arithmetic import convolution, outputs, products
from bfpemu.arithmetic.products import Products
from bfpemu.catalog import resolve
from bfpemu.errors import DataError, DataTypeError, SpecError
from bfpemu.formats import BFPSpec, Preset, SourceSubnormals
from bfpemu.formats import unit as formats
from bfpemu.formats.text import read_description
from bfpemu.formats.unit_operands import check_operand_formats, is_same_format
from bfpemu.formats.unit_serialise import unit_from_dict
from bfpemu.reference.dot import dot_rows
from bfpemu.reference.group import Row
from bfpemu.reference.trace import Step
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]
Result: TypeAlias = AnyArray | BFPTensor
"""An array in the dtype of a float output, or the narrowest that holds it exactly; else a `BFPTensor`."""


class TracedDot(NamedTuple):
    """A dot product with everything on the way to it, from the reference model (spec 6.15)."""

    result: Result
    """What `dot` gives without a trace."""
    flags: int
    """The sum of the sticky flags of (spec 6.10)."""
    trace: list[Step]
    """Every stage of every group, as integers and bit patterns; the last is the result."""


class DotProductUnit(formats.DotProductUnit):
    """An emulated dot-product unit; its fields are those of the value object it extends (spec 6.1).

    `a_format`, `b_format` and `output` may be names of the catalogue, or anything else that names a format.

    Raises
    ------
    SpecError
        ``unit``, and ``unknown-format`` for a name.

    Examples
    --------
    >>> import numpy as np
    >>> unit = DotProductUnit(accumulator=formats.Accumulator(kind="float", format="fp24"))
    >>> a = BFPTensor(np.ones((2, 40), np.float32), "bfp8")
    >>> b = BFPTensor(np.ones((40, 3), np.float32), "bfp8", axis=0)
    >>> unit.matmul(a, b)[0].tolist()
    [40.0, 40.0, 40.0]
    >>> dataclasses.replace(unit, output="bfp8").matmul(a, b).mantissas[0].tolist()
    [80, 80, 80]
    """

    __slots__ = ()

    def _operand_format(self, name: str, value: Any) -> BFPSpec | None:
        return None if value is None else resolve(value).format

    def _output_format(self, value: Any) -> formats.FloatFormat | Preset:
        is_float = isinstance(value, str) and value in formats.FLOAT_FORMATS
        if value is None or is_float or isinstance(value, formats.FloatFormat):
            return super()._output_format(value)
        try:
            return resolve(value)
        except SpecError as error:
            names = ", ".join(formats.FLOAT_FORMATS)
            raise SpecError(
                error.code, f"output must be a FloatFormat, one of {names}, or a format of blocks (spec 6.8): {error}"
            ) from None

    @overload
    def dot(self, a: BFPTensor, b: BFPTensor, *, trace: Literal[False] = False) -> Result: ...

    @overload
    def dot(self, a: BFPTensor, b: BFPTensor, *, trace: Literal[True]) -> TracedDot: ...

    def dot(self, a: BFPTensor, b: BFPTensor, *, trace: bool = False) -> Result | TracedDot:
        """Return the dot product of two tensors of one axis; it has no axes.

        Parameters
        ----------
        a, b : BFPTensor, shape (K,)
        trace : bool
            Return a `TracedDot` with every stage. That comes from the reference model, so it is slow; its
            bits are those of `dot` without it.

        Raises
        ------
        DataTypeError, DataError, SpecError
            As `matmul`.

        Examples
        --------
        >>> a = BFPTensor([1.5, -2.0], (8, 2))
        >>> traced = DotProductUnit().dot(a, a, trace=True)
        >>> traced.trace[0].products, traced.trace[0].group_sum, hex(traced.trace[-1].result)
        ((2304, 4096), 6400, '0x40c80000')
        """
        self._check(a, b)
        result: Result
        if isinstance(self.output, Preset):
            result = outputs.encoded_results(products.dot_number(self, a, b)[0], self.output, self.output_axis)
        else:
            result = products.dot(self, a, b)
        if not trace:
            return result
        found = dot_rows(_row(a), _row(b), self)
        return TracedDot(result, found.flags, found.trace)

    def matmul(self, a: BFPTensor, b: BFPTensor, *, threads: int | None = None) -> Result:
        """Return the matrix product of `a` (..., M, K) and `b` (..., K, N), in the output format.

        Parameters
        ----------
        a, b : BFPTensor
            Blocked along the axis that is summed: the last of `a`, the last but one of `b`. Leading axes
            as in `numpy.matmul`.
        threads : int, optional
            Threads to share the work; no bit depends on it.

        Returns
        -------
        array or BFPTensor, shape (..., M, N)
            Rounded or encoded as the unit says.

        Raises
        ------
        DataTypeError
            ``operand-type``.
        DataError
            ``operand-format``, ``operand-shape`` or ``operand-axis``; for an output in block floating point
            also ``axis``, ``nan``, ``infinity`` and ``exponent-overflow``.
        SpecError
            ``unit``, if the formats of the operands do not fit the unit (spec 6.13).
        """
        self._check(a, b)
        return self._finished(self._computed(a, b, threads), threads)

    def matmul_with_flags(self, a: BFPTensor, b: BFPTensor, *, threads: int | None = None) -> Products:
        """Return a matrix product and the sticky flags of every result (spec 6.10); otherwise as `matmul`."""
        self._check(a, b)
        if not isinstance(self.output, Preset):
            return products.matmul_with_flags(self, a, b, threads=threads)
        numbers, flags = products.product_numbers(self, a, b, threads=threads)
        values = outputs.encoded_results(numbers, self.output, self.output_axis, threads=threads)
        return Products(values, flags | outputs.inexact_flags(numbers, values))

    def conv2d(
        self,
        x: BFPTensor,
        w: BFPTensor,
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        threads: int | None = None,
    ) -> Result:
        """Return the convolution of images with kernels, every result a dot product of this unit (spec 6.14).

        Parameters
        ----------
        x : BFPTensor, shape (images, channels, height, width)
        w : BFPTensor, shape (outputs, channels / groups, kernel height, kernel width)
            Both blocked along axis 1, the channels.
        stride, padding, dilation : int or pair of int
            Along the height and the width. Padding is zeros, on both sides.
        groups : int
            Groups of channels that do not see each other; each must be whole blocks of `x`.
        threads : int, optional
            Threads to share the work; no bit depends on it.

        Returns
        -------
        array or BFPTensor, shape (images, outputs, places along the height, places along the width)

        Raises
        ------
        DataTypeError, DataError, SpecError
            As `matmul`, and ``convolution``.

        Examples
        --------
        >>> import numpy as np
        >>> x = BFPTensor(np.ones((1, 3, 4, 4), np.float32), "bfp8", axis=1)
        >>> w = BFPTensor(np.ones((2, 3, 3, 3), np.float32), "bfp8", axis=1)
        >>> DotProductUnit().conv2d(x, w, padding=1)[0, 0, 0].tolist()
        [12.0, 18.0, 18.0, 12.0]
        """
        self._check(x, w)
        geometry = convolution.checked(x, w, stride, padding, dilation, groups)
        images, outs, height, width = geometry.shape
        results = np.empty(0)
        for number, part in enumerate(geometry.factors()):
            found = self._computed(part.a, part.b, threads)
            if number == 0:  # whose dtype, and axis of numbers, is that of all
                results = np.empty((images, height, width, outs, *found.shape[2:]), found.dtype)
            count = part.images.stop - part.images.start
            results[part.images, :, :, part.outputs] = found.reshape(count, height, width, *found.shape[1:])
        return self._finished(np.ascontiguousarray(np.moveaxis(results, 3, 1)), threads)

    def _check(self, a: Any, b: Any) -> None:
        """Refuse what is no tensor, has another format than the unit, or does not fit it (spec 6.13)."""
        for name, tensor, format in (("first", a, self.a_format), ("second", b, self.b_format)):
            if not isinstance(tensor, BFPTensor):
                raise DataTypeError(
                    "operand-type",
                    f"the {name} operand must be a BFPTensor (spec 6.13), got {type(tensor).__name__}; "
                    "BFPTensor(data, format) makes one",
                )
            if format is not None and not is_same_format(format, tensor.format):
                raise DataError(
                    "operand-format",
                    f"the {name} operand must have the format {format.name!r} of the unit (spec 6.13), "
                    f"got {tensor.format.name!r}; convert it with bfpemu.requantize",
                )
        check_operand_formats(self, a.format, b.format)

    def _computed(self, a: BFPTensor, b: BFPTensor, threads: int | None) -> AnyArray:
        """Return a matrix product as floats, or as (state, integer, exponent) where no float holds the sums."""
        carrier = self._as_floats()
        if carrier is None:
            return products.product_numbers(self, a, b, threads=threads)[0]
        return products.matmul(carrier, a, b, threads=threads)

    def _finished(self, computed: AnyArray, threads: int | None) -> Result:
        """Return what `_computed` gave in the output format."""
        if not isinstance(self.output, Preset):
            return computed
        if self._as_floats() is not None:
            return BFPTensor(computed.astype(np.float32), self.output, axis=self.output_axis, threads=threads)
        return outputs.encoded_results(computed, self.output, self.output_axis, threads=threads)

    def _as_floats(self) -> formats.DotProductUnit | None:
        """Return a unit whose float results are the sums to round or encode, or None without such.

        A float accumulator's sums are floats already, so that encoding them is the one rounding of 6.8. But a
        leaf of a tree that was not converted has not been rounded (spec 6.7).
        """
        if not isinstance(self.output, Preset):
            return self
        accumulator = self.accumulator
        is_converted = accumulator.kind is formats.AccumulatorKind.FLOAT and not accumulator.fused
        if accumulator.format is None or (self.pairwise and not is_converted):
            return None
        fits = accumulator.format.exponent_bits <= 8 and accumulator.format.fraction_bits <= 23
        if not fits or self.output.conversion.source_subnormals is not SourceSubnormals.EXACT:
            return None
        return dataclasses.replace(self, output=accumulator.format, output_axis=-1)


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


def load_unit(path: str | Path) -> DotProductUnit:
    """Read a unit from a TOML or JSON file with all or some of its fields (spec 6.1).

    Parameters
    ----------
    path : path
        A file whose name ends in ``.toml`` or ``.json``.

    Raises
    ------
    BfpFileError
        ``input-missing``, if the file cannot be read.
    SpecError
        ``format-file`` for text that is not TOML or JSON, ``unknown-key``, or the code of the field at fault.
    """
    return unit_from_dict(read_description(path, "unit file"), DotProductUnit)


def _row(tensor: BFPTensor) -> Row:
    codes = (tensor.exponent_codes, tensor.shift_codes, tensor.element_codes)
    exponents, shifts, elements = ([int(code) for code in array.reshape(-1)] for array in codes)
    return Row(exponents, shifts, elements, tensor.format)
