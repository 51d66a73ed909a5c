"""`BFPSpec`: which numbers a format holds, and which code stands for which (spec 2)."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

from bfpemu.errors import SpecError
from bfpemu.formats import check
from bfpemu.formats.enums import (
    DecodeUnderflow,
    Encoding,
    NegativeZeroCode,
    ReservedExponent,
)

_DERIVED: Any = None
"""Default of a field that follows from the others unless it is given."""

_LARGEST_BIAS = 1 << 17
_LARGEST_FRACTION = 1024


@dataclass(frozen=True, slots=True)
class BFPSpec:
    """One block floating-point format (spec 2.1).

    The value of an element is exactly ``significand * 2 ** (exponent - fraction_bits)``
    with ``exponent = exponent_code - exponent_bias``.

    Raises
    ------
    SpecError
        With the code ``mantissa-bits``, ``block-size``, ``exponent-bits``, ``encoding``,
        ``fraction-bits``, ``exponent-bias``, ``sub-block`` or ``field-type``, if that
        field is outside what the spec allows.

    Examples
    --------
    >>> bfp8 = BFPSpec("bfp8", 8, 32)
    >>> bfp8.total_bits_per_block, round(bfp8.compression_vs_fp16, 3)
    (264, 1.939)
    >>> bfp8.fraction_bits, bfp8.exponent_bias, bfp8.nan_code
    (7, 127, 255)
    """

    name: str
    """A label. No number depends on it."""
    mantissa_bits: int
    """Bits of one stored element, sign included: 1 to 32, at least 2 when signed."""
    block_size: int | tuple[int, ...] | None
    """Elements that share an exponent: a count along one axis, a tuple of counts for a
    block over as many neighbouring axes, or None for one block over the whole tensor."""
    exponent_bits: int = 8
    """Bits of one exponent code: 1 to 16."""
    has_sign: bool = True
    """False: elements are unsigned, and negative values saturate to 0."""
    use_subnormals: bool = False
    """Below the smallest exponent: True keeps that exponent and lets significands lose
    bits, False flushes the block to zero (spec 3.6)."""
    _: KW_ONLY
    encoding: Encoding = _DERIVED
    """Two's complement unless given; unsigned when `has_sign` is False."""
    fraction_bits: int = _DERIVED
    """Position of the binary point: `mantissa_bits` - 1 when signed, else `mantissa_bits`."""
    exponent_bias: int = _DERIVED
    """``2 ** (exponent_bits - 1) - 1`` unless given."""
    exponent_reserved: ReservedExponent = ReservedExponent.NAN
    """What the all-ones exponent code stands for."""
    negative_zero_code: NegativeZeroCode = NegativeZeroCode.NEGATIVE_ZERO
    """How the sign-magnitude code "minus zero" decodes."""
    decode_underflow: DecodeUnderflow = DecodeUnderflow.EXACT
    """How decoding treats an element whose normalised exponent field is no field of a normal number."""
    sub_block_size: int | None = None
    """Elements that share a shift code in a two-level format."""
    sub_shift_bits: int = 0
    """Bits of one shift code; 0 for a one-level format."""

    def __post_init__(self) -> None:
        """Check every field and fill in the derived ones."""
        put = object.__setattr__
        name: Any = self.name
        if not isinstance(name, str) or not name or any(map(_is_unprintable, name)):
            raise SpecError(
                "field-type", f"name must be a non-empty string without control characters (spec 2.1), got {name!r}"
            )
        put(self, "has_sign", check.boolean("has_sign", self.has_sign, "2.2"))
        put(self, "use_subnormals", check.boolean("use_subnormals", self.use_subnormals, "3.6"))
        fewest = 2 if self.has_sign else 1
        put(
            self,
            "mantissa_bits",
            check.integer("mantissa-bits", "mantissa_bits", self.mantissa_bits, fewest, 32, "2.1"),
        )
        put(self, "exponent_bits", check.integer("exponent-bits", "exponent_bits", self.exponent_bits, 1, 16, "2.3"))
        put(self, "block_size", _checked_block_size(self.block_size))
        put(self, "encoding", _checked_encoding(self.encoding, has_sign=self.has_sign))
        fraction: Any = self.fraction_bits
        if fraction is None:
            fraction = self.magnitude_bits
        put(
            self,
            "fraction_bits",
            check.integer("fraction-bits", "fraction_bits", fraction, -_LARGEST_FRACTION, _LARGEST_FRACTION, "2.4"),
        )
        bias: Any = self.exponent_bias
        if bias is None:
            bias = (1 << (self.exponent_bits - 1)) - 1
        put(
            self,
            "exponent_bias",
            check.integer("exponent-bias", "exponent_bias", bias, -_LARGEST_BIAS, _LARGEST_BIAS, "2.3"),
        )
        for name, kind, clause in (
            ("exponent_reserved", ReservedExponent, "2.3"),
            ("negative_zero_code", NegativeZeroCode, "2.5"),
            ("decode_underflow", DecodeUnderflow, "2.6"),
        ):
            put(self, name, check.choice(kind, "field-type", name, getattr(self, name), clause))
        self._check_two_levels()

    def _check_two_levels(self) -> None:
        put = object.__setattr__
        put(self, "sub_shift_bits", check.integer("sub-block", "sub_shift_bits", self.sub_shift_bits, 0, 8, "2.7"))
        if (self.sub_block_size is None) != (self.sub_shift_bits == 0):
            raise SpecError(
                "sub-block",
                "sub_block_size and sub_shift_bits must be given together (spec 2.7), "
                f"got {self.sub_block_size!r} and {self.sub_shift_bits!r}",
            )
        if self.sub_block_size is None:
            return
        size = check.integer("sub-block", "sub_block_size", self.sub_block_size, 1, 1 << 24, "2.7")
        put(self, "sub_block_size", size)
        if not isinstance(self.block_size, int) or self.block_size % size:
            raise SpecError(
                "sub-block",
                f"sub_block_size must divide an integer block_size (spec 2.7), got {size} and {self.block_size!r}",
            )

    @property
    def elements_per_block(self) -> int | None:
        """Elements that share one exponent; None for a whole-tensor block."""
        return math.prod(self.block_size) if isinstance(self.block_size, tuple) else self.block_size

    @property
    def shifts_per_block(self) -> int:
        """Shift codes of one block; 0 for a one-level format."""
        return 0 if self.sub_block_size is None else (self.elements_per_block or 0) // self.sub_block_size

    @property
    def magnitude_bits(self) -> int:
        """``M``, the bits of an element without its sign (spec 2.2)."""
        return self.mantissa_bits - self.has_sign

    @property
    def largest_significand(self) -> int:
        """``Q``, the largest magnitude that both signs reach (spec 3.5)."""
        return (1 << self.magnitude_bits) - 1

    @property
    def significand_ends(self) -> tuple[int, int]:
        """The smallest and the largest significand that codes stand for (spec 2.2)."""
        largest = self.largest_significand
        smallest = {Encoding.UNSIGNED: 0, Encoding.SIGN_MAGNITUDE: -largest, Encoding.TWOS_COMPLEMENT: -largest - 1}
        return smallest[self.encoding], largest

    @property
    def largest_shift(self) -> int:
        """``T``, the largest shift code; 0 in a one-level format (spec 6.3)."""
        return (1 << self.sub_shift_bits) - 1

    @property
    def nan_code(self) -> int | None:
        """The exponent code that makes every element of its block a NaN, or None."""
        return self.all_ones_code if self.exponent_reserved is ReservedExponent.NAN else None

    @property
    def all_ones_code(self) -> int:
        """The exponent code of all ones, reserved or not."""
        return (1 << self.exponent_bits) - 1

    @property
    def largest_exponent_code(self) -> int:
        """The largest exponent code that stands for an exponent."""
        return self.all_ones_code - (self.exponent_reserved is not ReservedExponent.NONE)

    @property
    def smallest_exponent(self) -> int:
        """The exponent of code 0."""
        return -self.exponent_bias

    @property
    def largest_exponent(self) -> int:
        """The exponent of `largest_exponent_code`."""
        return self.largest_exponent_code - self.exponent_bias

    @property
    def total_bits_per_block(self) -> int:
        """Stored bits of one full block: exponent, shifts, elements, no padding.

        Raises
        ------
        SpecError
            ``block-size``, if the block spans the whole tensor, whose size is not known here.
        """
        elements = self.elements_per_block
        if elements is None:
            raise SpecError(
                "block-size",
                f"{self.name!r} has one block for a whole tensor (spec 2.1); ask the BFPTensor for its bits",
            )
        return self.exponent_bits + self.shifts_per_block * self.sub_shift_bits + elements * self.mantissa_bits

    @property
    def bits_per_element(self) -> float:
        """Stored bits of a full block divided by its elements; the limit for a whole-tensor block."""
        elements = self.elements_per_block
        return float(self.mantissa_bits) if elements is None else self.total_bits_per_block / elements

    @property
    def compression_vs_fp32(self) -> float:
        """How many times smaller a full block is than the same elements in float32."""
        return 32 / self.bits_per_element

    @property
    def compression_vs_fp16(self) -> float:
        """How many times smaller a full block is than the same elements in float16."""
        return 16 / self.bits_per_element


def _is_unprintable(mark: str) -> bool:
    """Return whether a character is a control, or half of a surrogate pair, which no file can hold."""
    return mark < " " or "\x7f" <= mark <= "\x9f" or "\ud800" <= mark <= "\udfff"


def _checked_block_size(value: Any) -> int | tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, tuple | list):
        if not 1 <= len(value) <= 32:
            raise SpecError("block-size", f"block_size must have 1 to 32 axes (spec 2.1), got {value!r}")
        sizes = tuple(check.integer("block-size", "block_size", size, 1, 1 << 24, "2.1") for size in value)
        if math.prod(sizes) > 1 << 24:
            raise SpecError("block-size", f"block_size must be at most {1 << 24} elements (spec 2.1), got {value!r}")
        return sizes if len(sizes) > 1 else sizes[0]
    return check.integer("block-size", "block_size", value, 1, 1 << 24, "2.1")


def _checked_encoding(value: Any, *, has_sign: bool) -> Encoding:
    if value is None:
        return Encoding.TWOS_COMPLEMENT if has_sign else Encoding.UNSIGNED
    encoding = check.choice(Encoding, "encoding", "encoding", value, "2.2")
    if (encoding is Encoding.UNSIGNED) == has_sign:
        raise SpecError("encoding", f"encoding {str(encoding)!r} does not fit has_sign={has_sign} (spec 2.2)")
    return encoding


def create_bfp_spec(
    mantissa_bits: int,
    block_size: int | tuple[int, ...] | None,
    exponent_bits: int = 8,
    name: str | None = None,
) -> BFPSpec:
    """Make a format from its widths; every other field has its default (spec 2.1).

    Parameters
    ----------
    mantissa_bits : int
        Bits of one element, 1 to 32, the sign included. One bit leaves no room for a
        sign, so ``mantissa_bits=1`` gives an unsigned format with the codes 0 and 1.
    block_size : int, tuple of int or None
        Elements of a block; None for one block over the whole tensor.
    exponent_bits : int
        Bits of the shared exponent, 1 to 16.
    name : str, optional
        A label; ``bfp<mantissa_bits>_b<block_size>_e<exponent_bits>`` unless given.

    Returns
    -------
    BFPSpec

    Raises
    ------
    SpecError
        ``mantissa-bits``, ``block-size`` or ``exponent-bits``.

    Examples
    --------
    >>> create_bfp_spec(5, 64, name="my_bfp5").total_bits_per_block
    328
    >>> create_bfp_spec(8, 32, 5).name
    'bfp8_b32_e5'
    """
    bits = check.integer("mantissa-bits", "mantissa_bits", mantissa_bits, 1, 32, "2.1")
    if name is None:
        size = _checked_block_size(block_size)
        label = "tensor" if size is None else "x".join(map(str, size)) if isinstance(size, tuple) else str(size)
        name = f"bfp{bits}_b{label}_e{exponent_bits}"
    return BFPSpec(name, bits, block_size, exponent_bits, has_sign=bits > 1)
