"""Whole tensors: bit patterns to codes, codes to bit patterns, codes to bytes (spec 3 to 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bfpemu.errors import DataError
from bfpemu.formats import Layout, Preset
from bfpemu.reference.blocks import Blocking
from bfpemu.reference.decode import decode_block, round_to_float
from bfpemu.reference.encode import EncodedBlock, encode_block
from bfpemu.reference.layout import ELEMENT, EXPONENT, SHIFT, pack, unpack, with_layout
from bfpemu.reference.source import read_source
from bfpemu.reference.value import Value


@dataclass(frozen=True, slots=True)
class EncodedTensor:
    """The codes of a tensor, as flat lists in C order in the shapes of (spec 4.7)."""

    preset: Preset
    shape: tuple[int, ...]
    axis: int | None
    exponent_codes: list[int]
    shift_codes: list[int]
    """Empty in a one-level format."""
    element_codes: list[int]

    @property
    def blocking(self) -> Blocking:
        """Which element sits in which block."""
        return Blocking.of(self.shape, self.preset.format, self.axis)


def encode_tensor(
    bits: Sequence[int],
    dtype: str,
    shape: Sequence[int],
    preset: Preset,
    axis: int | None = -1,
    *,
    exponents: Sequence[int] | None = None,
    random_words: Sequence[int] | None = None,
) -> EncodedTensor:
    """Encode a tensor of bit patterns block by block (spec 3, 4).

    Parameters
    ----------
    bits : sequence of int
        The patterns in C order as unsigned integers, those of signed integers too.
    dtype : str
        "float64", "float32", "float16", "bfloat16", or "int8" to "uint64".
    shape : sequence of int
    preset : Preset
    axis : int or None
    exponents : sequence of int, optional
        Exponents, not codes, in the order of the exponent codes; for the rule `given`.
    random_words : sequence of int, optional
        One for each element in C order; for the rounding `stochastic`.

    Raises
    ------
    DataError
        As `encode_block`, or ``axis``.
    DataTypeError
        ``data-type``.
    """
    values = [read_source(pattern, dtype, preset.conversion) for pattern in bits]
    return encode_values(values, shape, preset, axis, exponents=exponents, random_words=random_words)


def encode_values(
    values: Sequence[Value],
    shape: Sequence[int],
    preset: Preset,
    axis: int | None = -1,
    *,
    exponents: Sequence[int] | None = None,
    random_words: Sequence[int] | None = None,
) -> EncodedTensor:
    """Encode a tensor of values as they were read, block by block; as `encode_tensor` (spec 3.3 to 3.10, 4)."""
    blocking = Blocking.of(shape, preset.format, axis)
    assert len(values) == math.prod(shape)
    block_count = math.prod(blocking.exponent_shape)
    _check_count("exponent-given", "exponents", exponents, block_count)
    _check_count("random-words", "random words", random_words, len(values))
    shifts = preset.format.shifts_per_block
    encoded = EncodedTensor(
        preset, tuple(shape), axis, [0] * block_count, [0] * block_count * shifts, [0] * len(values)
    )
    for (row, block), slots in blocking.positions().items():
        at = blocking.exponent_position(row, block)
        # Slots of padding may lie between those of a short block over several axes; they are left out.
        members = [slots[slot] for slot in sorted(slots)]
        codes = encode_block(
            [values[position] for position in members],
            preset,
            exponent=None if exponents is None else exponents[at],
            random_words=None if random_words is None else [random_words[position] for position in members],
        )
        encoded.exponent_codes[at] = codes.exponent_code
        encoded.shift_codes[at * shifts : (at + 1) * shifts] = codes.shift_codes
        for position, code in zip(members, codes.element_codes, strict=False):
            encoded.element_codes[position] = code
    return encoded


def decode_tensor(encoded: EncodedTensor, dtype: str) -> list[int]:
    """Return the bit patterns of a tensor's values in a float dtype, in C order (spec 2.10)."""
    return [round_to_float(value, dtype) for value in tensor_values(encoded)]


def tensor_values(encoded: EncodedTensor) -> list[Value]:
    """Return a tensor's values in C order (spec 2.3 to 2.7)."""
    spec, blocking = encoded.preset.format, encoded.blocking
    shifts = spec.shifts_per_block
    found: dict[int, Value] = {}
    for (row, block), slots in blocking.positions().items():
        at = blocking.exponent_position(row, block)
        codes = EncodedBlock(
            encoded.exponent_codes[at],
            tuple(encoded.shift_codes[at * shifts : (at + 1) * shifts]),
            tuple(encoded.element_codes[slots[slot]] if slot in slots else 0 for slot in range(blocking.slots)),
        )
        values = decode_block(codes, spec)
        found |= {position: values[slot] for slot, position in slots.items()}
    return [found[position] for position in range(len(encoded.element_codes))]


def pack_tensor(encoded: EncodedTensor, layout: Layout | None = None) -> bytes:
    """Return the packed bytes of a tensor's codes; the layout is the preset's unless given (spec 5)."""
    codes = {EXPONENT: encoded.exponent_codes, SHIFT: encoded.shift_codes, ELEMENT: encoded.element_codes}
    return pack(codes, encoded.blocking, with_layout(encoded.preset, layout))


def unpack_tensor(
    data: bytes, shape: Sequence[int], preset: Preset, axis: int | None = -1, layout: Layout | None = None
) -> EncodedTensor:
    """Return the codes that packed bytes hold (spec 5.6).

    Raises
    ------
    DataError
        ``packed-size`` or ``axis``.
    """
    codes = unpack(data, Blocking.of(shape, preset.format, axis), with_layout(preset, layout))
    return EncodedTensor(preset, tuple(shape), axis, codes[EXPONENT], codes[SHIFT], codes[ELEMENT])


def _check_count(code: str, name: str, supplied: Sequence[int] | None, expected: int) -> None:
    """Raise DataError with `code` unless as many numbers as expected are supplied (spec 3.5, 3.7)."""
    if supplied is not None and len(supplied) != expected:
        raise DataError(code, f"{name} must be {expected} for this shape (spec 3.5, 3.7), got {len(supplied)}")
