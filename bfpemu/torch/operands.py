"""A layer's configuration as its forward pass needs it: texts of formats, and seeds."""

from __future__ import annotations

import torch
from torch import Tensor

from bfpemu.adapters.configuration import SLOTS, Estimator, QATConfig, Slot
from bfpemu.adapters.seeds import is_stochastic
from bfpemu.adapters.text import format_text, unit_text
from bfpemu.torch import operator
from bfpemu.torch.functional import quantized

Order = tuple[int, ...]
"""The axes of an operand in the order in which its random words are drawn (spec 14.13)."""


class Operands:
    """The operands of one layer; plain values, so that graphs hold them as constants."""

    def __init__(self, config: QATConfig) -> None:
        self.config = config
        self.clips = config.ste == Estimator.CLIP
        presets = [config.format_of(slot) for slot in range(SLOTS)]
        self.texts = [None if preset is None else format_text(preset) for preset in presets]
        self.is_stochastic = [is_stochastic(preset) for preset in presets]
        self.block_sizes = [None if preset is None else preset.format.elements_per_block for preset in presets]
        self.unit = None if config.unit is None else unit_text(config.unit)
        self.seed = config.layer_seed

    def quantized(
        self, x: Tensor, slot: int, axis: int | None, step: Tensor | None, order: Order | None = None
    ) -> Tensor:
        """Return an operand in its format; as it is where it has none."""
        text = self.texts[slot]
        if text is None:
            return x
        if order is None or axis is None or not self.is_stochastic[slot]:
            return quantized(x, text, axis, *self.stream(x, slot, step), clip=self.clips)
        moved, along, back = _moved(x, axis, order)
        return quantized(moved, text, along, *self.stream(x, slot, step), clip=self.clips).permute(back)

    @property
    def product_texts(self) -> list[str]:
        """The formats of activation and weight, and the unit, for an emulated product."""
        return [text for text in (self.texts[Slot.ACT], self.texts[Slot.WEIGHT], self.unit) if text is not None]

    def passed(
        self, gradient: Tensor, x: Tensor, slot: int, axis: int, step: Tensor | None, order: Order | None = None
    ) -> Tensor:
        """Return the gradient of an operand that was quantised: all of it, or where no value saturated."""
        if self.texts[slot] is None or not self.clips:
            return gradient
        return torch.where(self._inside(x, slot, axis, step, order), gradient, torch.zeros_like(gradient))

    def clipped(self, x: Tensor, slot: int, axis: int, groups: int, step: Tensor | None, order: Order) -> Tensor:
        """Return channels whose gradient stops where `passed` stops it; no block has channels of two groups."""
        if self.texts[slot] is None or not self.clips:
            return x
        divided = torch.unflatten(x.detach(), axis, (groups, -1))
        return torch.where(self._inside(divided, slot, axis, step, order).flatten(axis - 1, axis), x, x.detach())

    def _inside(self, x: Tensor, slot: int, axis: int, step: Tensor | None, order: Order | None) -> Tensor:
        """Return where no value saturates."""
        text = self.texts[slot]
        assert text is not None
        moved, along, back = _moved(x, axis, tuple(range(x.dim())) if order is None else order)
        inside: Tensor = operator.inside_range(moved.detach(), text, along, *self.stream(x, slot, step))
        return inside.permute(back)

    def stream(self, x: Tensor, slot: int, step: Tensor | None) -> tuple[Tensor | None, int]:
        """Return the seed of an operand and the number of its stream; None and -1 without random words."""
        if not self.is_stochastic[slot]:
            return None, -1
        assert step is not None  # every layer that draws counts its steps
        return torch.cat([torch.full((1,), self.seed, dtype=torch.int64, device=x.device), step.reshape(1)]), slot

    def count(self, x: Tensor, axis: int, total: Tensor) -> None:
        """Add the blocks of `x` that hold a NaN or an infinity to `total`, in place."""
        size = self.block_sizes[Slot.ACT]
        assert size is not None  # QATConfig refuses other formats
        bad = (~torch.isfinite(x.detach())).movedim(axis, -1)
        if bad.shape[-1] % size:
            bad = torch.nn.functional.pad(bad, (0, -bad.shape[-1] % size))
        total += torch.unflatten(bad, -1, (-1, size)).any(-1).sum()


def channels_last(dim: int, places: int, *, in_groups: bool = False) -> Order:
    """Return the axes of images (..., channels, *places) with the channels last; in groups these are two axes."""
    first, last = dim - places - 1 - in_groups, dim - places
    return (*range(first), *range(last, dim), *range(first, last))


def outputs_last(dim: int, *, in_groups: bool = False) -> Order:
    """Return the axes of kernels (outputs, inputs, *places) as (*places, inputs, outputs)."""
    outputs = 1 + in_groups
    return (*range(outputs + 1, dim), outputs, *range(outputs))


def _moved(x: Tensor, axis: int, order: Order) -> tuple[Tensor, int, Order]:
    """Return an operand with its axes in an order, the axis in it, and the order that undoes it."""
    return x.permute(order), order.index(axis % x.dim()), tuple(order.index(number) for number in range(x.dim()))
