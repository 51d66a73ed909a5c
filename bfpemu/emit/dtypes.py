"""The dtypes of patterns that a C model takes and gives (spec 3.1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bfpemu.errors import DataTypeError

FLOATS: dict[str, tuple[int, int]] = {
    "float32": (8, 23),
    "float16": (5, 10),
    "bfloat16": (8, 7),
    "float64": (11, 52),
}
"""dtype -> its exponent bits and fraction bits."""

INTEGERS: dict[str, tuple[int, bool]] = {
    f"{sign}int{bits}": (bits, not sign) for bits in (8, 16, 32, 64) for sign in ("", "u")
}
"""dtype -> its bits, and whether it is signed."""


def checked(dtypes: Sequence[str]) -> tuple[str, ...]:
    """Return the dtypes without repetitions.

    Raises
    ------
    DataTypeError
        ``data-type``.
    """
    for dtype in dtypes:
        if dtype not in FLOATS and dtype not in INTEGERS:
            known = ", ".join([*FLOATS, *INTEGERS])
            raise DataTypeError("data-type", f"dtype must be one of {known} (spec 3.1), got {dtype!r}")
    return tuple(dict.fromkeys(dtypes))


def pattern_bits(dtype: str) -> int:
    """Return how many bits a pattern has."""
    return INTEGERS[dtype][0] if dtype in INTEGERS else sum(FLOATS[dtype]) + 1


def read_cases(dtypes: Collection[str]) -> str:
    """Return the `case` lines of C that read one pattern of each dtype."""
    lines = []
    for dtype in dtypes:
        pattern = f"((const uint{pattern_bits(dtype)}_t *)source->patterns)[i]"
        if dtype in FLOATS:
            exponent_bits, fraction_bits = FLOATS[dtype]
            read = f"bfp_read_float({pattern}, {exponent_bits}, {fraction_bits})"
        else:
            bits, is_signed = INTEGERS[dtype]
            read = f"bfp_read_integer({pattern}, {bits}, {int(is_signed)})"
        lines.append(f"case BFP_{dtype.upper()}: x = {read}; break;")
    # No other dtype is ever passed; the last one is the default, so that x has a value.
    lines[-1] = "default: " + lines[-1].partition(": ")[2]
    return "\n    ".join(lines)
