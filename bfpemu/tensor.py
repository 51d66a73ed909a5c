"""`BFPTensor`: a tensor of codes, and everything that they mean (spec 1 to 5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu import supplied
from bfpemu.blocking import Blocking, blocking
from bfpemu.catalog import FormatLike, resolve
from bfpemu.codec import Codes, decode_array, encode_array
from bfpemu.codec.codes import code_dtype, read_only, significands
from bfpemu.context import require_numpy
from bfpemu.formats import BFPSpec, Conversion, Layout
from bfpemu.formats.preset import Preset
from bfpemu.packing import Planes, pack, pack_planes, unpack, unpack_planes
from bfpemu.sources import as_array, result_dtype, source_kind
from bfpemu.statistics import Statistics, statistics_of

AnyArray = npt.NDArray[Any]


class BFPTensor:
    """A tensor in block floating point: codes, and everything that they mean (spec 1.8).

    Parameters
    ----------
    data : array_like
        float64, float32, float16, bfloat16 or an integer dtype, of any shape and strides. A list
        becomes what NumPy makes of it first: ``[2**63 + 1, -1]`` is float64, and rounded.
    format : str, tuple, BFPSpec or Preset
        A name in any case, ``(mantissa_bits, block_size)``, ``(mantissa_bits, block_size,
        exponent_bits)``, or an object.
    backend : str, optional
        ``"numpy"`` or ``"auto"``; None is this context's default.
    axis : int or None
        The axis that blocks run along, the last by default; None flattens (spec 4.3).
    conversion : Conversion, optional
        Replaces the preset's own.
    rounding : str, optional
        Replaces the rounding of the conversion, ``"ties_up"`` for one (spec 3.7).
    exponents : array of int, optional
        For the rule ``given``: exponents that broadcast to the shape of `exponents`.
    random_words : array of unsigned int, optional
        For ``stochastic`` rounding: one word for each element.
    threads : int, optional
        Threads to share the work, one for each core by default; no bit depends on it.

    Raises
    ------
    SpecError
        For the format: ``unknown-format`` and the codes of its fields.
    DataTypeError
        ``data-type``.
    DataError
        ``axis``, ``nan``, ``infinity``, ``exponent-overflow``, ``exponent-given``, ``random-words``,
        ``backend`` or ``threads``.

    Examples
    --------
    >>> import numpy as np
    >>> tensor = BFPTensor(np.array([1.0, -1.5, 1.9, 0.01], np.float32), "bfp8")
    >>> tensor.mantissas.tolist(), tensor.exponents.tolist()
    ([64, -96, 122, 1], [1])
    >>> tensor.dequantize().tolist()
    [1.0, -1.5, 1.90625, 0.015625]
    """

    __slots__ = ("_blocking", "_codes", "_dtype", "_preset")

    _preset: Preset
    _blocking: Blocking
    _codes: Codes
    _dtype: np.dtype[Any]

    def __init__(
        self,
        data: npt.ArrayLike,
        format: FormatLike = "bfp8",
        backend: str | None = None,
        axis: int | None = -1,
        *,
        conversion: Conversion | None = None,
        rounding: str | None = None,
        exponents: npt.ArrayLike | None = None,
        random_words: npt.ArrayLike | None = None,
        threads: int | None = None,
    ) -> None:
        require_numpy(backend, data)
        array = as_array(data)
        kind = source_kind(array.dtype)
        self._preset = resolve(format, conversion, rounding)
        self._blocking = blocking(self._preset.format, array.shape, axis)
        self._dtype = kind.result
        given = supplied.checked(self._preset, self._blocking, exponents, random_words)
        filler = supplied.padding(self._preset.conversion, kind)
        self._codes = encode_array(array, kind, self._blocking, self._preset, given, filler=filler, threads=threads)

    @classmethod
    def _assembled(cls, preset: Preset, blocked: Blocking, codes: Codes, dtype: npt.DTypeLike) -> BFPTensor:
        tensor = cls.__new__(cls)
        tensor._preset, tensor._blocking, tensor._codes = preset, blocked, codes
        tensor._dtype = result_dtype(dtype)
        return tensor

    @classmethod
    def from_codes(
        cls,
        exponent_codes: npt.ArrayLike,
        element_codes: npt.ArrayLike,
        format: FormatLike,
        axis: int | None = -1,
        *,
        shift_codes: npt.ArrayLike | None = None,
        dtype: npt.DTypeLike = "float32",
    ) -> BFPTensor:
        """Return a tensor of given codes, in the shapes of spec 4.7.

        Parameters
        ----------
        exponent_codes, element_codes, shift_codes : array of unsigned int
            `element_codes` has the tensor's shape; `shift_codes` only in a two-level format.
        format, axis
            As for the tensor itself.
        dtype : dtype
            What `dequantize` gives by default.

        Raises
        ------
        DataError
            ``codes-shape`` or ``codes-value``.

        Examples
        --------
        >>> BFPTensor.from_codes([128], [64, 160], "bfp8").dequantize().tolist()
        [1.0, -1.5]
        """
        preset = resolve(format)
        spec = preset.format
        elements = as_array(element_codes)
        blocked = blocking(spec, elements.shape, axis)
        shifts_shape = (*blocked.exponents_shape, spec.shifts_per_block)
        if shift_codes is None:
            shift_codes = np.zeros(shifts_shape, np.uint8) if spec.sub_block_size is None else np.zeros(0, np.uint8)
        shifts = supplied.checked_codes("shift_codes", shift_codes, shifts_shape, spec.sub_shift_bits)
        exponents = supplied.checked_codes(
            "exponent_codes", exponent_codes, blocked.exponents_shape, spec.exponent_bits
        )
        elements = supplied.checked_codes("element_codes", elements, elements.shape, spec.mantissa_bits)
        per_block = [blocked.blocks_to_rows(shifts[..., i]) for i in range(spec.shifts_per_block)]
        codes = Codes(
            blocked.blocks_to_rows(exponents).astype(code_dtype(spec.exponent_bits), copy=False),
            np.stack(per_block, -1).astype(np.uint8) if per_block else np.zeros((blocked.blocks, 0), np.uint8),
            blocked.to_rows(elements).astype(code_dtype(spec.mantissa_bits), copy=False),
        )
        return cls._assembled(preset, blocked, codes, dtype)

    @classmethod
    def from_bytes(
        cls,
        data: bytes | bytearray | memoryview | npt.NDArray[np.uint8],
        shape: tuple[int, ...],
        format: FormatLike,
        axis: int | None = -1,
        *,
        layout: str | Layout | None = None,
        dtype: npt.DTypeLike = "float32",
    ) -> BFPTensor:
        """Return the tensor that was packed by `to_bytes` (spec 5).

        `layout` is what `to_bytes` was given. Padding is not looked at (spec 5.6).

        Raises
        ------
        DataError
            ``packed-size``, if `data` has not exactly the length that the geometry gives;
            ``codes-shape``, if `shape` is none.
        DataTypeError
            ``data-type``, if `data` has no bytes.
        """
        preset = resolve(format)
        blocked = blocking(preset.format, shape, axis)
        codes = unpack(supplied.checked_bytes(data), blocked, preset.format, supplied.checked_layout(layout, preset))
        return cls._assembled(preset, blocked, codes, dtype)

    @classmethod
    def from_planes(
        cls, planes: Planes, shape: tuple[int, ...], format: FormatLike, axis: int | None, dtype: npt.DTypeLike
    ) -> BFPTensor:
        """Return the tensor that was packed by `to_planes` (spec 7.4); errors as `from_bytes`."""
        preset = resolve(format)
        blocked = blocking(preset.format, shape, axis)
        return cls._assembled(preset, blocked, unpack_planes(planes, blocked, preset.format), dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the numbers."""
        return self._blocking.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the numbers that `dequantize` gives by default (spec 2.10)."""
        return self._dtype

    @property
    def format(self) -> BFPSpec:
        """Which numbers there are, and which code stands for which."""
        return self._preset.format

    @property
    def preset(self) -> Preset:
        """Format, conversion and layout."""
        return self._preset

    @property
    def axis(self) -> int | None:
        """The last blocked axis, counted from the front; None when the tensor is flattened."""
        return self._blocking.axis

    @property
    def exponent_codes(self) -> AnyArray:
        """Stored exponent fields, unsigned, in the shape of spec 4.7; read-only, like all codes."""
        return read_only(self._blocking.blocks_from_rows(self._codes.exponents))

    @property
    def shift_codes(self) -> AnyArray:
        """Stored shift fields, uint8; the last axis is empty in a one-level format (spec 4.7)."""
        return read_only(self._blocking.blocks_from_rows(self._codes.shifts))

    @property
    def element_codes(self) -> AnyArray:
        """Stored element fields, unsigned, in the tensor's shape."""
        return read_only(self._blocking.from_rows(self._codes.elements))

    @property
    def row_codes(self) -> Codes:
        """All codes in the order of rows and blocks (spec 4.3): the blocked axis is the innermost; read-only."""
        return Codes(*(read_only(codes) for codes in self._codes))

    @property
    def exponents(self) -> npt.NDArray[np.int32]:
        """Exponents, ``exponent_codes - exponent_bias``, int32; reserved codes are converted alike."""
        return self.exponent_codes.astype(np.int32) - np.int32(self.format.exponent_bias)

    @property
    def mantissas(self) -> AnyArray:
        """Significands in the tensor's shape, in the narrowest signed dtype that holds them (spec 1.5)."""
        return significands(self.element_codes, self.format)

    def dequantize(self, dtype: npt.DTypeLike | None = None, *, threads: int | None = None) -> AnyArray:
        """Return the numbers that the codes stand for, rounded once, ties to even (spec 2.10).

        Parameters
        ----------
        dtype : float64, float32, float16 or bfloat16, optional
            The tensor's own unless given. The result is exact whenever a value fits.
        threads : int, optional
            Threads to share the work; no bit depends on it.

        Raises
        ------
        DataTypeError
            ``data-type``.
        """
        wanted = self._dtype if dtype is None else result_dtype(dtype)
        return decode_array(self._codes, self._blocking, self.format, wanted, threads=threads)

    def to_bytes(self, layout: str | Layout | None = None) -> bytes:
        """Return the packed bits (spec 5).

        Parameters
        ----------
        layout : str or Layout, optional
            A name of spec 5.5, such as ``"planar"`` or ``"tt_tile_32x32"``, or an object; the
            preset's own unless given.

        Raises
        ------
        SpecError
            ``layout``, for an unknown name, or if the layout does not fit format or axis.

        Examples
        --------
        >>> import numpy as np
        >>> BFPTensor(np.ones(32, np.float32), "bfp8").to_bytes().hex()[:8]
        '80404040'
        >>> len(BFPTensor(np.ones((32, 32), np.float32), (8, 16)).to_bytes("tt_tile_32x32"))
        1088
        """
        return pack(self._codes, self._blocking, self.format, supplied.checked_layout(layout, self._preset)).tobytes()

    def to_planes(self) -> Planes:
        """Return the three planes of a `.bfp` file, as uint8 arrays (spec 7.4)."""
        return pack_planes(self._codes, self._blocking, self.format)

    def statistics(self) -> Statistics:
        """Return size and compression as plain Python numbers, from the length of `to_bytes()`.

        That is the preset's own layout, with all its padding.

        Raises
        ------
        SpecError
            ``layout``, if that layout does not fit the axis.
        """
        return statistics_of(self._preset, self._blocking)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> AnyArray:
        """Return `dequantize`, for NumPy; a ValueError is NumPy's rule for ``copy=False``."""
        if copy is False:
            raise ValueError("a BFPTensor keeps codes, so that its numbers are always new; leave out copy=False")
        return self.dequantize(dtype)

    def __repr__(self) -> str:
        return f"BFPTensor(shape={self.shape}, format={self.format.name!r}, axis={self.axis}, dtype={self.dtype.name})"
