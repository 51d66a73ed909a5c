"""What is known of a fake quantisation before there is data: widths, lanes, and what is refused (spec 14.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bfpemu.errors import DataTypeError, SpecError
from bfpemu.formats import Encoding, SignificandRange
from bfpemu.formats.preset import Preset

FLOAT_WIDTHS = {"float64": (11, 52), "float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}
"""dtype -> exponent and fraction bits."""

# A significand of w bits is shifted by at most w + 2 places, and 1 << (w + 2) must be positive.
_WIDEST_SIGNIFICAND = {32: 28, 64: 60}
# Magnitudes before they saturate: 2 ** (lane - 2) - 1 stands for everything that is larger.
_WIDEST_ELEMENT = {32: 29, 64: 61}


@dataclass(frozen=True, slots=True)
class Plan:
    """A preset, the dtype of the data, and the width of the integers that hold both."""

    preset: Preset
    dtype: str
    lane: int
    """32 or 64."""

    @property
    def exponent_bits(self) -> int:
        """Exponent bits of the dtype."""
        return FLOAT_WIDTHS[self.dtype][0]

    @property
    def fraction_bits(self) -> int:
        """Fraction bits of the dtype."""
        return FLOAT_WIDTHS[self.dtype][1]

    @property
    def bias(self) -> int:
        """What the exponent field of 1.0 holds."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def smallest_exponent(self) -> int:
        """The exponent of the smallest normal number of the dtype, and of its subnormals."""
        return 1 - self.bias

    @property
    def infinity_word(self) -> int:
        """The bits of +infinity; NaN are larger integers."""
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    @property
    def nan_word(self) -> int:
        """The bits of the positive quiet NaN (spec 2.10)."""
        return self.infinity_word | (1 << (self.fraction_bits - 1))

    @property
    def sign_word(self) -> int:
        """The sign bit, as the signed integer that it is."""
        return -1 << (self.exponent_bits + self.fraction_bits)

    @property
    def wide_bits(self) -> int:
        """Magnitude bits of the wide element that is rounded to (spec 3.8)."""
        return self.preset.format.magnitude_bits + self.preset.conversion.post_truncate_bits

    @property
    def reaches_extreme(self) -> bool:
        """Whether significands may saturate to the most negative integer (spec 3.8)."""
        conversion = self.preset.conversion
        is_full = conversion.significand_range is SignificandRange.FULL
        return is_full and self.preset.format.encoding is Encoding.TWOS_COMPLEMENT


@lru_cache(maxsize=256)
def make_plan(preset: Preset, dtype: str, lanes: tuple[int, ...]) -> Plan:
    """Return the plan for a preset and a dtype, or refuse what integers of these lanes do not cover.

    Raises
    ------
    DataTypeError
        ``data-type``.
    SpecError
        ``adapter-format``.

    Examples
    --------
    >>> from bfpemu.catalog import preset
    >>> make_plan(preset("bfp8"), "float32", (32,)).lane
    32
    """
    if dtype not in FLOAT_WIDTHS:
        raise DataTypeError("data-type", f"values must be {', '.join(FLOAT_WIDTHS)} (spec 14.1), got {dtype}")
    fitting = [lane for lane in lanes if _fits(preset, dtype, lane)]
    if not fitting:
        raise SpecError(
            "adapter-format",
            f"{preset.name!r} on {dtype} needs integers of 64 bits (spec 14.3), got a library with {lanes[-1]}",
        )
    return Plan(preset, dtype, fitting[0])


def _fits(preset: Preset, dtype: str, lane: int) -> bool:
    """Return whether integers of `lane` bits hold every significand on the way (spec 14.3)."""
    if dtype == "float64" and lane < 64:
        return False
    widest = max([FLOAT_WIDTHS[dtype][1], *(step.fraction_bits for step in preset.conversion.source_chain)]) + 1
    element = preset.format.magnitude_bits
    wide = element + preset.conversion.post_truncate_bits
    return max(widest, element + 1) <= _WIDEST_SIGNIFICAND[lane] and wide <= _WIDEST_ELEMENT[lane]
