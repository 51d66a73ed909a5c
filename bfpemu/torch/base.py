"""`BFPLayer`: what quantised layers have in common."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from bfpemu.adapters.configuration import QATConfig, Slot
from bfpemu.errors import SpecError
from bfpemu.formats.preset import Preset
from bfpemu.torch.operands import Operands, Order


class BFPLayer(nn.Module):
    """What quantised layers have in common: a configuration, the step of stochastic rounding, and a count.

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
        layer._use(config)
        return layer

    @classmethod
    def check_layer(cls, layer: nn.Module, config: QATConfig) -> None:
        """Refuse a configuration that does not fit a layer; a subclass may refuse more."""
        weight = getattr(layer, "weight", None)
        preset = config.format_of(Slot.WEIGHT)
        if isinstance(weight, Tensor) and preset is not None:
            check_dtype(preset, weight.dtype)

    def set_config(self, config: QATConfig) -> None:
        """Quantise by another configuration from now on; the number that sets random words apart stays.

        Raises
        ------
        SpecError
            As `from_float`.
        """
        if hasattr(self, "operands"):
            config = config.with_(layer_number=self.config.layer_number)
        self.check_layer(self, config)
        self._use(config)

    def _use(self, config: QATConfig) -> None:
        """Take a configuration, and the state that it needs."""
        self.operands = Operands(config)
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        needed = {"rounding_step": config.is_stochastic, "nonfinite_blocks": config.counts_nonfinite}
        for name, is_needed in needed.items():
            if not is_needed:
                self._buffers.pop(name, None)
            elif name not in self._buffers:
                self.register_buffer(name, torch.zeros((), dtype=torch.int64, device=device))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        # The state of a float layer has neither of them; they stay as they are.
        for name in ("rounding_step", "nonfinite_blocks"):
            if name in self._buffers:
                state_dict.setdefault(prefix + name, self._buffers[name])
        super()._load_from_state_dict(state_dict, prefix, *others)

    @property
    def config(self) -> QATConfig:
        """What is quantised, and how."""
        return self.operands.config

    def quantized(self, x: Tensor, slot: int, axis: int, order: Order | None = None) -> Tensor:
        """Return an operand in its format; `order` has its axes as random words count positions (spec 14.13)."""
        if self.config.counts_nonfinite and slot == Slot.ACT:
            self.operands.count(x, axis, self.nonfinite_blocks)
        return self.operands.quantized(x, slot, axis, getattr(self, "rounding_step", None), order)

    def finished(self, y: Tensor, bias: Tensor | None, axis: int = -1, order: Order | None = None) -> Tensor:
        """Return a product with its bias, which is added after it, in the format of the output."""
        if bias is not None:
            shape = [1] * y.dim()
            shape[axis] = -1
            y = y + bias.to(y.dtype).view(shape)
        return self.operands.quantized(y, Slot.OUTPUT, axis, getattr(self, "rounding_step", None), order)

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
