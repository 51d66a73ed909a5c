"""How the numbers and codes of one block come from memory into vectors and go back, in LLVM's language.

A block of a fixed number of elements is a few vectors, each of a power of two of lanes. LLVM makes of
them what the processor has, so that there is one way for all processors, but for float16: where there
is no instruction that converts it, the same conversion is written on integers. Codes are stored in
whole bytes, or packed without gaps (spec 5.1). Memory is little-endian.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm  # type: ignore[import-untyped]
from llvmlite import ir

from bfpemu.kernels import _ir
from bfpemu.kernels._ir import INT8, INT16, INT32, INT64
from bfpemu.kernels.pack_groups import joining_steps

_MOST_LANES = 64
_MOST_VECTORS = 16
_STREAMED_BITS = 128
_SINGLES = {"float32": 32, "float16": 16, "bfloat16": 16, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16}
_DOUBLES = {"float64": 64, "int32": 32, "uint32": 32}
"""Dtype of numbers -> its bits, for those that the lane float32 holds exactly, and the others."""
_BITS = _SINGLES | _DOUBLES
_HALF_SHIFT, _HALF_BIAS = 13, 112
"""From the fraction of float16 to that of float32, and from its exponent field to that of float32."""


class Block(NamedTuple):
    """How the numbers and the codes of one block lie in memory."""

    number: str
    """Dtype of the numbers."""
    size: int
    """Elements, see `has_vectors`."""
    code_bits: int
    """Bits from one code to the next, 1 to 16."""
    streams: bool = False
    """Whether results go to memory around the caches; they must then start on a multiple of 16 bytes."""
    portable: bool = False
    """Whether float16 is converted on integers even where the processor has an instruction."""

    @property
    def number_bytes(self) -> int:
        """Bytes of a number."""
        return _BITS[self.number] // 8

    @property
    def code_bytes(self) -> int:
        """Bytes of all codes."""
        return self.size * self.code_bits // 8

    @property
    def lane(self) -> str:
        """The type that arithmetic is done in; it holds every number exactly."""
        return "float64" if self.number in _DOUBLES else "float32"


def has_vectors(number: str, size: int) -> bool:
    """Return whether there is vector code for blocks of `size` numbers of a dtype."""
    return number in _BITS and size % 8 == 0 and 0 < size <= _MOST_VECTORS * _lanes(size)


def _lanes(size: int) -> int:
    """Return the largest power of two that divides `size`, at most `_MOST_LANES`."""
    return min(size & -size, _MOST_LANES)


@cache
def _converts_float16() -> bool:
    """Return whether this processor converts float16; asking takes a good part of a millisecond."""
    return bool(llvm.get_host_cpu_features().get("f16c"))


class BlockCode:
    """Writes code for the vectors of one block; every vector of elements has `lanes` lanes."""

    def __init__(self, builder: Any, block: Block) -> None:
        self.builder, self.block = builder, block
        self.lanes = _lanes(block.size)
        self.starts = range(0, block.size, self.lanes)
        is_single = block.lane == "float32"
        self.integer, self.real = (INT32, ir.FloatType()) if is_single else (INT64, ir.DoubleType())
        self.point = 23 if is_single else 52
        self.converts_float16 = not block.portable and _converts_float16()

    def vector(self, kind: Any) -> Any:
        return ir.VectorType(kind, self.lanes)

    def all(self, value: Any, kind: Any = None) -> Any:
        """Return a constant in every lane."""
        return ir.Constant(self.vector(kind or self.integer), [value] * self.lanes)

    def splat(self, scalar: Any) -> Any:
        """Return a scalar of compiled code in every lane."""
        return _ir.splat(self.builder, scalar, self.lanes)

    def _address(self, array: Any, start: Any, step: int, kind: Any) -> Any:
        return _ir.address(self.builder, array.data, self.builder.add(start, INT64(step)), kind)

    def _load(self, array: Any, start: Any, step: int, kind: Any, alignment: int) -> Any:
        found = self.builder.load(self._address(array, start, step, kind))
        found.align = alignment
        return found

    def _store(self, value: Any, array: Any, start: Any, step: int, alignment: int) -> None:
        element = value.type.element.width
        if not self.block.streams or value.type.count * element % _STREAMED_BITS:
            self.builder.store(value, self._address(array, start, step, value.type)).align = alignment
            return
        place = element // array.data.type.pointee.width
        for first in range(0, value.type.count, _STREAMED_BITS // element):
            part = _ir.shuffled(self.builder, value, value, list(range(first, first + _STREAMED_BITS // element)))
            store = self.builder.store(part, self._address(array, start, step + first * place, part.type))
            store.align = _STREAMED_BITS // 8
            _ir.around_caches(self.builder, store)

    def numbers(self, array: Any, start: Any, step: int) -> Any:
        """Return the patterns of numbers in the type of the lane."""
        builder, name = self.builder, self.block.number
        if name == self.block.lane:
            return self._load(array, start, step, self.vector(self.integer), self.integer.width // 8)
        bits = _BITS[name]
        words = self._load(array, start, step, self.vector(ir.IntType(bits)), bits // 8)
        if name == "bfloat16":
            return builder.shl(builder.zext(words, self.vector(INT32)), self.all(16))
        if name == "float16":
            return self._widened_halves(words)
        convert = builder.uitofp if name.startswith("u") else builder.sitofp
        return builder.bitcast(convert(words, self.vector(self.real)), self.vector(self.integer))

    def copy_numbers(self, array: Any, start: Any, out: Any, out_start: Any) -> None:
        """Copy the numbers of one vector as they are."""
        bits = _BITS[self.block.number]
        words = self._load(array, start, 0, self.vector(ir.IntType(bits)), bits // 8)
        self.builder.store(words, self._address(out, out_start, 0, words.type)).align = bits // 8

    def _widened_halves(self, words: Any) -> Any:
        builder = self.builder
        if self.converts_float16:
            halves = builder.bitcast(words, self.vector(ir.HalfType()))
            return builder.bitcast(builder.fpext(halves, self.vector(self.real)), self.vector(INT32))
        wide = builder.zext(words, self.vector(INT32))
        sign = builder.shl(builder.and_(wide, self.all(0x8000)), self.all(16))
        magnitude = builder.and_(wide, self.all(0x7FFF))
        shifted = builder.shl(magnitude, self.all(_HALF_SHIFT))
        normal = builder.add(shifted, self.all(_HALF_BIAS << 23))
        special = builder.add(normal, self.all(_HALF_BIAS << 23))
        # A subnormal becomes 2**-14 and its fraction, from which 2**-14 is taken: no subnormal takes part.
        raised = builder.bitcast(builder.add(normal, self.all(1 << 23)), self.vector(self.real))
        fraction = builder.fsub(raised, self.all(2.0**-14, self.real))
        found = builder.select(builder.icmp_unsigned("<", magnitude, self.all(0x7C00)), normal, special)
        is_subnormal = builder.icmp_unsigned("<", magnitude, self.all(0x0400))
        found = builder.select(is_subnormal, builder.bitcast(fraction, self.vector(INT32)), found)
        return builder.or_(found, sign)

    def put_numbers(self, words: Any, array: Any, start: Any, step: int) -> None:
        """Round finite numbers of the lane's type, given as patterns, once to the block's dtype and store them."""
        builder, name = self.builder, self.block.number
        bits = self.integer.width
        if name == "bfloat16":
            bits, odd = 16, builder.and_(builder.lshr(words, self.all(16)), self.all(1))
            words = builder.lshr(builder.add(builder.add(words, self.all(0x7FFF)), odd), self.all(16))
            words = builder.trunc(words, self.vector(INT16))
        elif name == "float16":
            bits, words = 16, self._narrowed_halves(words)
        self._store(words, array, start, step, bits // 8)

    def _narrowed_halves(self, words: Any) -> Any:
        builder = self.builder
        if self.converts_float16:
            singles = builder.bitcast(words, self.vector(self.real))
            return builder.bitcast(builder.fptrunc(singles, self.vector(ir.HalfType())), self.vector(INT16))
        magnitude = builder.and_(words, self.all(0x7FFFFFFF))
        sign = builder.lshr(builder.xor(words, magnitude), self.all(16))
        odd = builder.and_(builder.lshr(magnitude, self.all(_HALF_SHIFT)), self.all(1))
        nearest = builder.add(builder.add(magnitude, self.all(0xFFF)), odd)
        normal = builder.lshr(builder.sub(nearest, self.all(_HALF_BIAS << 23)), self.all(_HALF_SHIFT))
        # One half has the unit of the subnormals of float16: adding it rounds to them, ties to even.
        half = self.all(0.5, self.real)
        added = builder.fadd(builder.bitcast(magnitude, self.vector(self.real)), half)
        subnormal = builder.sub(builder.bitcast(added, self.vector(INT32)), self.all(126 << 23))
        is_subnormal = builder.icmp_unsigned("<", magnitude, self.all((_HALF_BIAS + 1) << 23))
        is_large = builder.icmp_unsigned(">=", magnitude, self.all((_HALF_BIAS + 31) << 23))
        found = builder.select(is_large, self.all(0x7C00), builder.select(is_subnormal, subnormal, normal))
        return builder.trunc(builder.or_(found, sign), self.vector(INT16))

    def put_codes(self, codes: Any, out: Any, at: Any, step: int) -> None:
        """Store codes, given in the integers of the lane, at `code_bits` from one to the next."""
        builder, bits = self.builder, self.block.code_bits
        fields = builder.trunc(codes, self.vector(INT8 if bits <= 8 else INT16))
        if bits not in (8, 16):
            groups = ir.VectorType(INT64, self.lanes * fields.type.element.width // 64)
            fields = builder.bitcast(fields, groups)
            for low, high, shift in self._steps(groups):
                lower = builder.and_(fields, low)
                fields = builder.or_(lower, builder.lshr(builder.and_(fields, high), shift))
            fields = self._without_gaps(fields)
        self._store(fields, out, at, step * bits // 8, 1)

    def codes(self, array: Any, at: Any, step: int) -> Any:
        """Return stored codes in the integers of the lane."""
        builder, bits = self.builder, self.block.code_bits
        field = INT8 if bits <= 8 else INT16
        if bits in (8, 16):
            fields = self._load(array, at, step * bits // 8, self.vector(field), 1)
        else:
            packed = self._load(array, at, step * bits // 8, ir.VectorType(INT8, self.lanes * bits // 8), 1)
            words = self._with_gaps(packed, ir.VectorType(INT64, self.lanes * field.width // 64))
            for low, high, shift in reversed(self._steps(words.type)):
                lower = builder.and_(words, low)
                words = builder.or_(lower, builder.and_(builder.shl(words, shift), high))
            fields = builder.bitcast(words, self.vector(field))
        return builder.zext(fields, self.vector(self.integer))

    def _steps(self, groups: Any) -> list[tuple[Any, ...]]:
        """Return the steps that join the fields of 64-bit words, as constants of the type `groups`."""
        steps = joining_steps(self.block.code_bits)
        return [tuple(ir.Constant(groups, [int(part)] * groups.count) for part in step) for step in steps]

    def _places(self, words: int) -> tuple[list[int], int]:
        """Return the bytes that packed codes take of `words` 64-bit words, and how many belong together.

        Four joined codes of an odd width end inside a byte. The second of two words then follows the
        first without a gap, and what spills over stands in a second vector of as many words.
        """
        bits = self.block.code_bits
        if bits <= 8 or bits % 2 == 0:
            used = bits if bits <= 8 else bits // 2
            return [8 * word + byte for word in range(words) for byte in range(used)], 1
        pairs, found = words // 2, []
        for pair in range(pairs):
            found += [8 * pair + byte for byte in range(8)]
            found += [8 * pairs + 8 * pair + byte for byte in range(bits - 8)]
        return found, 2

    def _without_gaps(self, words: Any) -> Any:
        """Return the bytes of packed codes from 64-bit words whose fields are joined."""
        builder, count = self.builder, words.type.count
        places, together = self._places(count)
        first = rest = words
        if together == 2:
            lower, upper = (_ir.shuffled(self.builder, words, words, list(range(part, count, 2))) for part in (0, 1))
            second = ir.Constant(lower.type, [4 * self.block.code_bits] * (count // 2))
            spilled = ir.Constant(lower.type, [64 - 4 * self.block.code_bits] * (count // 2))
            first, rest = builder.or_(lower, builder.shl(upper, second)), builder.lshr(upper, spilled)
        as_bytes = ir.VectorType(INT8, 8 * first.type.count)
        return _ir.shuffled(self.builder, builder.bitcast(first, as_bytes), builder.bitcast(rest, as_bytes), places)

    def _with_gaps(self, packed: Any, groups: Any) -> Any:
        """Return 64-bit words whose fields are joined; the reverse of `_without_gaps`."""
        builder, count = self.builder, groups.count
        places, together = self._places(count)
        zeros = ir.Constant(packed.type, None)
        found = [len(places)] * (8 * count)  # the first byte of the zeros
        for place, byte in enumerate(places):
            found[byte] = place
        words = builder.bitcast(_ir.shuffled(self.builder, packed, zeros, found), groups)
        if together == 1:
            return words
        half = count // 2
        first, rest = (
            _ir.shuffled(self.builder, words, words, list(range(part * half, part * half + half))) for part in (0, 1)
        )
        second = ir.Constant(first.type, [4 * self.block.code_bits] * half)
        spilled = ir.Constant(first.type, [64 - 4 * self.block.code_bits] * half)
        upper = builder.or_(builder.lshr(first, second), builder.shl(rest, spilled))
        return _ir.shuffled(self.builder, first, upper, [part * half + word for word in range(half) for part in (0, 1)])
