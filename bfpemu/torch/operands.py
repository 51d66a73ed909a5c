"""A layer's configuration as its forward pass needs it: texts of formats, and seeds."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from bfpemu.bitwise import folded_seed
from bfpemu.formats import Rounding
from bfpemu.torch import operator
from bfpemu.torch.configuration import SLOTS, QATConfig, Slot
from bfpemu.torch.format_text import format_text
from bfpemu.torch.functional import Estimator, quantized


class Operands:
    """The operands of one layer; plain values, so that graphs hold them as constants."""

    def __init__(self, config: QATConfig, *numbers: int) -> None:
        self.config = config
        self.numbers = numbers
        """What sets the random words of this layer apart from those of others with the same configuration."""
        self.clips = config.ste == Estimator.CLIP
        self.texts: list[str | None] = []
        self.is_stochastic: list[bool] = []
        self.block_sizes: list[int | None] = []
        for slot in range(SLOTS):
            preset = config.format_of(slot)
            self.texts.append(None if preset is None else format_text(preset))
            self.is_stochastic.append(preset is not None and preset.conversion.rounding is Rounding.STOCHASTIC)
            self.block_sizes.append(None if preset is None else preset.format.elements_per_block)
        self.unit: str | None = None
        if config.accumulator is not None:
            from bfpemu.torch.emulated import unit_text  # which brings the compiled kernels along

            assert not isinstance(config.accumulator, str)
            self.unit = unit_text(config.accumulator)
        self.seed = reduce(folded_seed, numbers, config.seed)
        """Seed of the layer: that of the configuration, with the layer's number folded in."""

    def quantized(self, x: Tensor, slot: int, axis: int | None, step: Tensor | None) -> Tensor:
        """Return an operand in its format; as it is where it has none."""
        text = self.texts[slot]
        if text is None:
            return x
        return quantized(x, text, axis, *self.stream(x, slot, step), clip=self.clips)

    @property
    def product_texts(self) -> list[str]:
        """The formats of activation and weight, and the unit, for an emulated product."""
        return [text for text in (self.texts[Slot.ACT], self.texts[Slot.WEIGHT], self.unit) if text is not None]

    def passed(self, gradient: Tensor, x: Tensor, slot: int, axis: int, step: Tensor | None) -> Tensor:
        """Return the gradient of an operand that was quantised: all of it, or where no value saturated."""
        text = self.texts[slot]
        if text is None or not self.clips:
            return gradient
        inside = operator.inside_range(x, text, axis, *self.stream(x, slot, step))
        return torch.where(inside, gradient, torch.zeros_like(gradient))

    def clipped(self, x: Tensor, slot: int, axis: int, groups: int, step: Tensor | None) -> Tensor:
        """Return channels whose gradient stops where `passed` stops it; no block has channels of two groups."""
        text = self.texts[slot]
        if text is None or not self.clips:
            return x
        divided = torch.unflatten(x.detach(), axis, (groups, -1))
        inside = operator.inside_range(divided, text, axis, *self.stream(x, slot, step)).flatten(axis - 1, axis)
        return torch.where(inside, x, x.detach())

    def stream(self, x: Tensor, slot: int, step: Tensor | None) -> tuple[Tensor | None, int]:
        """Return the seed of an operand and the number of its stream; None and -1 without random words."""
        if not self.is_stochastic[slot]:
            return None, -1
        seed = torch.full((1,), self.seed, dtype=torch.int64, device=x.device)
        return (seed if step is None else torch.cat([seed, step.reshape(1)])), slot

    def count(self, x: Tensor, axis: int, total: Tensor) -> None:
        """Add the blocks of `x` that hold a NaN or an infinity to `total`, in place."""
        size = self.block_sizes[Slot.ACT]
        assert size is not None  # QATConfig refuses other formats
        bad = (~torch.isfinite(x.detach())).movedim(axis, -1)
        if bad.shape[-1] % size:
            bad = torch.nn.functional.pad(bad, (0, -bad.shape[-1] % size))
        total += torch.unflatten(bad, -1, (-1, size)).any(-1).sum()
