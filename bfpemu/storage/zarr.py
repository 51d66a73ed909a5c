"""A Zarr v3 codec: every chunk is a tensor of its own, in the planar layout (spec 15.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin
from zarr.abc.store import RangeByteRequest
from zarr.registry import register_codec

from bfpemu.blocking import blocking
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import BfpFormatError, DataError, DataTypeError, SpecError
from bfpemu.formats import ExponentRule, Rounding
from bfpemu.formats.preset import Preset
from bfpemu.packing import Planes
from bfpemu.sources import FLOATS
from bfpemu.storage.described import describe
from bfpemu.storage.described_tensor import VERSION, DescribedTensor, spec_preset
from bfpemu.storage.packed import Bytes, decoded, encoded
from bfpemu.storage.slices import Order, Span, order_of, span

if TYPE_CHECKING:
    from zarr.abc.store import ByteGetter
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer
    from zarr.core.common import JSON

NAME = "bfpemu.bfp"
"""The codec's name in `zarr.json`."""

_KEYS = {"axis", "spec", "version"}


@dataclass(frozen=True, init=False)
class BfpCodec(ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin):
    """Encode the chunks of a Zarr array in a format; the array-to-bytes codec ``bfpemu.bfp`` (spec 15.6).

    Installed with the package, so that Zarr finds it by its name, in workers too.

    Parameters
    ----------
    format : str, tuple, BFPSpec or Preset
        As for `bfpemu.BFPTensor`. A format with one block for a whole tensor is refused: it would
        have one for each chunk.
    axis : int
        The axis that blocks run along, the last by default. Along it a chunk holds whole blocks,
        or all of the array.

    Raises
    ------
    SpecError
        The codes of the format; ``parts-conflict``, if its conversion needs more than the numbers.
    DataError
        ``chunks``, when an array is made whose chunks do not hold whole blocks; ``axis``.
    DataTypeError
        ``data-type``, when an array is made that does not hold floats.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(8, 64), chunks=(4, 64), dtype="float32", serializer=BfpCodec("bfp8"))
    >>> array[...] = 0.3
    >>> print(array[5, 2])
    0.30078125
    """

    is_fixed_size = True

    preset: Preset
    axis: int

    def __init__(self, format: FormatLike = "bfp8", axis: int = -1) -> None:
        preset = resolve(format)
        conversion = preset.conversion
        if preset.format.block_size is None:
            raise SpecError(
                "block-size",
                f"{preset.name!r} must have blocks that lie in one chunk (spec 15.6), got one for a tensor",
            )
        if conversion.exponent_rule is ExponentRule.GIVEN or conversion.rounding is Rounding.STOCHASTIC:
            raise SpecError(
                "parts-conflict",
                "a codec must need nothing beside the numbers (spec 15.6), got the rule "
                f"{str(conversion.exponent_rule)!r} and the rounding {str(conversion.rounding)!r}",
            )
        if type(axis) is not int:
            raise DataError("axis", f"axis must be an integer for chunks (spec 15.6), got {axis!r}")
        object.__setattr__(self, "preset", preset)
        object.__setattr__(self, "axis", axis)

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """Return the codec that `zarr.json` describes; BfpFormatError ``bfp-header`` or ``bfp-version``."""
        found: Any = data.get("configuration")
        where = f"codec {NAME!r}"
        if not isinstance(found, dict) or found.keys() != _KEYS:
            raise BfpFormatError("bfp-header", f"{where}: must have exactly the keys {sorted(_KEYS)} (spec 15.6)")
        if type(found["version"]) is not int or found["version"] != VERSION:
            raise BfpFormatError("bfp-version", f"{where}: version must be {VERSION}, got {found['version']!r}")
        if type(found["axis"]) is not int:
            raise BfpFormatError("bfp-header", f"{where}: axis must be an integer (spec 15.6), got {found['axis']!r}")
        try:
            return cls(spec_preset(where, found["spec"]), found["axis"])
        except SpecError as error:
            raise BfpFormatError("bfp-header", f"{where}: {error}") from error

    def to_dict(self) -> dict[str, JSON]:
        """Return the name and everything that decoding needs, for `zarr.json`."""
        spec: Any = dict(describe(self.preset))
        return {"name": NAME, "configuration": {"axis": self.axis, "spec": spec, "version": VERSION}}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse arrays whose chunks would divide blocks, or that do not hold floats."""
        name = dtype.to_native_dtype().newbyteorder("=").name
        if name not in FLOATS:
            raise DataTypeError("data-type", f"a Zarr array must be {', '.join(FLOATS)} (spec 15.6), got {name}")
        chunks = getattr(chunk_grid, "chunk_shape", shape)
        _check_chunks(self.preset, self.axis, shape, chunks)

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Refuse a fill value other than zero: it pads chunks, and would take part in their blocks."""
        fill = np.asarray(array_spec.fill_value)
        if fill.size != 1 or np.any(fill != 0):
            raise DataError("chunks", f"fill_value must be 0 (spec 15.6), got {array_spec.fill_value!r}")
        return self

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Return the bytes of an encoded chunk, which depend on its shape only."""
        return sum(self._facts(chunk_spec).plane_bytes.values())

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        planes = encoded(chunk_data.as_numpy_array(), self._facts(chunk_spec), threads=1)
        return chunk_spec.prototype.buffer.from_array_like(np.concatenate(list(planes.values())))

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        facts = self._facts(chunk_spec)
        data = np.asarray(chunk_data.as_array_like()).view(np.uint8)
        sizes = facts.plane_bytes
        if data.size != sum(sizes.values()):
            raise BfpFormatError(
                "bfp-range", f"a chunk of shape {facts.shape} must have {sum(sizes.values())} bytes, got {data.size}"
            )
        return _buffer(decoded(_divided(data, sizes), facts, threads=1), chunk_spec)

    async def _decode_partial_single(
        self, byte_getter: ByteGetter, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        facts = self._facts(chunk_spec)
        part = _part(facts, selection)
        if part is None:
            data = await byte_getter.get(prototype=chunk_spec.prototype)
            if data is None:
                return None
            whole = (await self._decode_single(data, chunk_spec)).as_numpy_array()
            return _buffer(whole[selection], chunk_spec)
        planes, plane_start = {}, 0
        for role, size in facts.plane_bytes.items():
            wanted = part.planes[Planes._fields.index(role)]
            first, last = plane_start + wanted.start, plane_start + wanted.stop
            data = await byte_getter.get(chunk_spec.prototype, RangeByteRequest(first, last))
            if data is None:
                return None
            if len(data) != last - first:
                raise BfpFormatError("bfp-range", f"{role} of a chunk must have bytes up to {last}")
            planes[role] = np.asarray(data.as_array_like()).view(np.uint8)
            plane_start += size
        described = DescribedTensor(part.blocked.shape, part.blocked.axis, facts.dtype, facts.preset)
        found = decoded(planes, described, threads=1)
        return _buffer(found[part.kept].reshape(part.shape)[(slice(None), *selection[1:])], chunk_spec)

    def _facts(self, chunk_spec: ArraySpec) -> DescribedTensor:
        shape = chunk_spec.shape
        dtype = chunk_spec.dtype.to_native_dtype().newbyteorder("=").name
        return DescribedTensor(shape, self.axis + (len(shape) if self.axis < 0 else 0), dtype, self.preset)


def _check_chunks(preset: Preset, axis: int, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    size = preset.format.block_size
    sizes = size if isinstance(size, tuple) else (size or 1,)
    last = axis + len(shape) if axis < 0 else axis
    if not len(sizes) - 1 <= last < len(shape):
        raise DataError("axis", f"axis must be one of the {len(shape)} axes that ends a block (spec 15.6), got {axis}")
    for number, count in enumerate(sizes, last - len(sizes) + 1):
        if chunks[number] % count and chunks[number] < shape[number]:
            raise DataError(
                "chunks",
                f"chunks must hold whole blocks of {count} along axis {number}, or all of it (spec 15.6), "
                f"got chunks {tuple(chunks)} of shape {tuple(shape)}",
            )


def _divided(data: Bytes, sizes: dict[str, int]) -> dict[str, Bytes]:
    planes, start = {}, 0
    for role, size in sizes.items():
        planes[role] = data[start : start + size]
        start += size
    return planes


def _part(facts: DescribedTensor, selection: Any) -> Span | None:
    """Return the part of a chunk that a selection needs; None for all of it, whose length is then compared."""
    first = selection[0] if isinstance(selection, tuple) and selection else None
    if not isinstance(first, slice) or not all(isinstance(item, int | slice) for item in selection):
        return None
    start, stop, step = first.indices(facts.shape[0])
    blocked = blocking(facts.preset.format, facts.shape, facts.axis)
    is_whole = stop - start == facts.shape[0]
    if step != 1 or start >= stop or is_whole or order_of(blocked) is Order.SCATTERED:
        return None
    return span(facts.preset.format, blocked, start, stop)


def _buffer(numbers: Any, chunk_spec: ArraySpec) -> NDBuffer:
    native = chunk_spec.dtype.to_native_dtype()
    return chunk_spec.prototype.nd_buffer.from_ndarray_like(numbers.astype(native, copy=False))


register_codec(NAME, BfpCodec)
