"""`BFPLayer`: what quantised layers have in common."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from bfpemu.errors import SpecError
from bfpemu.formats.preset import Preset
from bfpemu.torch.configuration import QATConfig, Slot
from bfpemu.torch.operands import Operands


class BFPLayer(nn.Module):
    """What quantised layers have in common: a configuration, and the step of stochastic rounding.

    A subclass also extends the layer that it quantises. `from_float` converts a layer in place.
    """

    operands: Operands
    rounding_step: Tensor
    """Which step of training this is, in a layer that rounds stochastically."""
    nonfinite_blocks: Tensor
    """How many blocks of the input held a NaN or an infinity, in a layer that counts them."""
    weight_axis: ClassVar[int] = -1
    """The axis that blocks of the weight run along."""

    @classmethod
    def from_float(cls, layer: nn.Module, config: QATConfig) -> Self:
        """Make `layer` a layer of this class, in place: parameters, hooks, buffers and mode stay.

        Raises
        ------
        SpecError
            ``adapter-format``, for a format that the layer's dtype does not hold.
        """
        cls.check_layer(layer, config)
        layer.__class__ = cls
        assert isinstance(layer, cls)
        layer.set_config(config)
        return layer

    @classmethod
    def check_layer(cls, layer: nn.Module, config: QATConfig) -> None:
        """Refuse a configuration that does not fit a layer; a subclass may refuse more."""
        weight = getattr(layer, "weight", None)
        if isinstance(weight, Tensor) and isinstance(config.weight, Preset):
            check_dtype(config.weight, weight.dtype)

    def set_config(self, config: QATConfig) -> None:
        """Quantise by another configuration from now on; the number that sets random words apart stays."""
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        numbers = self.operands.numbers if hasattr(self, "operands") else ()
        self.operands = Operands(config, *numbers)
        if config.is_stochastic:
            self.register_buffer("rounding_step", torch.zeros((), dtype=torch.int64, device=device), persistent=False)
        if config.counts_nonfinite:
            zeros = torch.zeros((), dtype=torch.int64, device=device)
            self.register_buffer("nonfinite_blocks", zeros, persistent=False)

    @property
    def config(self) -> QATConfig:
        """What is quantised, and how."""
        return self.operands.config

    def quantized(self, x: Tensor, slot: int, axis: int) -> Tensor:
        """Return an operand in its format."""
        if self.config.counts_nonfinite and slot == Slot.ACT:
            self.operands.count(x, axis, self.nonfinite_blocks)
        return self.operands.quantized(x, slot, axis, getattr(self, "rounding_step", None))

    def finished(self, y: Tensor, bias: Tensor | None, axis: int = -1) -> Tensor:
        """Return a product with its bias, which is added after it, in the format of the output."""
        if bias is not None:
            shape = [1] * y.dim()
            shape[axis] = -1
            y = y + bias.to(y.dtype).view(shape)
        return self.operands.quantized(y, Slot.OUTPUT, axis, getattr(self, "rounding_step", None))

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        return f"{super().extra_repr()}, {self.config}"


def check_dtype(preset: Preset, dtype: torch.dtype) -> None:
    """Refuse a format whose elements have more bits than the significands of a dtype.

    Raises
    ------
    SpecError
        ``adapter-format``.
    """
    bits = {torch.float64: 53, torch.float32: 24, torch.float16: 11, torch.bfloat16: 8}.get(dtype)
    if bits is None or preset.format.magnitude_bits > bits:
        raise SpecError(
            "adapter-format",
            f"a layer's dtype must hold every element of its format (spec 2.10): {preset.name!r} has "
            f"{preset.format.magnitude_bits} bits without the sign, got {dtype}; choose fewer bits or a wider dtype",
        )
