"""Which formats draw random words, and what goes with a seed (spec 3.7, 14.6)."""

from __future__ import annotations

from typing import Any

from bfpemu.errors import DataError
from bfpemu.formats import Rounding
from bfpemu.formats.preset import Preset


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
