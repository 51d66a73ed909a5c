"""Where random words come from: seeds, layers and steps (spec 14.6, 14.13)."""

from __future__ import annotations

from operator import index
from typing import Any

from bfpemu.errors import DataError
from bfpemu.formats import Rounding
from bfpemu.formats.preset import Preset

WORDS = 1 << 32
"""How many seeds there are, and how many layers and steps have words of their own."""


def checked_seed(seed: Any, name: str = "seed") -> int:
    """Return a seed, or the number of a step, that is an integer of 32 bits.

    Raises
    ------
    DataError
        ``random-words``.

    Examples
    --------
    >>> checked_seed(7)
    7
    """
    try:
        number = -1 if isinstance(seed, bool) else index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < WORDS:
        raise DataError("random-words", f"{name} must be an integer 0 to {WORDS - 1} (spec 14.6), got {seed!r}")
    return number


def is_stochastic(preset: Preset | None) -> bool:
    """Return whether a format draws random words; None has no format."""
    return preset is not None and preset.conversion.rounding is Rounding.STOCHASTIC


def check_seed(preset: Preset, seed: Any) -> None:
    """Refuse a seed without stochastic rounding, and stochastic rounding without a seed.

    Raises
    ------
    DataError
        ``random-words``.
    """
    if (seed is not None) != is_stochastic(preset):
        rounding = str(preset.conversion.rounding)
        raise DataError(
            "random-words",
            "a seed must be given with stochastic rounding and only with it (spec 3.7, 14.6), "
            f"got seed={seed!r} and rounding {rounding!r}",
        )
