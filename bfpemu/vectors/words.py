"""Fields of a word, words as hexadecimal lines, and back (spec 12.3, 12.5).

Words of one set are a matrix of bytes, one word a row, least significant byte first. Everything works on
many rows at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.errors import DataError

Bytes = npt.NDArray[np.uint8]
AnyArray = npt.NDArray[Any]
Fields = Mapping[str, AnyArray]
"""Name of a field -> its items, unsigned integers of shape (vectors, count)."""

_PAIRS = np.array([f"{byte:02x}".encode() for byte in range(256)], "S2").view("<u2")
"""The two digits of a byte, as one 16-bit number."""

INVALID = 0xFF
NIBBLES = np.full(256, INVALID, np.uint8)
for _value, _digits in enumerate(zip("0123456789abcdef", "0123456789ABCDEF", strict=True)):
    NIBBLES[[ord(digit) for digit in _digits]] = _value


@dataclass(frozen=True, slots=True)
class Field:
    """Neighbouring items of one width in a word."""

    name: str
    lsb: int
    width: int
    count: int

    @property
    def bits(self) -> int:
        """Bits of all items."""
        return self.width * self.count


@dataclass(frozen=True)
class WordLayout:
    r"""The fields of one kind of word.

    Examples
    --------
    >>> layout = WordLayout.of([("elements", 8, 2), ("exponents", 5, 1)])
    >>> layout.bits, layout.digits, layout.fields[1].lsb
    (21, 6, 16)
    >>> packed = layout.pack({"elements": np.array([[1, 0x7f]]), "exponents": np.array([[3]])})
    >>> hex_lines(packed, layout.digits)
    b'037f01\n'
    """

    fields: tuple[Field, ...]

    @classmethod
    def of(cls, fields: Iterable[tuple[str, int, int]]) -> WordLayout:
        """Return fields of (name, width, count) one after the other; fields without bits are left out."""
        placed: list[Field] = []
        lsb = 0
        for name, width, count in fields:
            if width * count:
                placed.append(Field(name, lsb, width, count))
                lsb += width * count
        return cls(tuple(placed))

    @property
    def bits(self) -> int:
        """Bits of a word."""
        return sum(field.bits for field in self.fields)

    @property
    def digits(self) -> int:
        """Hexadecimal digits of a word."""
        return -(-self.bits // 4)

    @property
    def word_bytes(self) -> int:
        """Bytes of a word in memory."""
        return -(-self.bits // 8)

    def pack(self, items: Fields) -> Bytes:
        """Return words of items."""
        rows = len(next(iter(items.values())))
        if all(field.lsb % 8 == 0 and field.width in (8, 16, 32, 64) for field in self.fields):
            out = np.empty((rows, self.word_bytes), np.uint8)
            for field in self.fields:
                out[:, field.lsb // 8 : (field.lsb + field.bits) // 8] = _as_bytes(items[field.name], field.width)
            return out
        return np.packbits(
            np.concatenate([_as_bits(items[field.name], field.width) for field in self.fields], axis=1),
            axis=1,
            bitorder="little",
        )

    def unpack(self, words: Bytes) -> dict[str, AnyArray]:
        """Return the items of words, uint64 of shape (vectors, count)."""
        return {field.name: _from_words(words, field) for field in self.fields}

    def join(self, items: Mapping[str, Sequence[int]]) -> int:
        """Return one word, as an integer, of the items of every field.

        Raises
        ------
        DataError
            ``codes-shape``, if fields are missing or have other counts; ``codes-value``, if an item does not fit.

        Examples
        --------
        >>> layout = WordLayout.of([("elements", 8, 2), ("exponents", 5, 1)])
        >>> hex(layout.join({"elements": [1, 0x7f], "exponents": [3]}))
        '0x37f01'
        """
        counts = {name: len(row) for name, row in items.items()}
        if counts != {field.name: field.count for field in self.fields}:
            wanted = ", ".join(f"{field.name}: {field.count}" for field in self.fields)
            raise DataError("codes-shape", f"a word must have the items {{{wanted}}} (spec 12.3), got {counts}")
        word = 0
        for field in self.fields:
            for item, code in enumerate(items[field.name]):
                if not 0 <= code < 1 << field.width:
                    raise DataError(
                        "codes-value", f"{field.name}[{item}] must fit {field.width} bits (spec 12.3), got {code}"
                    )
                word |= code << (field.lsb + item * field.width)
        return word

    def split(self, word: int) -> dict[str, list[int]]:
        """Return the items of one word.

        Raises
        ------
        DataError
            ``codes-value``, if the word has more than `bits` bits.

        Examples
        --------
        >>> WordLayout.of([("elements", 8, 2), ("exponents", 5, 1)]).split(0x37f01)
        {'elements': [1, 127], 'exponents': [3]}
        """
        if not 0 <= word < 1 << self.bits:
            raise DataError("codes-value", f"a word must have {self.bits} bits (spec 12.3), got {word:#x}")
        return {
            field.name: [
                word >> (field.lsb + item * field.width) & ((1 << field.width) - 1) for item in range(field.count)
            ]
            for field in self.fields
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the layout as the manifest has it (spec 12.7)."""
        return {"bits": self.bits, "digits": self.digits, "fields": [asdict(field) for field in self.fields]}


def taken(items: Fields, rows: AnyArray | slice) -> dict[str, AnyArray]:
    """Return these vectors."""
    return {name: values[rows] for name, values in items.items()}


def _as_bytes(items: AnyArray, width: int) -> Bytes:
    found = np.ascontiguousarray(items.astype(f"<u{width // 8}", copy=False))
    return found.view(np.uint8).reshape(len(items), items.shape[1] * width // 8)


def _as_bits(items: AnyArray, width: int) -> Bytes:
    size = 1 if width <= 8 else 2 if width <= 16 else 4 if width <= 32 else 8
    found = np.ascontiguousarray(items.astype(f"<u{size}", copy=False)).view(np.uint8).reshape(*items.shape, size)
    return np.unpackbits(found, axis=-1, count=width, bitorder="little").reshape(len(items), items.shape[1] * width)


def _from_words(words: Bytes, field: Field) -> AnyArray:
    """Return the items of one field, uint64."""
    place = field.lsb % 8
    part = words[:, field.lsb // 8 : -(-(field.lsb + field.bits) // 8)]
    if place == 0 and field.width in (8, 16, 32, 64):
        return np.ascontiguousarray(part).view(f"<u{field.width // 8}").astype(np.uint64)
    if field.count == 1 and part.shape[1] <= 8:
        whole = np.zeros((len(words), 8), np.uint8)
        whole[:, : part.shape[1]] = part
        return whole.view("<u8").astype(np.uint64) >> np.uint64(place) & np.uint64((1 << field.width) - 1)
    bits = np.unpackbits(part, axis=1, bitorder="little")
    return _from_bits(bits[:, place : place + field.bits], field)


def _from_bits(bits: Bytes, field: Field) -> AnyArray:
    items = bits.reshape(len(bits), field.count, field.width)
    found = np.zeros((len(bits), field.count, 8), np.uint8)
    packed = np.packbits(items, axis=-1, bitorder="little")
    found[:, :, : packed.shape[2]] = packed
    return found.view("<u8")[..., 0].astype(np.uint64)


def hex_lines(words: Bytes, digits: int) -> bytes:
    """Return one line of exactly `digits` digits for each word (spec 12.5)."""
    pairs = _PAIRS[words[:, ::-1]].view(np.uint8).reshape(len(words), -1)
    out = np.empty((len(words), digits + 1), np.uint8)
    out[:, :digits] = pairs[:, pairs.shape[1] - digits :]
    out[:, digits] = ord("\n")
    return out.tobytes()


def words_of_digits(digits: Bytes) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Return words of rows of digits in ASCII, and which digits are none; these count as 0."""
    nibbles = NIBBLES[digits]
    invalid = nibbles == INVALID
    if invalid.any():
        nibbles = np.where(invalid, np.uint8(0), nibbles)
    if nibbles.shape[1] % 2:
        nibbles = np.concatenate([np.zeros((len(nibbles), 1), np.uint8), nibbles], axis=1)
    found = (nibbles[:, 0::2] << np.uint8(4)) | nibbles[:, 1::2]
    return np.ascontiguousarray(found[:, ::-1]), invalid
