"""Layers with quantised operands; each is its float layer with a configuration (spec 14.8).

They keep the float layer's parameters and the names in its `state_dict`, so a layer that is there is
converted in place, by its class alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bfpemu.catalog import FormatLike
from bfpemu.errors import SpecError
from bfpemu.formats.unit import DotProductUnit
from bfpemu.torch.base import BFPLayer
from bfpemu.torch.configuration import QATConfig, Slot
from bfpemu.torch.products import convolution, linear


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

    @classmethod
    def check_layer(cls, layer: nn.Module, config: QATConfig) -> None:
        """Refuse ``max_norm`` as well: its forward pass changes the weight, here a quantised copy."""
        super().check_layer(layer, config)
        if getattr(layer, "max_norm", None) is not None:
            raise SpecError(
                "layer-type",
                "an embedding must have no max_norm, which changes its weight in the forward pass (spec 14.8), "
                f"got max_norm={layer.max_norm}; leave the layer as it is, or bound the weight between steps",
            )

    def forward(self, indices: Tensor) -> Tensor:
        """Return the quantised vectors of `indices`."""
        weight = self.quantized(self.weight, Slot.WEIGHT, -1)
        found: Tensor = functional.embedding(
            indices, weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )
        return self.operands.quantized(found, Slot.OUTPUT, -1, getattr(self, "rounding_step", None))
