"""Layers with quantised operands; each is its float layer with a configuration (spec 14.8).

They keep the float layer's parameters and the names in its `state_dict`, so a layer that is there is
converted in place, by its class alone.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from bfpemu.catalog import FormatLike
from bfpemu.errors import SpecError
from bfpemu.formats.preset import Preset
from bfpemu.formats.unit import DotProductUnit
from bfpemu.torch.configuration import QATConfig, Slot
from bfpemu.torch.format_text import format_text
from bfpemu.torch.functional import as_seed, is_clip, quantized
from bfpemu.torch.operands import Operands
from bfpemu.torch.products import convolution, linear


class BFPQuantizerSTE(nn.Module):
    """A quantiser as a module, with straight-through gradient.

    Parameters
    ----------
    format, axis, rounding, seed, ste
        As for `bfp_quantize`.

    Examples
    --------
    >>> quantizer = BFPQuantizerSTE(format="bfp4")
    >>> quantizer(torch.tensor([1.0, 0.3])).tolist()
    [1.0, 0.25]
    """

    def __init__(
        self,
        format: FormatLike = "bfp8",
        axis: int | None = -1,
        *,
        rounding: str | None = None,
        seed: int | None = None,
        ste: str = "identity",
    ) -> None:
        super().__init__()
        self.text = format_text(format, rounding)
        self.axis, self.seed, self.clips = axis, seed, is_clip(ste)
        as_seed(self.text, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` in the numbers of the format."""
        return quantized(x, self.text, self.axis, as_seed(self.text, self.seed), clip=self.clips)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        return f"{self.text}, axis={self.axis}"


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
        """Quantise by another configuration from now on."""
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        self.operands = Operands(config)
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


def _page_config(
    weight_format: FormatLike,
    act_format: FormatLike | None,
    quantize_input: bool,
    quantize_output: bool,
    grad_format: FormatLike | None,
    accumulator: str | DotProductUnit | None,
) -> QATConfig:
    """Return the configuration that the arguments of the public page stand for."""
    act = weight_format if act_format is None else act_format
    return QATConfig(
        weight=weight_format,
        act=act if quantize_input else None,
        gradient=grad_format,
        output=act if quantize_output else None,
        accumulator=accumulator,
    )


class BFPLinear(BFPLayer, nn.Linear):
    """A linear layer whose weight and input are quantised in blocks along the input features.

    Parameters
    ----------
    in_features, out_features, bias
        As for `torch.nn.Linear`.
    weight_format : str, tuple, BFPSpec or Preset
    act_format : str, tuple, BFPSpec or Preset, optional
        That of weights unless given.
    quantize_input, quantize_output : bool
        Whether input and output are quantised, in the format of activations.
    grad_format : str, tuple, BFPSpec or Preset, optional
        With it the backward products quantise their operands, too (spec 14.10).
    accumulator : str or DotProductUnit, optional
        The unit that computes the forward product, bit for bit; gradients pass straight through.
    config : QATConfig, optional
        Replaces all these.
    device, dtype
        As for `torch.nn.Linear`.

    Raises
    ------
    SpecError
        ``unknown-format``, ``adapter-format``, ``unknown-unit`` or ``unit``.

    Examples
    --------
    >>> layer = BFPLinear(in_features=768, out_features=3072, weight_format="bfp8")
    >>> layer(torch.randn(32, 768)).shape
    torch.Size([32, 3072])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        weight_format: FormatLike = "bfp8",
        act_format: FormatLike | None = None,
        quantize_input: bool = True,
        quantize_output: bool = False,
        *,
        grad_format: FormatLike | None = None,
        accumulator: str | DotProductUnit | None = None,
        config: QATConfig | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        nn.Linear.__init__(self, in_features, out_features, bias, device, dtype)
        found = config or _page_config(
            weight_format, act_format, quantize_input, quantize_output, grad_format, accumulator
        )
        self.check_layer(self, found)
        self.set_config(found)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of quantised operands, and the bias."""
        return self.finished(linear(self, x, self.weight), self.bias)


class _Convolution(BFPLayer):
    """What `BFPConv1d` and `BFPConv2d` have in common."""

    weight_axis = 1

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.finished(convolution(self, x, weight), bias, -weight.dim() + 1)


class BFPConv1d(_Convolution, nn.Conv1d):
    """A convolution along one axis; parameters and errors as for `BFPConv2d`.

    Examples
    --------
    >>> BFPConv1d(3, 8, 3, padding=1)(torch.randn(2, 3, 10)).shape
    torch.Size([2, 8, 10])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        weight_format: FormatLike = "bfp8",
        act_format: FormatLike | None = None,
        quantize_input: bool = True,
        quantize_output: bool = False,
        *,
        grad_format: FormatLike | None = None,
        accumulator: str | DotProductUnit | None = None,
        config: QATConfig | None = None,
        **kwargs: Any,
    ) -> None:
        nn.Conv1d.__init__(self, in_channels, out_channels, kernel_size, **kwargs)
        found = config or _page_config(
            weight_format, act_format, quantize_input, quantize_output, grad_format, accumulator
        )
        self.check_layer(self, found)
        self.set_config(found)

    @classmethod
    def check_layer(cls, layer: nn.Module, config: QATConfig) -> None:
        """Refuse an emulated product as well: units convolve images."""
        super().check_layer(layer, config)
        if config.accumulator is not None:
            raise SpecError("unit", "an accumulator needs a linear layer or a Conv2d (spec 6.14), got a Conv1d")


class BFPConv2d(_Convolution, nn.Conv2d):
    """A convolution whose weight and input are quantised in blocks along the input channels.

    Parameters
    ----------
    in_channels, out_channels, kernel_size
        As for `torch.nn.Conv2d`.
    weight_format, act_format, quantize_input, quantize_output, grad_format, accumulator, config
        As for `BFPLinear`.
    **kwargs
        Other arguments of `torch.nn.Conv2d`.

    Raises
    ------
    SpecError
        ``unknown-format``, ``adapter-format``, ``unknown-unit`` or ``unit``.

    Examples
    --------
    >>> layer = BFPConv2d(in_channels=3, out_channels=64, kernel_size=3, weight_format="bfp8", padding=1)
    >>> layer(torch.randn(2, 3, 24, 24)).shape
    torch.Size([2, 64, 24, 24])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        weight_format: FormatLike = "bfp8",
        act_format: FormatLike | None = None,
        quantize_input: bool = True,
        quantize_output: bool = False,
        *,
        grad_format: FormatLike | None = None,
        accumulator: str | DotProductUnit | None = None,
        config: QATConfig | None = None,
        **kwargs: Any,
    ) -> None:
        nn.Conv2d.__init__(self, in_channels, out_channels, kernel_size, **kwargs)
        found = config or _page_config(
            weight_format, act_format, quantize_input, quantize_output, grad_format, accumulator
        )
        self.check_layer(self, found)
        self.set_config(found)


class BFPEmbedding(BFPLayer, nn.Embedding):
    """An embedding whose vectors are quantised in blocks along their features.

    Examples
    --------
    >>> table = BFPEmbedding.from_float(nn.Embedding(10, 64), QATConfig(weight="bfp4"))
    >>> table(torch.tensor([1, 2])).shape
    torch.Size([2, 64])
    """

    def forward(self, indices: Tensor) -> Tensor:
        """Return the quantised vectors of `indices`."""
        weight = self.quantized(self.weight, Slot.WEIGHT, -1)
        found: Tensor = functional.embedding(
            indices, weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )
        return self.operands.quantized(found, Slot.OUTPUT, -1, getattr(self, "rounding_step", None))
