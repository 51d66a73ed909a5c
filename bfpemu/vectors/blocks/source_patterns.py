"""The patterns of a source float, and the numbers around the places where an element is rounded (spec 12.10)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourcePatterns:
    """The patterns of a source float."""

    exponent_bits: int
    fraction_bits: int

    @property
    def bits(self) -> int:
        """Bits of a pattern."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def bias(self) -> int:
        """The exponent field of 1.0."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def infinity(self) -> int:
        """The pattern of plus infinity."""
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    def of(self, sign: int, integer: int, exponent: int) -> int | None:
        """Return the pattern of ``integer * 2 ** exponent``, or None where there is none.

        Examples
        --------
        >>> float16 = SourcePatterns(5, 10)
        >>> hex(float16.of(1, 3, -1)), float16.of(0, 2049, 0), float16.of(0, 1, 16)
        ('0xbe00', None, None)
        """
        if integer == 0:
            return sign << (self.bits - 1)
        zeros = (integer & -integer).bit_length() - 1
        integer, exponent = integer >> zeros, exponent + zeros
        top, emin = integer.bit_length() - 1 + exponent, 1 - self.bias
        last = max(top, emin) - self.fraction_bits
        if top > self.bias or exponent < last:
            return None
        return sign << (self.bits - 1) | ((max(top, emin) - emin) << self.fraction_bits) + (
            integer << (exponent - last)
        )

    def classes(self) -> dict[str, int]:
        """Return a pattern of each kind of number, by its name."""
        point, field = self.fraction_bits, 1 << self.fraction_bits
        positive = {
            "zero": 0,
            "min_subnormal": 1,
            "subnormal": field // 2 + 1 if point > 1 else 1,
            "max_subnormal": field - 1,
            "min_normal": field,
            "normal": (self.bias << point) | field // 3,
            "max_normal": self.infinity - 1,
            "infinity": self.infinity,
            "quiet_nan": self.infinity | field // 2,
            "signalling_nan": self.infinity | 1,
        }
        named = {f"{name}.pos": pattern for name, pattern in positive.items()}
        return named | {f"{name}.neg": pattern | 1 << (self.bits - 1) for name, pattern in positive.items()}


def telling_wholes(bits: int) -> list[int]:
    """Return telling integer parts of an element: small, all ones of every length, beside powers of two."""
    found = {0, 1, 2, 3, 5}
    for count in range(1, bits + 1):
        ones = (1 << count) - 1
        found |= {ones, ones - 1, ones + 1, ones >> 1 ^ ones}
    if bits <= 4:
        found |= set(range(1 << bits))
    return sorted(whole for whole in found if whole < 1 << bits)


def telling_rests(whole: int, deepest: int) -> list[tuple[int, int]]:
    """Return what may stand behind the binary point, as (integer, bits): ties, neighbours, single bits, runs."""
    if deepest <= 0:
        return [(0, 0)]
    half = 1 << (deepest - 1)
    found = [(0, 0), (half, deepest), (half - 1, deepest), (half + 1, deepest), (1, deepest)]
    found += [(half | half >> 1, deepest), (half >> 1, deepest), (2 * half - 1, deepest)]
    if whole in (0, 1, 2, 3):
        for depth in range(1, deepest):
            found += [(half >> depth, deepest), (half | half >> depth, deepest), (half - (half >> depth), deepest)]
            found.append(((2 * half - 1) ^ (half >> depth), deepest))
    return [(rest, places) for rest, places in found if 0 <= rest < 2 * half]


def beyond_largest(largest: int) -> list[tuple[int, int]]:
    """Return numbers at the largest significand and above it, in units of an element."""
    half = [(2 * largest, -1), (4 * largest + 1, -2), (2 * largest + 1, -1), (4 * largest + 3, -2)]
    return [*half, (largest + 1, 0), (2 * largest + 3, -1), (largest + 2, 0), (2 * largest + 1, 0), (4 * largest, 0)]
