"""Which weights of a model a file may keep as codes (spec 7, 14.8)."""

from __future__ import annotations

from bfpemu.adapters.configuration import QATConfig, Slot
from bfpemu.adapters.seeds import is_stochastic
from bfpemu.formats.preset import Preset


def weight_format(config: QATConfig) -> Preset | None:
    """Return the format whose numbers may take a weight's place; None where a layer needs the weight itself.

    A backward product with a format of its own quantises the original weight again, along the other axis, and
    stochastic rounding draws anew at every step.

    Examples
    --------
    >>> weight_format(QATConfig(weight_format="bfp4")).name, weight_format(QATConfig(grad_format="bfp8"))
    ('bfp4', None)
    """
    preset = None if config.grad_format is not None else config.format_of(Slot.WEIGHT)
    return None if is_stochastic(preset) else preset
